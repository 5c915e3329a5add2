"""What the command line does with a project folder; see `keras_evonas`."""
