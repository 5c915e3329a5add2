"""The ranking, and the page's, against a naive one as its rules read."""

import pathlib

import numpy as np
import pytest

from keras_evonas.project import wording
from keras_evonas.project.objectives import Objective
from keras_evonas.project.ranking import Ranking
from keras_evonas.project.ranking import Standing
from keras_evonas.project.search import Search
from keras_evonas.project.trials import Trial
from keras_evonas.reports.figures.progress import every_trial
from tests.pages import shown_on_page
from tests.reports.test_figures import traces


def _standings(seed):
    """Trials with ties, violations and promotions, in the order of ends."""
    rng = np.random.default_rng(seed)
    width = int(rng.integers(1, 4))
    rungs, constrained = rng.random(2) < 0.5
    found = []
    waiting = {}
    for ended in range(int(rng.integers(1, 40))):
        rung, continues = 0, None
        if rungs and waiting and rng.random() < 0.4:
            continues = rng.choice(sorted(waiting))
            rung = waiting.pop(continues) + 1
        one = Standing(
            trial_id=str(ended),
            losses=tuple(map(float, rng.integers(0, 5, width))),
            ended=ended,
            violation=float(rng.integers(0, 3)) if constrained else 0.0,
            rung=rung,
            continues=continues and str(continues),
        )
        waiting[one.trial_id] = rung
        found.append(one)
    return found


def _beats(one, other):
    pairs = list(zip(one.losses, other.losses, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def _naive(standings):
    """Pairs of a trial and its front, best first, one group at a time."""
    continued = {one.continues for one in standings}
    left = [one for one in standings if one.trial_id not in continued]
    ranked = []
    while left:
        violation, behind = min((one.violation, -one.rung) for one in left)
        group = [
            one
            for one in left
            if (one.violation, -one.rung) == (violation, behind)
        ]
        left = [one for one in left if one not in group]
        front = 0
        while group:
            first = [
                one
                for one in group
                if not any(_beats(other, one) for other in group)
            ]
            group = [one for one in group if one not in first]
            first.sort(key=lambda one: (one.losses, one.ended))
            ranked += [(one, (violation, behind, front)) for one in first]
            front += 1
    return ranked


@pytest.mark.parametrize("seed", range(100))
def test_the_ranking_is_the_one_that_its_rules_give(seed):
    standings = _standings(seed)
    ranking = Ranking(standings)
    expected = _naive(standings)
    names = [one.trial_id for one, _ in expected]
    assert ranking.best() == names
    for count in range(len(names) + 2):
        assert ranking.best(count) == names[:count]
    (best, first), *_ = expected
    front = [one.trial_id for one, group in expected if group == first]
    assert ranking.front() == ([] if best.violation else front)
    assert len(ranking) == len(names)


@pytest.mark.parametrize("seed", range(50))
def test_a_trial_is_better_than_all_if_none_is_as_good(seed):
    ranking = Ranking()
    for new in _standings(seed):
        rest = [x for x in ranking if x.trial_id != new.continues]
        as_good = any(
            (x.violation, -x.rung) < (new.violation, -new.rung)
            or (
                (x.violation, x.rung) == (new.violation, new.rung)
                and (x.losses == new.losses or _beats(x, new))
            )
            for x in rest
        )
        assert ranking.add(new) is not as_good


@pytest.mark.parametrize("seed", range(50))
def test_a_page_shows_the_ranking_that_the_rules_give(seed):
    standings = _standings(seed)
    width = len(standings[0].losses)
    directions = np.random.default_rng(seed).choice(["min", "max"], width)
    objectives = tuple(
        Objective(f"score {index}", str(way))
        for index, way in enumerate(directions)
    )
    began = np.random.default_rng(seed).permutation(len(standings)).tolist()
    trials = [
        Trial(
            trial_id=one.trial_id,
            number=number,
            status="COMPLETED",
            values={"units": number},
            scores=tuple(
                objective.loss(loss)  # The sign is its own inverse.
                for objective, loss in zip(objectives, one.losses, strict=True)
            ),
            violation=one.violation,
            end=one.ended,
            rung=one.rung,
            continues=one.continues,
        )
        for number, one in zip(began, standings, strict=True)
    ]
    trials.sort(key=lambda trial: trial.number)
    search = Search(
        folder=pathlib.Path("search"),
        objectives=objectives,
        trials=tuple(trials),
    )
    shown = shown_on_page(search)
    expected = _naive(standings)
    names = [one.trial_id for one, _ in expected]
    (best, first), *_ = expected
    front = [one.trial_id for one, group in expected if group == first]
    feasible = width > 1 and not best.violation
    assert shown.best == [names[0]] * 2
    assert shown.rows == names[:10]
    assert shown.front == (front if feasible else [])
    score = objectives[0].loss(best.losses[0])
    assert shown.numbers == [wording.number(score)]
    # The line knows nothing of what a training that goes on may spoil.
    least = min(standings, key=lambda x: (x.violation, -x.rung, x.losses[0]))
    (line,) = traces(every_trial(search), "best so far")
    score = objectives[0].loss(least.losses[0])
    assert line["y"][-1] == pytest.approx(score, rel=1e-5)


@pytest.mark.parametrize("seed", range(100))
def test_leaders_are_beaten_by_losses_alone(seed):
    standings = _standings(seed)
    best, _ = _naive(standings)[0]
    assert Ranking(standings).leaders() == [
        one
        for one, _ in sorted(_naive(standings), key=lambda pair: pair[0].ended)
        if (one.violation, one.rung) == (best.violation, best.rung)
    ]


def test_nothing_has_ended():
    assert Ranking().best() == Ranking().best(1) == Ranking().front() == []
    assert Ranking().leaders() == []
