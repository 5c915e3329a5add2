"""How the trials of a search are trained: the tuners."""
