"""keras-tuner's spaces as search spaces, by keras-tuner's own rules."""

import copy
import json
import math
import pickle
from typing import Any

import hypothesis
import keras_tuner
import numpy as np
import pytest
from hypothesis import strategies as st
from keras_tuner.engine import hyperparameters as hp_types

from keras_evonas import hyperparameters as hp_lib
from keras_evonas.evolution import Engine
from keras_evonas.evolution import Grid
from keras_evonas.evolution import Interval
from keras_evonas.evolution import genetic_algorithm
from keras_evonas.evolution import rng_at
from keras_evonas.oracles.definitions import Definitions
from tests.searches import space as example_space

pytestmark = pytest.mark.keras

_PLAIN = (bool, int, float, str)
_SAMPLINGS = ("linear", "log", "reverse_log")


def _space_of(name: str, *arguments: Any, **settings: Any) -> Any:
    hp = keras_tuner.HyperParameters()
    getattr(hp, name)("x", *arguments, **settings)
    return hp_lib.to_space(hp)


def _samples(space: Any, count: int = 200) -> list[Any]:
    return [space.sample(rng_at(0, index))["x"] for index in range(count)]


# What each type may be, hand-computed. The third column is the Python type.
@pytest.mark.parametrize(
    ("name", "arguments", "settings", "values", "kind"),
    [
        ("Boolean", (), {}, {False, True}, bool),
        ("Fixed", (3,), {}, {3}, int),
        ("Fixed", (True,), {}, {True}, bool),
        ("Fixed", ("a",), {}, {"a"}, str),
        ("Fixed", (np.float64(0.5),), {}, {0.5}, float),
        ("Choice", (["a", "b"],), {}, {"a", "b"}, str),
        ("Choice", ([3, 1, 2],), {}, {1, 2, 3}, int),
        ("Choice", ([3, 1, 2],), {"ordered": False}, {1, 2, 3}, int),
        ("Choice", ((0.5, 0.25),), {}, {0.25, 0.5}, float),
        ("Choice", (list(np.array([0.5, 2.0])),), {}, {0.5, 2.0}, float),
        # keras-tuner turns truth values into numbers (fact 14).
        ("Choice", ([True, False],), {}, {0, 1}, int),
        ("Int", (2, 4), {}, {2, 3, 4}, int),
        ("Int", (6, 13), {"step": 3}, {6, 9, 12}, int),
        ("Int", (0, 1), {"step": 5}, {0}, int),
        ("Int", (2, 5), {"sampling": "log"}, {2, 3, 4, 5}, int),
        ("Int", (2, 40), {"step": 2, "sampling": "log"}, None, int),
        # 10 + 1 - 1 * 2 ** i for i = 0 ... 3
        (
            "Int",
            (1, 10),
            {"step": 2, "sampling": "reverse_log"},
            {10, 9, 7, 3},
            int,
        ),
        ("Float", (0.5, 0.5), {}, {0.5}, float),
        ("Float", (0, 1), {"step": 0.25}, {0, 0.25, 0.5, 0.75, 1}, float),
        # 0.3 // 0.1 is 2.0 for floats: keras-tuner never tries 0.3.
        ("Float", (0.0, 0.3), {"step": 0.1}, {0.0, 0.1, 0.2}, float),
        ("Float", (1e-3, 1.0), {"step": 10, "sampling": "log"}, None, float),
    ],
)
def test_values_and_types_of_every_type(
    name: str,
    arguments: tuple[Any, ...],
    settings: dict[str, Any],
    values: set[Any] | None,
    kind: type,
) -> None:
    hp = keras_tuner.HyperParameters()
    getattr(hp, name)("x", *arguments, **settings)
    own = {kind(value) for value in hp.space[0].values}
    domain = hp_lib.to_space(hp).genes[0].domain
    found = set(_samples(hp_lib.to_space(hp)))
    assert found == set(domain) == (own if values is None else values)
    assert {type(value) for value in [*found, *domain]} == {kind}


@pytest.mark.parametrize("sampling", _SAMPLINGS)
def test_sampling_agrees_with_keras_tuner(sampling: str) -> None:
    # Both draw u in [0, 1) and put it on a scale: the scales must agree.
    hp = keras_tuner.HyperParameters()
    hp.Float("x", 1e-4, 1e-1, sampling=sampling)
    domain = hp_lib.to_space(hp).genes[0].domain
    for position in np.linspace(0, 1, 50, endpoint=False):
        expected = hp.space[0].prob_to_value(position)
        assert domain.at(position) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("sampling", _SAMPLINGS)
def test_integer_sampling_agrees_with_keras_tuner(sampling: str) -> None:
    hp = keras_tuner.HyperParameters()
    integer = hp_types.Int("x", 3, 300, sampling="log")
    integer.sampling = sampling
    if sampling == "linear":
        integer.step = None
    hp.merge([integer])
    domain = hp_lib.to_space(hp).genes[0].domain
    for position in np.linspace(0.001, 0.999, 211):
        assert domain.at(position) == integer.prob_to_value(position)


def test_a_very_long_range_keeps_to_its_steps() -> None:
    space = _space_of("Int", 0, 10**9, step=64)
    values = _samples(space)
    assert all(value % 64 == 0 for value in values)
    assert len(space.genes[0].domain.values) <= 100_000
    assert max(values) > 9 * 10**8


def test_fact_14_genes_are_python_values() -> None:
    hp = keras_tuner.HyperParameters()
    hp.Int("int_log", 2, 32, step=2, sampling="log")
    hp.Choice("numpy", list(np.logspace(-3, -1, 3)))
    hp.Float("float", np.float64(0.1), np.float64(0.2))
    hp.Int("int", np.int64(1), np.int64(5), default=np.int64(3))
    hp.Fixed("fixed", np.float64(0.5))
    space = hp_lib.to_space(hp)
    for genome in [space.default, *map(space.sample, map(rng_at, range(20)))]:
        for value in genome.values():
            assert type(value) in _PLAIN
        json.dumps(genome)


def test_defaults_are_those_of_keras_tuner() -> None:
    hp = example_space()
    assert hp_lib.to_space(hp).default == hp.values
    hp = keras_tuner.HyperParameters()
    hp.Int("outside", 1, 5, default=9)
    hp.Float("whole", 0.0, 1.0, default=1)
    hp.Int("between", 0, 30, step=10, default=14)
    assert hp_lib.to_space(hp).default == {
        "outside": 5,  # keras-tuner would take 9
        "whole": 1.0,
        "between": 10,
    }


def test_a_default_beyond_a_continuous_range_is_its_end() -> None:
    hp = keras_tuner.HyperParameters()
    hp.Float("above", 0.0, 1.0, default=3.0)
    hp.Float("below", 0.5, 1.0, default=0.0)
    assert hp_lib.to_space(hp).default == {"above": 1.0, "below": 0.5}


def test_an_ordered_choice_is_in_the_order_of_its_numbers() -> None:
    space = _space_of("Choice", [4, 1, 2])
    assert space.genes[0].domain == Grid((1, 2, 4))


def test_nested_scopes_become_conditions() -> None:
    space = hp_lib.to_space(example_space())
    genomes = [space.sample(rng_at(seed)) for seed in range(200)]
    for genome in genomes:
        is_conv = genome["kind"] == "conv"
        assert ("kernel" in genome) == is_conv
        assert ("pool" in genome) == is_conv
        assert ("pool_size" in genome) == bool(genome.get("pool"))
    assert any("pool_size" in genome for genome in genomes)


def test_one_name_under_two_conditions() -> None:
    hp = keras_tuner.HyperParameters()
    hp.Choice("optimizer", ["sgd", "adam"])
    with hp.conditional_scope("optimizer", ["sgd"]):
        hp.Float("rate", 0.1, 1.0)
    with hp.conditional_scope("optimizer", ["adam"]):
        hp.Float("rate", 1e-4, 1e-2)
    space = hp_lib.to_space(hp)
    for seed in range(50):
        genome = space.sample(rng_at(seed))
        assert (genome["rate"] >= 0.1) == (genome["optimizer"] == "sgd")


def test_an_unknown_type_is_refused() -> None:
    hp = keras_tuner.HyperParameters()
    hp.space.append(hp_types.HyperParameter("odd", default=1))
    with pytest.raises(ValueError, match="may hold Boolean, Choice"):
        hp_lib.to_space(hp)


@pytest.mark.parametrize(
    "ask",
    [
        lambda hp: hp.Int("size", 4, 16, default=np.int64(8)),
        lambda hp: hp.Float("size", 0.1, 0.5, step=np.float32(0.1)),
        lambda hp: hp.Boolean("size", default=np.bool_(True)),
    ],
)
def test_numbers_of_numpy_are_refused_by_name(ask: Any) -> None:
    hp = hp_lib.SharedHyperParameters(keras_tuner.HyperParameters())
    ask(hp)
    with pytest.raises(TypeError, match=r"'size'.*Received: .*np\..*item"):
        hp.get_config()


def test_one_name_is_active_under_one_condition_at_a_time() -> None:
    # keras-tuner drops "rate" because it is silent under the other one.
    hp = hp_lib.SharedHyperParameters(keras_tuner.HyperParameters())
    hp.Choice("optimizer", ["sgd", "adam"])
    for optimizer, default in (("sgd", 0.5), ("adam", 0.25)):
        with hp.conditional_scope("optimizer", [optimizer]):
            hp.Float("rate", 0.0, 1.0, default=default)
    for optimizer, default in (("sgd", 0.5), ("adam", 0.25)):
        hp.values = {"optimizer": optimizer, "other": 1}
        hp.ensure_active_values()
        assert hp.values == {
            "optimizer": optimizer,
            "other": 1,
            "rate": default,
        }


def test_values_are_completed_with_all_that_they_activate() -> None:
    hp = hp_lib.SharedHyperParameters(example_space())
    hp.values = {"kind": "conv", "pool": True, "rate": 0.05}
    hp.ensure_active_values()
    assert hp.values["pool_size"] == 2
    hp.values["kind"] = "dense"
    hp.ensure_active_values()
    assert hp.values == {
        "kind": "dense",
        "rate": 0.05,
        "classes": 10,
        "units": 8,
    }


# Values that users write down.


def test_genome_fills_in_defaults_and_drops_silent_values() -> None:
    space = hp_lib.to_space(example_space())
    genome = hp_lib.to_genome(space, {"kind": "dense", "kernel": 3})
    assert genome == {
        "classes": 10,
        "kind": "dense",
        "rate": 0.01,
        "units": 8,
    }


@pytest.mark.parametrize(
    ("name", "written", "meant"),
    [
        ("units", np.int64(16), 16),
        ("units", 16.0, 16),
        ("rate", np.float32(0.01), float(np.float32(0.01))),
        ("share", 0.1 + 0.2, 0.30000000000000004),
        ("share", 0.3, 0.30000000000000004),  # as the grid has it
        ("share", 0, 0.0),
        ("pool", np.True_, True),
        ("depth", 3.0, 3),
        ("temperature", 1, 1.0),
    ],
)
def test_written_values_take_the_form_of_the_domain(
    name: str, written: Any, meant: Any
) -> None:
    hp = keras_tuner.HyperParameters()
    hp.Int("units", 8, 64, step=8)
    hp.Float("rate", 1e-4, 1e-1, sampling="log")
    hp.Float("share", 0.0, 1.0, step=0.1)
    hp.Boolean("pool")
    hp.Int("depth", 1, 5)
    hp.Float("temperature", 0.5, 2.0)
    genome = hp_lib.to_genome(hp_lib.to_space(hp), {name: written})
    assert genome[name] == meant
    assert type(genome[name]) is type(meant)


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ({"units": 9}, ["units=9", "Grid", "(8, 16,"]),
        ({"units": "16"}, ["units='16'"]),
        ({"kind": "rnn"}, ["kind='rnn'", "('dense', 'conv')"]),
        ({"rate": 1.0}, ["rate=1.0", "low=0.0001", "high=0.1"]),
        ({"rate": math.nan}, ["rate=nan"]),
        ({"kind": "conv", "kernel": 2}, ["kernel=2"]),
        ({"untis": 8}, ["['untis']", "'units'"]),
        ({"units": None}, ["units=None"]),
        ({"units": [8]}, ["units=[8]"]),
    ],
)
def test_values_outside_the_space_are_refused(
    values: dict[str, Any], parts: list[str]
) -> None:
    with pytest.raises(ValueError, match="`initial_population`") as caught:
        hp_lib.to_genome(hp_lib.to_space(example_space()), values)
    for part in parts:
        assert part in str(caught.value)


def test_an_error_about_a_long_range_stays_short() -> None:
    space = _space_of("Int", 0, 64 * 50_000, step=64)
    with pytest.raises(ValueError, match="x=65") as caught:
        hp_lib.to_genome(space, {"x": 65})
    assert len(str(caught.value)) < 500


# Round trips.


def _over_json(hp: Any) -> Any:
    config = json.loads(json.dumps(hp.get_config()))
    return keras_tuner.HyperParameters.from_config(config)


def _over_grpc(hp: Any) -> Any:
    message = hp.to_proto().SerializeToString()
    return keras_tuner.HyperParameters.from_proto(
        type(hp.to_proto()).FromString(message)
    )


@pytest.mark.parametrize("travel", [_over_json, _over_grpc])
def test_spaces_travel(travel: Any) -> None:
    hp = hp_lib.SharedHyperParameters(example_space())
    hp.values["rate"] = 0.1 / 3
    there = travel(hp)
    mine, other = hp_lib.to_space(hp), hp_lib.to_space(there)
    # gRPC orders a space by type.
    assert {g.name: g for g in mine.genes} == {g.name: g for g in other.genes}
    assert there.values == hp.values
    assert hp_lib.describe_changes(hp, there) == []
    assert hp_lib.describe_changes(there, hp) == []


@pytest.mark.parametrize("travel", [_over_json, _over_grpc])
@pytest.mark.parametrize("seed", range(20))
def test_genomes_travel(travel: Any, seed: int) -> None:
    hp = hp_lib.SharedHyperParameters(example_space())
    space = hp_lib.to_space(hp)
    hp.values = space.sample(rng_at(seed))
    there = travel(hp)
    there.ensure_active_values()
    assert there.values == hp.values
    for name, value in there.values.items():
        assert type(value) is type(hp.values[name])


def test_shared_copies_are_independent() -> None:
    hp = hp_lib.SharedHyperParameters(example_space())
    one, other = hp.copy(), hp.copy()
    one.values["units"] = 64
    one.Int("new", 1, 2)
    assert other.values["units"] == hp.values["units"] == 8
    assert "new" not in {entry.name for entry in other.space}
    assert one.get_config()["space"][-1]["config"]["name"] == "new"
    assert other.get_config() == hp.get_config()
    assert hp.get_config() == example_space().get_config()


def test_shared_copies_stay_as_they_are_when_the_first_grows() -> None:
    hp = hp_lib.SharedHyperParameters(example_space())
    one = hp.copy()
    hp.Int("new", 1, 2)
    one.ensure_active_values()
    hp.ensure_active_values()
    assert "new" not in one.values
    assert one.get_config() == example_space().get_config()
    assert hp.copy().values["new"] == hp.values["new"] == 1
    assert not one.is_active("new")
    one.values["new"] = 3  # no hyperparameter of this copy
    one.ensure_active_values()
    assert one.values["new"] == 3


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda hp: pickle.loads(pickle.dumps(hp))]
)
def test_shared_hyperparameters_can_be_duplicated(duplicate: Any) -> None:
    # The host copies callbacks deeply, and they may hold hyperparameters.
    hp = hp_lib.SharedHyperParameters(example_space(), watch=_Noticing())
    assert duplicate(hp).get_config() == hp.get_config()


# Spaces that change.


class _Noticing:
    """A watch that notes every definition that is not the known one."""

    def __init__(self) -> None:
        self.changes: list[str] = []

    def elsewhere(self) -> None:
        return None

    def differs(self, known: Any, requested: Any, asked: Any) -> None:
        self.changes.append(hp_lib.describe_change(known, requested))

    def is_new(self, requested: Any, asked: Any) -> None:
        pass


@pytest.mark.parametrize(
    ("before", "after", "differs"),
    [
        (("Int", 0, 1000), ("Int", 0, 5), True),
        (("Int", 0, 5), ("Float", 0, 5), True),
        (("Choice", [1, 2]), ("Choice", [1, 2, 3]), True),
        (("Choice", [1, 2]), ("Choice", [2, 1]), True),
        (("Boolean",), ("Choice", ["a"]), True),
        (("Int", 0, 5), ("Int", 0, 5, None, "linear", 3), True),
        (("Int", 0, 5), ("Int", 0, 5, 1, "linear", 0), False),
        (("Choice", (0.1, 0.2)), ("Choice", [0.1, 0.2]), False),
        (("Float", 0, 1), ("Float", 0.0, 1.0), False),
    ],
)
def test_fact_7_changes_are_noticed(
    before: tuple[Any, ...], after: tuple[Any, ...], differs: bool
) -> None:
    saved, current = (keras_tuner.HyperParameters() for _ in range(2))
    getattr(saved, before[0])("x", *before[1:])
    getattr(current, after[0])("x", *after[1:])
    changes = hp_lib.describe_changes(saved, current)
    assert bool(changes) == differs
    assert all("'x' was" in change for change in changes)
    watch = _Noticing()
    watched = hp_lib.SharedHyperParameters(saved, watch=watch).copy()
    getattr(watched, after[0])("x", *after[1:])
    assert watch.changes == changes


def test_what_a_model_asks_for_first_counts() -> None:
    saved = keras_tuner.HyperParameters()
    saved.Int("units", 1, 5)
    watch = _Noticing()
    watched = hp_lib.SharedHyperParameters(saved, watch=watch).copy()
    watched.Int("units", 1, 5)
    watched.Int("units", 1, 9)  # the host ignores it, in every run alike
    assert not watch.changes


def test_what_the_user_overrides_may_differ() -> None:
    registered = keras_tuner.HyperParameters()
    registered.Fixed("rate", 0.1)
    watch = Definitions(registered.space)
    watched = hp_lib.SharedHyperParameters(registered, watch=watch).copy()
    assert watched.Float("rate", 0.0, 1.0) == 0.1
    assert not any(watch.news().values())


# Any space at all.


@st.composite
def _random_spaces(draw: Any) -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    for index in range(draw(st.integers(1, 8))):
        parents = [p for p in hp.space if not isinstance(p, hp_types.Float)]
        if parents and draw(st.booleans()):
            parent = draw(st.sampled_from(parents))
            values = list(parent.values)[:20]
            chosen = draw(st.lists(st.sampled_from(values), min_size=1))
            # A child lives within the scope of its parent.
            hp._conditions = list(parent.conditions)
            with hp.conditional_scope(parent.name, chosen):
                _add(hp, f"x{index}", draw)
            hp._conditions = []
        else:
            _add(hp, f"x{index}", draw)
    return hp


def _add(hp: Any, name: str, draw: Any) -> None:
    kind = draw(st.sampled_from(["Boolean", "Choice", "Fixed", "Float", "Int"]))
    if kind == "Boolean":
        hp.Boolean(name, default=draw(st.booleans()))
    elif kind == "Fixed":
        hp.Fixed(name, draw(st.sampled_from([True, 7, 0.5, "same"])))
    elif kind == "Choice":
        values = draw(
            st.sampled_from([["a", "b", "c"], [4, 2], [0.5], [True, False]])
        )
        hp.Choice(name, values)
    else:
        sampling = draw(st.sampled_from(_SAMPLINGS))
        low = draw(st.integers(1, 9))
        high = low + draw(st.integers(0, 90))
        steps = [None, 2, 3] if sampling != "linear" else [None, 1, 2, 7]
        step = draw(st.sampled_from(steps))
        getattr(hp, kind)(name, low, high, step=step, sampling=sampling)


def _legal(hp: Any, value: Any) -> bool:
    """keras-tuner's own rule for one value."""
    if isinstance(hp, hp_types.Int | hp_types.Float):
        kind = int if isinstance(hp, hp_types.Int) else float
        if type(value) is not kind:
            return False
        if hp.step is not None:
            return value in [kind(v) for v in hp.values]
        return hp.min_value <= value <= hp.max_value
    return value in hp.values and type(value) is type(hp.default)


@hypothesis.settings(
    max_examples=60, deadline=None, derandomize=True, database=None
)
@hypothesis.given(hp=_random_spaces(), seed=st.integers(0, 1000))
def test_every_proposal_is_legal_for_keras_tuner(hp: Any, seed: int) -> None:
    space = hp_lib.to_space(hp)
    engine = Engine(space, genetic_algorithm().configure(30), seed=seed)
    keys = set()
    for _ in range(30):
        individual = engine.ask()
        if individual is None:
            assert len(keys) == space.size
            break
        trial = hp.copy()
        trial.values = dict(individual.genome)
        trial.ensure_active_values()
        assert trial.values == individual.genome
        for entry in trial.space:
            if trial.is_active(entry):
                assert _legal(entry, trial.values[entry.name])
        keys.add(space.key(individual.genome))
        loss = sum(v for v in trial.values.values() if not isinstance(v, str))
        engine.tell(individual.birth, (float(loss),))
    assert len(keys) == len(engine.history.ended)


@hypothesis.settings(
    max_examples=60, deadline=None, derandomize=True, database=None
)
@hypothesis.given(hp=_random_spaces())
def test_defaults_and_round_trips_of_any_space(hp: Any) -> None:
    space = hp_lib.to_space(hp)
    assert space.contains(space.default)
    assert hp_lib.to_genome(space, {}) == space.default
    for there in (_over_json(hp), _over_grpc(hp)):
        assert hp_lib.describe_changes(hp, there) == []
        other = hp_lib.to_space(there)
        names = {gene.name for gene in space.genes}
        assert {gene.name for gene in other.genes} == names
        assert other.size == space.size
        assert other.contains(other.complete(space.default))


def test_domains_by_type() -> None:
    assert isinstance(_space_of("Int", 0, 9).genes[0].domain, Interval)
    assert isinstance(_space_of("Int", 0, 9, 3).genes[0].domain, Grid)
