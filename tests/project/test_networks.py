"""Networks: the trials of one training that was continued."""

import pathlib

import pytest

from keras_evonas import reports
from keras_evonas.project.networks import networks_of

pytestmark = pytest.mark.pure


def _trial(number, continues=None, **fields):
    fields = {"status": "COMPLETED", "values": {}, **fields}
    return reports.Trial(
        trial_id=str(number), number=number, continues=continues, **fields
    )


def _chain():
    """0 goes on as 2 and then as 4, which fails; 1 goes on as 3, running."""
    return [
        _trial(0, scores=(0.5,), epochs=1, seconds=2.0, operator="random"),
        _trial(1, scores=(0.4,), epochs=1, curves={"a": ((1, 0.4),)}),
        _trial(2, "0", scores=(0.7,), epochs=2, seconds=3.0, operator="thawed"),
        _trial(3, "1", status="RUNNING", rung=1, curves={"a": ((2, 0.6),)}),
        _trial(4, "2", status="FAILED", epochs=6, message="no memory"),
        _trial(5, status="FAILED"),
        _trial(6, scores=(0.1,), parents=("0", "2")),
    ]


def test_a_network_is_its_last_completed_trial_with_the_epochs_of_all():
    first, second, third, last = networks_of(_chain())
    assert (first.trial_id, first.scores) == ("2", (0.7,))
    assert (first.epochs, first.seconds) == (9, 5.0)  # 1 + 2 + 6, 2 + 3
    assert (first.operator, first.trainings) == ("random", ("0", "2", "4"))
    assert (second.trial_id, second.status) == ("1", "COMPLETED")
    assert second.curves == {"a": ((1, 0.4), (2, 0.6))}
    assert (third.trial_id, third.status) == ("5", "FAILED")
    assert [one.number for one in (first, second, third, last)] == [0, 1, 2, 3]


def test_trials_that_went_on_nowhere_stay_as_they_are():
    trials = [_trial(0), _trial(1, status="FAILED"), _trial(2)]
    assert networks_of(trials) == tuple(trials)
    assert networks_of([]) == ()


def test_a_search_counts_networks_and_tells_of_their_trials():
    trials = _chain()
    search = reports.Search(
        folder=pathlib.Path("somewhere"),
        objectives=(reports.Objective("a", "max"),),
        trials=networks_of(trials),
        recorded=tuple(trials),
    )
    assert "7 trials of 4 networks, 3 completed, 2 failed" in search.headline()
    assert "1 running or interrupted, 10 epochs" in search.headline()
    assert [one.trial_id for one in search.ranking] == ["2", "1", "6"]
    assert search.trial("0") is search.trial("4") is search.best
    # Both parents are one network.
    assert search.parents(search.trial("6")) == (search.best,)
    pytest.importorskip("pandas", reason="needs pandas: the extra [reports]")
    table = search.to_dataframe().set_index("trial_id")
    assert table.parents["6"] == ("2",)
    assert table.trainings["2"] == ("0", "2", "4")
