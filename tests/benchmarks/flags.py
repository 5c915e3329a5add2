"""Flags of a benchmark, set for a test."""

import contextlib

from absl.testing import flagsaver


@contextlib.contextmanager
def flags_set(module, **values):
    flags = module.FLAGS.values
    saved = flagsaver.save_flag_values(flags)
    flags.mark_as_parsed()
    try:
        for name, value in values.items():
            setattr(flags, name, value)
        yield
    finally:
        flagsaver.restore_flag_values(saved, flags)
