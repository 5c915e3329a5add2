"""The tuners: they train the trials of a search."""
