"""Collections that look at less, and lose nothing."""

import gc
import weakref

import pytest

from keras_evonas.garbage import collected_at_the_end
from keras_evonas.garbage import old_objects_spared

pytestmark = pytest.mark.keras


class Circle:
    def __init__(self):
        self.itself = self


def test_old_objects_are_spared_and_new_ones_are_not():
    with old_objects_spared():
        assert gc.get_freeze_count() > 1000
        new = weakref.ref(Circle())
        gc.collect()
        assert new() is None
    assert gc.get_freeze_count() == 0


def test_an_error_leaves_nothing_frozen():
    with pytest.raises(ArithmeticError), old_objects_spared():
        raise ArithmeticError
    assert gc.get_freeze_count() == 0


def test_what_was_garbage_before_is_gone():
    old = weakref.ref(Circle())
    with old_objects_spared():
        assert old() is None


def test_nothing_is_collected_until_the_end():
    with collected_at_the_end():
        assert not gc.isenabled()
        new = weakref.ref(Circle())
        assert new() is not None
    assert new() is None
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
