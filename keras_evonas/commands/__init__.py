"""The commands that `python -m keras_evonas` runs on a project folder.

Each module has a `main(folder)`. Its docstring and flags are what `--help`
prints.
"""
