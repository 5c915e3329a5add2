"""Freeze-thaw search: begin a new network, or go on with one that was begun?

Successive halving promotes a fixed share of each rung. Here a model of genome
and epochs says after each training what every network would reach, begun or
not, and the next training is the one that promises most for its epochs.
"""

import dataclasses

import numpy as np

from keras_evonas.evolution import checks
from keras_evonas.evolution import labels
from keras_evonas.evolution.candidates import most_promising
from keras_evonas.evolution.curve_surrogate import curve_surrogate_of
from keras_evonas.evolution.encoding import Encoding
from keras_evonas.evolution.history import Draft
from keras_evonas.evolution.history import History
from keras_evonas.evolution.history import Individual
from keras_evonas.evolution.randomness import Rng
from keras_evonas.evolution.rungs import FEW
from keras_evonas.evolution.rungs import Ladder
from keras_evonas.evolution.rungs import SuccessiveHalving
from keras_evonas.evolution.rungs import going_on
from keras_evonas.evolution.rungs import successive_halving
from keras_evonas.evolution.rungs import top_rung
from keras_evonas.evolution.screening import ScreenedEvolution
from keras_evonas.evolution.screening import screened_evolution
from keras_evonas.evolution.space import SearchSpace
from keras_evonas.evolution.surrogate import LEAST_DATA

_THAWED = labels.define("thawed", "its parent, trained for longer")
# No training goes on before this many times the initial networks are begun. As
# long as nothing is finished, whatever goes on is an improvement, and the first
# good network would be finished at the cost of many others: figures are in
# docs/benchmarks.md.
_LOOKED_AT = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class FreezeThaw:
    """Decides at each step which training promises most for its epochs.

    Follows freeze-thaw Bayesian optimisation (Swersky et al., 2014): trainings
    are stopped after a few epochs and go on only if they promise more than
    others. Deviations: a training stops on rungs, not after every epoch, since
    to stop and to go on has a price of its own; the model assumes no shape of a
    curve (`keras_evonas.evolution.curve_process`); and a training is not chosen
    by the entropy of the optimum but by its fair price of an epoch, the largest
    expected improvement for each expected epoch over all plans of when to stop
    (`keras_evonas.evolution.pursuit`).

    The first networks are those of `screening`, each trained up to the lowest
    rung, and as many again are begun before any training goes on. Of new
    genomes the one of the largest expected improvement on the highest rung
    competes with the trainings that can go on, as long as new networks have had
    no more than their share of the epochs: one in so many as there are rungs,
    as in successive halving. Every `unscreened`-th new one is a child of the
    evolution instead, in case the model is wrong. Failed individuals count as
    the worst and are left; so are those that violate a constraint, once others
    violate none. Pending individuals count with their predicted loss, and a
    proposal never waits.

    Of several losses only the first is predicted and extrapolated. Individuals
    are compared by their rung first, as in `SuccessiveHalving`, so that no
    unfinished training is taken for the best while others are finished.

    Args:
        epochs: Increasing integers, the epochs of training, counted from the
            start, after which a training may stop.
        screening: The screened evolution of which the first networks and the
            children are. Defaults to `screened_evolution()`.
        initial_size: Integer, number of networks before the model is used, or
            `"auto"`: 8, or a quarter of the trials if there are fewer than 32.
            Defaults to `"auto"`.
        unscreened: Integer of at least 2, or 0 to screen all new networks.
            Defaults to 10.

    Raises:
        ValueError: If a number is out of range.
    """

    epochs: tuple[int, ...]
    screening: ScreenedEvolution = dataclasses.field(
        default_factory=screened_evolution
    )
    initial_size: checks.Size = "auto"
    unscreened: int = 10

    def __post_init__(self) -> None:
        object.__setattr__(self, "epochs", self._halving.epochs)
        checks.check_size("initial_size", self.initial_size)
        checks.check_integer("unscreened", self.unscreened, lowest=0)
        if self.unscreened == 1:
            raise ValueError(
                "`unscreened` must be 0 or at least 2. Received: unscreened=1, "
                "which screens no network. Use `successive_halving` instead."
            )

    @property
    def _halving(self) -> SuccessiveHalving:
        return SuccessiveHalving(epochs=self.epochs, strategy=self.screening)

    def configure(self, max_trials: int | None) -> "FreezeThaw":
        """Resolves `"auto"`; see `Strategy`."""
        screening = self.screening
        size = self.initial_size
        if size != "auto":
            screening = dataclasses.replace(screening, initial_size=size)
        screening = screening.configure(max_trials)
        return dataclasses.replace(
            self, screening=screening, initial_size=screening.initial_size
        )

    def begin(self) -> Ladder:
        """Returns empty rungs; see `Strategy`."""
        return self._halving.begin()

    def absorb(self, state: Ladder, individual: Individual) -> Ladder:
        """Puts an individual on its rung; see `Strategy`."""
        return self._halving.absorb(state, individual)

    def vary(self, draft: Draft, space: SearchSpace, rng: Rng) -> Draft:
        """Varies a draft as the evolution does; see `Strategy`."""
        return self._halving.vary(draft, space, rng)

    def propose(
        self, state: Ladder, space: SearchSpace, history: History, rng: Rng
    ) -> Draft:
        """Proposes a new network or a training to go on; see `Strategy`."""
        begun = history.births - len(history.continued)
        population = state[top_rung(state, FEW)].inner.population
        first = checks.resolved("initial_size", self.initial_size)
        viable = len(state[0].individuals)
        is_early = begun < first or viable < LEAST_DATA
        # In a space of few genomes trainings go on once all are begun.
        if not viable or (is_early and begun < space.size):
            # Up to the ends of genes: with inner draws the regret was larger.
            draw = Encoding.sample
            return self.screening.initial(space, history, rng, draw)

        def breed() -> Draft:
            return self.screening.evolution.breed(population, space, rng)

        surrogate = curve_surrogate_of(space, history, self.epochs)
        new = most_promising(surrogate, breed, space, history, rng)
        is_new = not history.seen(space.key(new.genome))
        if is_new and begun < _LOOKED_AT * first:
            return new
        is_new &= not self._has_begun_enough(history, _LOOKED_AT * first)
        one = surrogate.to_go_on_with(new.genome if is_new else None)
        if one is not None:
            return going_on(one, space.complete(one.genome), _THAWED)
        if self.unscreened and begun % self.unscreened == 0:
            return breed()
        return new

    def _has_begun_enough(self, history: History, free: int) -> bool:
        """Returns whether beginnings have had their share of the epochs.

        The share is that of successive halving, which spends as much on each
        rung; `free` networks are begun before it counts. Where first epochs
        tell little, a new network looks promising again and again, and without
        this hardly any training would be finished.
        """
        steps = np.diff(self.epochs, prepend=0)
        born = [*history.ended, *history.pending.values()]
        counts = np.bincount([one.rung for one in born], minlength=len(steps))
        counts[0] -= free
        spent = counts * steps
        return bool(spent[0] * len(steps) > spent.sum())


def freeze_thaw(
    *,
    max_epochs: int,
    min_epochs: int = 1,
    factor: int = 3,
    initial_size: checks.Size = "auto",
) -> FreezeThaw:
    """Returns a search that begins many networks and finishes few.

    A model of genome and epochs decides after each training which network to
    begin or to go on with; see `FreezeThaw`. The rungs are those of
    `successive_halving`, but rounded to the nearest epoch, not up: of 12 epochs
    they are 1, 4 and 12. So the first networks, which all are begun before any
    goes on, cost less. Each training from one rung to the next counts as a
    trial, and begins as `successive_halving` says.

    Args:
        max_epochs: Integer, the epochs of a whole training.
        min_epochs: Integer, the fewest epochs after which a training may stop.
            Defaults to 1.
        factor: Integer of at least 2: a training may stop after `max_epochs`
            divided by it again and again. Defaults to 3.
        initial_size: Integer or `"auto"`; see `FreezeThaw`.

    Raises:
        ValueError: If a number is out of range, or `min_epochs` larger than
            `max_epochs`.

    Example:

    ```python
    oracle = EvoOracle(
        "val_accuracy", max_trials=100, strategy=freeze_thaw(max_epochs=27)
    )
    tuner = MultiFidelityTuner(oracle=oracle, hypermodel=build_model)
    ```
    """
    successive_halving(  # It checks them.
        max_epochs=max_epochs, min_epochs=min_epochs, factor=factor
    )
    epochs, divisor = [], 1
    while max_epochs >= min_epochs * divisor:
        # Rounded, a half up, without floats.
        epochs.append((2 * max_epochs + divisor) // (2 * divisor))
        divisor *= factor
    return FreezeThaw(epochs=tuple(epochs[::-1]), initial_size=initial_size)
