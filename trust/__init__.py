"""The modules that the two scripts use, one for each idea; no module imports a script."""
