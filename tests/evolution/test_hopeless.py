"""Which trainings are hopeless, and which may not be judged."""

import dataclasses
import math
import pickle

import numpy as np
import pytest

from keras_evonas.evolution.genes import Categorical
from keras_evonas.evolution.genes import Gene
from keras_evonas.evolution.genes import Interval
from keras_evonas.evolution.hopeless import Outlook
from keras_evonas.evolution.hopeless import Training
from keras_evonas.evolution.space import SearchSpace

pytestmark = pytest.mark.pure

SPACE = SearchSpace(
    [Gene("kind", Categorical(("a", "b"))), Gene("rate", Interval(0.0, 1.0))]
)
EPOCHS = 18  # Judged after 2, 4, 9 (half, rounded to even) and 14.


def _curve(rate, kind="a", epochs=EPOCHS):
    """A loss that falls to the distance of the rate from 0.3."""
    end = abs(rate - 0.3) + 0.3 * (kind == "b")
    return tuple(end + 0.5 * 0.7**epoch for epoch in range(epochs))


def _training(rate, kind="a", **fields):
    genome = {"kind": kind, "rate": rate}
    return Training(genome=genome, losses=_curve(rate, kind), **fields)


def _outlook(known, rate=0.9, kind="a", chance=0.05):
    genome = {"kind": kind, "rate": rate}
    return Outlook(
        space=SPACE, genome=genome, known=tuple(known), chance=chance
    )


def _ends(outlook, losses, epochs=EPOCHS):
    """Returns the epoch at which a training is stopped, or its last."""
    seen = range(1, len(losses) + 1)
    ends = [n for n in seen if outlook.is_hopeless(losses[:n], epochs)]
    return ends[0] if ends else len(losses)


KNOWN = [_training(rate) for rate in (0.0, 0.1, 0.25, 0.35, 0.5, 0.6, 0.8, 1.0)]


def test_a_bad_training_ends_early_and_a_good_one_does_not():
    assert _ends(_outlook(KNOWN), _curve(0.9)) < EPOCHS
    assert _ends(_outlook(KNOWN, 0.3), _curve(0.3)) == EPOCHS


def test_the_lower_the_chance_the_later_the_end():
    ends = [
        _ends(_outlook(KNOWN, 0.9, chance=chance), _curve(0.9))
        for chance in (0.4, 0.05, 1e-3, 1e-12)
    ]
    assert ends == sorted(ends)
    assert ends[-1] == EPOCHS


@pytest.mark.parametrize("count", range(5))
def test_nothing_is_judged_before_five_have_trained_in_full(count):
    stopped = [dataclasses.replace(one, whole=False) for one in KNOWN]
    known = KNOWN[:count] + stopped[count:]
    assert _ends(_outlook(known, chance=0.4), _curve(0.9)) == EPOCHS


def test_the_best_so_far_is_never_stopped():
    # It is ahead of all, though its genome has failed again and again.
    known = [_training(0.9 + 0.01 * i) for i in range(10)]
    losses = (0.01,) * EPOCHS
    assert _ends(_outlook(known, 0.95, chance=0.49), losses) == EPOCHS


def test_losses_that_are_not_there_are_no_reason_to_stop():
    nothing = (math.nan,) * EPOCHS
    assert _ends(_outlook(KNOWN, chance=0.4), nothing) == EPOCHS
    late = (math.nan,) * (EPOCHS - 1) + (0.5,)  # Only at the end.
    assert _ends(_outlook(KNOWN, chance=0.4), late) == EPOCHS
    # Among the known ones they are left out.
    broken = Training(genome={"kind": "a", "rate": 0.4}, losses=nothing)
    known = [*KNOWN, broken, dataclasses.replace(broken, losses=())]
    curve = _curve(0.9)
    assert _ends(_outlook(known), curve) == _ends(_outlook(KNOWN), curve)


def test_a_nan_and_losses_that_rise_leave_the_least_loss():
    rising = tuple(0.5 + 0.1 * epoch for epoch in range(EPOCHS))
    flat = (0.5,) * EPOCHS
    holes = tuple(math.nan if n % 3 == 1 else 0.5 for n in range(EPOCHS))
    ends = {
        _ends(_outlook(KNOWN, 0.8), losses) for losses in (rising, flat, holes)
    }
    assert len(ends) == 1


@pytest.mark.parametrize("epochs", [1, 2, 3, 5])
def test_few_epochs_are_judged_as_far_as_there_are_any(epochs):
    known = [
        dataclasses.replace(one, losses=one.losses[:epochs]) for one in KNOWN
    ]
    end = _ends(_outlook(known, chance=0.4), _curve(0.9, epochs=epochs), epochs)
    assert 1 <= end <= epochs


def test_a_training_that_stopped_itself_counts_as_a_whole_one():
    short = [dataclasses.replace(one, losses=one.losses[:12]) for one in KNOWN]
    assert _ends(_outlook(short), _curve(0.9)) < EPOCHS


def test_equal_losses_tell_nothing():
    known = [dataclasses.replace(one, losses=(0.5,) * EPOCHS) for one in KNOWN]
    assert _ends(_outlook(known, chance=0.4), _curve(0.9)) == EPOCHS


@pytest.mark.parametrize("seed", range(3))
def test_a_judgement_follows_from_what_is_known(seed):
    rng = np.random.default_rng(seed)
    known = [
        _training(float(rate), "ab"[int(rng.integers(2))])
        for rate in rng.random(100)  # More than the model holds.
    ]
    outlook = _outlook(known, 0.8, "b")
    again = pickle.loads(pickle.dumps(outlook))
    curve = _curve(0.8, "b")
    assert _ends(outlook, curve) == _ends(again, curve) < EPOCHS
    assert outlook == again


@pytest.mark.parametrize("chance", [0, 0.6, -1, "0.1", True, None, math.nan])
def test_a_chance_out_of_range(chance):
    with pytest.raises(ValueError, match="`chance` must be a number in"):
        _outlook(KNOWN, chance=chance)
