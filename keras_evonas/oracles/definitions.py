"""Notices that a hypermodel asks for another search space than before.

keras-tuner 1.4.8 keeps the first definition of a name and conditions: a range
that changed between two runs of a program is silently ignored, and values
outside of it are proposed. Here such a change ends the search.

A definition may also depend on other hyperparameters, as in
`hp.Int("second", 1, hp.get("first"))`. A name whose definition was seen to vary
within one run of the program is recorded with the trial that showed it, and is
never compared again. Otherwise definitions count as changed if no dependence
explains the difference; see `Definitions.differs`.
"""

import copy
import warnings
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence

import keras_tuner

from keras_evonas import hyperparameters as hp_lib
from keras_evonas.project.record import End
from keras_evonas.project.record import Entries

# A definition that stayed the same for so many values of an ordered
# hyperparameter does not depend on it.
_ENOUGH = 3

Values = Mapping[str, object]


class Definitions:
    """Compares definitions of hyperparameters with those that are known.

    Args:
        registered: Hyperparameters that the user registered. They stand in for
            those of the hypermodel, so that differences are meant.
    """

    def __init__(self, registered: Iterable[hp_lib.HyperParameter]) -> None:
        self._registered = tuple(registered)
        # By identity: those that are not compared (any more).
        self._settled = {hp_lib.identity(hp): hp for hp in self._registered}
        # Names that were seen to vary.
        self._varying: set[str] = set()
        # Definitions that may depend on others, or may have changed.
        self._unexplained: dict[str, str] = {}
        # What is not recorded yet.
        self._news: dict[str, list[str]] = {"varying": [], "unexplained": []}
        self._refuse: Callable[[str], None] | None = None
        self._at_first: Sequence[str] = ()
        self._known: set[str] = set()
        # Values with which the known definitions were asked for, each with the
        # names of which this is uncertain.
        self._points: list[tuple[Values, frozenset[str]]] = []
        # Those of trials that have asked for all there is to ask for.
        self._complete: list[Values] = []

    def resume(
        self,
        known: keras_tuner.HyperParameters,
        entries: Entries,
        refuse: Callable[[str], None],
    ) -> None:
        """Begins to compare with the space and the record of a folder.

        `refuse` raises an error about a change.
        """
        ends = [event for event in entries.events if isinstance(event, End)]
        self._refuse = refuse
        self._at_first = at_first = entries.terms.space
        self._known = {hp.name for hp in known.space}
        recorded = {name for end in ends for name in end.varying}
        self._news["varying"] = sorted(self._varying - recorded)
        self._varying |= recorded
        for hp in known.space:
            if hp.name in self._varying:
                self._settled[hp_lib.identity(hp)] = hp
        default = hp_lib.to_space(known).default
        # What a tuner asked for when it explored the hypermodel.
        explored = {name: default[name] for name in at_first if name in default}
        uncertain: frozenset[str] = frozenset()
        self._points = [(explored, uncertain)]
        for end in ends:
            uncertain |= set(end.unexplained)
            self._points.append((end.values, uncertain))
        self._complete = [e.values for e in ends if e.status == "COMPLETED"]

    def elsewhere(self) -> "Definitions | None":
        """Returns the same for another process, where it can be sent to.

        Definitions that vary there are not recorded.
        """
        if self._refuse is None:
            return None
        twin = copy.copy(self)
        twin._refuse = hp_lib.refuse_change  # noqa: SLF001
        return twin

    def news(self) -> dict[str, list[str]]:
        """Returns what is to be recorded with the next end, each name once."""
        news = self._news
        self._news = {name: [] for name in news}
        return news

    # What builds ask for.

    def differs(
        self,
        known: hp_lib.HyperParameter,
        requested: hp_lib.HyperParameter,
        asked: Values,
    ) -> None:
        """Judges a requested definition that is not the known one.

        It has changed unless it may depend on another hyperparameter that the
        build has `asked` for before: on one whose value is new, and of which
        the known definition was not seen with several values.
        """
        identity = hp_lib.identity(known)
        if identity in self._settled:
            return
        if self._refuse is None:
            self._note(known)
        elif not any(
            self._may_depend(known.name, parent, value)
            for parent, value in asked.items()
            if parent != known.name
        ):
            self._refuse(hp_lib.describe_change(known, requested))
        else:
            definition = hp_lib.definition(requested)
            if identity not in self._unexplained:
                self._unexplained[identity] = definition
                self._news["unexplained"].append(known.name)
            elif self._unexplained[identity] != definition:
                self._note(known)

    def _may_depend(self, name: str, parent: str, value: object) -> bool:
        seen = {
            values[parent]
            for values, uncertain in self._points
            if name in values and parent in values and name not in uncertain
        }
        is_ordered = type(value) in (int, float)
        return value not in seen and not (is_ordered and len(seen) >= _ENOUGH)

    def _note(self, known: hp_lib.HyperParameter) -> None:
        self._settled[hp_lib.identity(known)] = known
        if known.name not in self._varying:
            self._varying.add(known.name)
            self._news["varying"].append(known.name)

    def is_new(self, requested: hp_lib.HyperParameter, asked: Values) -> None:
        """Judges a hyperparameter that the folder does not have.

        A trial that had the same values for all that was `asked` before would
        have asked for it, too, so that the hypermodel has changed.
        """
        name = requested.name
        if self._refuse is None or name in self._known:
            return
        for values in self._complete:
            if name not in values and asked.items() <= values.items():
                self._refuse(hp_lib.describe_new(requested))

    def check_names(self, hyperparameters: keras_tuner.HyperParameters) -> None:
        """Warns once of names that a trial that has ended may have renamed."""
        if self._refuse is None:
            return
        asked = set(getattr(hyperparameters, "asked", ()))
        new = sorted(asked - self._known)
        settled = {hp.name for hp in self._settled.values()}
        missing = [
            name
            for name in self._at_first
            if name in hyperparameters.values and name not in asked | settled
        ]
        self._known |= asked
        if new and missing:
            warnings.warn(
                f"A trial asked for {new}, which the search did not know, and "
                f"did not ask for {missing}. If hyperparameters were renamed, "
                "begin a new search with another `project_name`.",
                stacklevel=4,
            )

    # What a tuner finds when it explores a hypermodel.

    def changes(
        self,
        known: keras_tuner.HyperParameters,
        explored: keras_tuner.HyperParameters,
        *,
        can_grow: bool,
    ) -> list[str]:
        """Names what differs from what a hypermodel asked for at first.

        A tuner explores a hypermodel with its defaults, now as when the search
        began: definitions that are the same then are not compared any more.
        New hyperparameters count only where the search `can_grow`.
        """
        by_identity = {hp_lib.identity(hp): hp for hp in known.space}
        wanted = {hp.name: hp for hp in explored.space}
        names = {hp.name for hp in known.space}
        registered = {hp.name for hp in self._registered}
        new = [hp for name, hp in wanted.items() if name not in names]
        changes = [hp_lib.describe_new(hp) for hp in new if can_grow]
        changes += [
            f"'{name}' is not asked for any more"
            for name in self._at_first
            if name not in wanted and name not in registered
        ]
        for hp in explored.space:
            identity = hp_lib.identity(hp)
            old = by_identity.get(identity)
            if old is None or identity in self._settled:
                continue
            if hp.name not in self._at_first or self._registered:
                continue
            if hp_lib.definition(old) == hp_lib.definition(hp):
                self._settled[identity] = old
            elif not hp.conditions:  # Scopes are opened with other values.
                changes.append(hp_lib.describe_change(old, hp))
        return changes
