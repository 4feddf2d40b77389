"""What the two scripts stand on, one room per idea; no room imports a script."""
