"""Benchmarks that anybody can run again: `python -m keras_evonas.benchmarks`."""
