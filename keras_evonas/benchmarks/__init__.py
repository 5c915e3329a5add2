"""Benchmarks to run again: `python -m keras_evonas.benchmarks NAME`."""
