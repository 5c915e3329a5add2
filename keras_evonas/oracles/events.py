"""The events of a search: births, and ends of trials.

Each event is written to the record first, and then told to engine and ranking;
a search is taken up again by telling them the recorded events in their order.
"""

import time

import keras_tuner

from keras_evonas.evolution.engine import Engine
from keras_evonas.evolution.genes import Genome
from keras_evonas.evolution.genes import Value
from keras_evonas.evolution.history import Individual
from keras_evonas.oracles.host import BookkeepingError
from keras_evonas.project.ranking import Ranking
from keras_evonas.project.ranking import Standing
from keras_evonas.project.record import End
from keras_evonas.project.record import Event
from keras_evonas.project.record import SearchRecord


class Events:
    """All that has happened in a search, and what follows from it.

    It begins with an engine that knows of no event yet.

    Attributes:
        ranking: The completed trials in their order.
        since_best: Integer, how many trials have ended since the best one.
        epochs: Integer, how many epochs all trials that ended have trained.
        without_epochs: The first completed trial whose epochs are not known,
            or `None`.
        trial_ids: The trials in the order of births.
    """

    def __init__(self, engine: Engine, record: SearchRecord) -> None:
        self.engine = engine
        self.ranking = Ranking()
        self.since_best = 0
        self.epochs = 0
        self.without_epochs: str | None = None
        self._record = record
        self.trial_ids: list[str] = []
        self._ended = 0
        # Completed trials in the order of their ends, and how many of them
        # there were at each birth.
        self._completed: list[str] = []
        self._completed_at: dict[str, int] = {}
        self._elapsed_before = 0.0
        self._began: float | None = None

    # The clock.

    @property
    def is_running(self) -> bool:
        """True if the clock of the search is running."""
        return self._began is not None

    def start(self) -> None:
        """Starts the clock of the search."""
        self._began = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds that the search has taken, without interruptions."""
        if self._began is None:
            return self._elapsed_before
        return self._elapsed_before + time.monotonic() - self._began

    # Events.

    def born(self, trial_id: str) -> None:
        """Records the birth of the individual that the engine proposed.

        Raises a `keras_tuner.errors.FatalTypeError` if it proposed none.
        """
        individual = self.engine.history.pending.get(int(trial_id))
        if individual is None:
            raise keras_tuner.errors.FatalTypeError(
                "`populate_space` must return what `super().populate_space` "
                "returns, with other values if you like, since the strategy "
                "learns from every trial that it proposed. Received: values "
                f"of its own for trial '{trial_id}'. Write a `strategy`, or "
                "derive from `keras_tuner.Oracle`."
            )
        self._record.birth(trial_id, individual)
        self._note_birth(trial_id)

    def ended(self, end: End) -> None:
        """Records the end of a trial's run.

        Raises a `BookkeepingError` if the strategy cannot take it in.
        """
        self._record.end(end)
        try:
            self._absorb(end)
        except Exception as error:
            raise BookkeepingError(
                f"`strategy` could not take the end of trial '{end.trial_id}': "
                f"{error!r}. The search stops; this end and all before are "
                "recorded. Mend the strategy, and run the program again: it "
                "goes on from there."
            ) from error

    def replay(self, event: Event) -> None:
        """Takes an event from the record."""
        if isinstance(event, End):
            self._elapsed_before = event.elapsed
            self._absorb(event)
            return
        trial_id, individual = event
        self._note_birth(trial_id)
        self.engine.record(individual)

    def _note_birth(self, trial_id: str) -> None:
        self.trial_ids.append(trial_id)
        self._completed_at[trial_id] = len(self._completed)

    def completed_before(self, trial_id: str) -> list[str]:
        """Returns the trials that had completed when another was born."""
        return self._completed[: self._completed_at[trial_id]]

    def _absorb(self, end: End) -> None:
        self.epochs += end.epochs or 0
        if end.status == "COMPLETED" and end.epochs is None:
            self.without_epochs = self.without_epochs or end.trial_id
        if end.status == "INVALID":  # It is tried again.
            return
        losses = None if end.losses is None else tuple(end.losses)
        self.engine.tell(
            int(end.trial_id),
            losses,
            genome=self._genome_of(end.values),
            violation=end.violation,
        )
        self._ended += 1
        self.since_best += 1
        if losses is None:
            return
        self._completed.append(end.trial_id)
        individual = self.individual(end.trial_id)
        parent = individual.continues
        standing = Standing(
            trial_id=end.trial_id,
            losses=losses,
            ended=self._ended,
            violation=end.violation,
            rung=individual.rung,
            continues=None if parent is None else self.trial_ids[parent],
            ended_early=end.ended_early,
        )
        if self.ranking.add(standing):
            self.since_best = 0

    def _genome_of(self, values: Genome) -> dict[str, Value]:
        # A trial that ended before the space grew has no value for new genes.
        complete = self.engine.space.complete(values)
        return {name: complete[name] for name in complete if name in values}

    # Individuals.

    def individual(self, trial_id: str) -> Individual:
        """Returns the individual of a trial, else raises a `KeyError`."""
        if not str(trial_id).isdecimal():
            raise KeyError(trial_id)
        return self.engine.history.individual(int(trial_id))

    def lineage(self, trial_id: str) -> list[Individual]:
        """Returns a trial's individual and its ancestors, the oldest first."""
        found: dict[int, Individual] = {}
        waiting = [int(trial_id)]
        while waiting:
            birth = waiting.pop()
            if birth not in found:
                found[birth] = self.engine.history.individual(birth)
                waiting.extend(found[birth].parents)
        return [found[birth] for birth in sorted(found)]
