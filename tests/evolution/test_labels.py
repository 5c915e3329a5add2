"""Labels of operators, and their meanings."""

import ast
import pathlib
import re

import numpy as np
import pytest

from keras_evonas import evolution
from keras_evonas.evolution import Draft
from keras_evonas.evolution import Engine
from keras_evonas.evolution import Evolution
from keras_evonas.evolution import Individual
from keras_evonas.evolution import describe_operator
from keras_evonas.evolution import labels
from keras_evonas.evolution import rng_at
from keras_evonas.testing import conditional_trap
from keras_evonas.testing import mixed_space
from keras_evonas.testing.strategies import Rehearsal
from tests.evolution.test_conformance import CROSSOVERS
from tests.evolution.test_conformance import MUTATIONS
from tests.evolution.test_conformance import STRATEGIES

SPACE = mixed_space()
CODE = pathlib.Path(evolution.__file__).parent


def without_meaning(operator):
    """Labels of an operator that stand for themselves."""
    return [
        label
        for label in operator.split("+")
        if describe_operator(f"{label}+x").startswith(f"{label}, ")
    ]


@pytest.mark.parametrize("operator", CROSSOVERS, ids=repr)
def test_every_crossover_has_a_meaning(operator):
    first, second = (
        Individual(birth=birth, genome=SPACE.sample(rng_at(birth)))
        for birth in range(2)
    )
    draft = operator(first, second, SPACE, rng_at(0))
    assert not without_meaning(draft.operator)


@pytest.mark.parametrize("operator", MUTATIONS, ids=repr)
def test_every_mutation_has_a_meaning(operator):
    draft = operator(Draft(genome=SPACE.default), SPACE, rng_at(0))
    assert "+" in draft.operator
    assert not without_meaning(draft.operator)


@pytest.mark.parametrize(
    "strategy",
    [
        *STRATEGIES.values(),
        evolution.random_search(),
        evolution.progressive_search(),
        evolution.screened_evolution(),
        evolution.screened_nsga2(),
    ],
    ids=repr,
)
def test_what_a_strategy_records_has_a_meaning(strategy):
    for born in Rehearsal(strategy, SPACE, trials=20).run().births:
        assert not without_meaning(born.operator)


def test_every_origin_in_the_code_has_a_meaning():
    # A search of 20 meets few of the origins, so that the code is read, too: a
    # label is a name that `define` returned, never a text.
    texts = []
    for path in sorted(CODE.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "operator":
                texts += [
                    (path.name, part.value)
                    for part in ast.walk(node.value)
                    if isinstance(part, ast.Constant)
                    and isinstance(part.value, str)
                    and part.value.strip("+")
                ]
    assert texts == []


def test_every_defined_label_is_one_word():
    for path in sorted(CODE.glob("*.py")):
        for label in re.findall(
            r'define\(\s*"([^"]*)"', path.read_text(encoding="utf-8")
        ):
            assert re.fullmatch(r"[a-z_0-9]+\+?", label)
            assert not without_meaning(label.removesuffix("+"))


@pytest.mark.parametrize(
    ("operator", "text"),
    [
        ("random", "drawn at random"),
        ("clone+step", "a copy of its parent, with small changes"),
        (
            "block+step+resample_one",
            "two parents crossed block by block, with small changes and one "
            "gene drawn anew",
        ),
        ("screened+random", "drawn at random, the most promising of several"),
        (
            "screened+block+step",
            "two parents crossed block by block, with small changes, the most "
            "promising of several",
        ),
        (
            "progressive+neighbour",
            "a neighbour of its parent, simple networks first",
        ),
        # A label without a meaning stands for itself.
        ("my_own", "my_own"),
        ("my_own+step", "my_own, with small changes"),
        ("screened+my_own", "my_own, the most promising of several"),
        ("screened", "screened"),
    ],
)
def test_meanings_are_joined(operator, text):
    assert describe_operator(operator) == text


class Flip:
    """A user's mutation that nothing was said about."""

    def __call__(self, draft, space, rng: np.random.Generator):
        gene = space.mutable(draft.genome)[0]
        value = gene.domain.step(draft.genome[gene.name], rng, 0.1)
        return Draft(
            genome={**draft.genome, gene.name: value},
            parents=draft.parents,
            operator=f"{draft.operator}+flip",
        )


def test_an_operator_of_a_user_needs_no_meaning():
    strategy = Evolution(population_size=3, crossover=None, mutate=Flip())
    engine = Engine(conditional_trap(2).space, strategy, seed=0)
    for _ in range(10):
        born = engine.ask()
        engine.tell(born.birth, (float(born.birth),))
    text = describe_operator(engine.history.individual(9).operator)
    assert text.startswith("a copy of its parent, with flip")


def test_an_operator_of_a_user_may_have_a_meaning():
    label = labels.define("turned_by_a_test", "one gene turned")
    assert describe_operator(f"clone+{label}") == (
        "a copy of its parent, with one gene turned"
    )
