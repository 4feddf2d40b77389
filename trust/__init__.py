"""What the two scripts stand on, one room per idea; nothing in here knows a script or a network."""
