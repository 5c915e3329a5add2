"""The time of a search, stage by stage, for the benchmark of throughput."""

import collections
import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterator
from collections.abc import Sequence

import keras
import keras_tuner

from keras_evonas.models.costs.measured import ModelCosts
from keras_evonas.training import programs
from keras_evonas.training.arrays import Arrays
from keras_evonas.training.checkpoints import BestWeights
from keras_evonas.training.shared_programs import Passes
from keras_evonas.training.shared_programs import Programs
from keras_evonas.training.templates import Prepare
from keras_evonas.tuners.builder import NetworkBuilder
from keras_evonas.tuners.reporting import Reporter


class Stages:
    """Takes the time of each stage of all trials in this process.

    Networks are trained side by side while the next is built, so that together
    the stages may take longer than the search.

    Attributes:
        seconds: Mapping from the names of stages to their time in all.
        num_shared: Integer, number of networks that shared a program.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = collections.defaultdict(float)
        self.num_shared = 0
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Counts what runs as a stage; decorates functions, too."""
        start = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self.seconds[stage] += time.perf_counter() - start

    def watch(self, oracle: keras_tuner.Oracle) -> None:
        """Begins to take the time, for the rest of this process."""
        for stage, owner, name in (
            ("propose", oracle, "create_trial"),
            ("build", NetworkBuilder, "build_for"),
            ("prepare", programs, "prepare"),
            ("trace", Programs, "passes_of"),
            ("costs", ModelCosts, "__call__"),
            ("write", BestWeights, "write"),
            ("report", Reporter, "report"),
        ):
            setattr(owner, name, self.timed(stage)(getattr(owner, name)))
        trace = Programs.passes_of

        def passes_of(
            known: Programs,
            model: keras.Model,
            data: Sequence[Arrays],
            prepare: Prepare,
        ) -> Passes:
            before = known.num_shared
            found = trace(known, model, data, prepare)
            self.num_shared += known.num_shared - before
            timed = [
                self.timed(stage)(one)
                for stage, one in zip(
                    ("train", "validate"), found.passes, strict=False
                )
            ]
            return dataclasses.replace(found, passes=timed)

        setattr(Programs, "passes_of", passes_of)  # noqa: B010
