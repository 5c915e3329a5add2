"""The top of a report: what matters most, in sentences and in figures."""

from keras_evonas.project import html
from keras_evonas.project import wording
from keras_evonas.project.html import Markup
from keras_evonas.project.html import tag
from keras_evonas.project.search import Search
from keras_evonas.reports.importance import FEWEST_TRIALS
from keras_evonas.reports.importance import Importance

# Below this R² the shares are called rough.
_ROUGH_FIT = 0.5
# A gene with so much of the first one's share matters about as much.
_CLOSE = 0.8


def sentences(search: Search, importance: Importance | None) -> Markup:
    """The two or three sentences that matter most."""
    best = search.best
    if best is None:
        return tag("p", _nothing_yet(search), class_="verdict")
    said = [
        html.join(
            [
                f"The best network{in_what(search)} is ",
                tag("strong", f"trial {best.trial_id}"),
                f": {search.describe(best)}. ",
            ]
        )
    ]
    if len(search.objectives) > 1:
        said.append(
            html.text(
                f"{wording.plural(len(search.front), 'network')} on the "
                "Pareto front. "
            )
        )
    said.append(on_genes(search, importance))
    return tag("p", *said, class_="verdict")


def in_what(search: Search) -> str:
    """Of several objectives, the one that the best network is best in."""
    if len(search.objectives) == 1:
        return ""
    return f" in {search.objectives[0].name}"


def on_genes(search: Search, importance: Importance | None) -> Markup:
    """Which gene mattered most, in a sentence."""
    if importance is None and len(search.completed) >= FEWEST_TRIALS:
        return html.text(
            "No gene made a difference: all networks are equal, or score the "
            "same."
        )
    if importance is None:
        return html.text(
            f"With {FEWEST_TRIALS} completed trials or more, this page "
            "will tell which gene mattered most."
        )
    if not importance.reliable:
        return html.text(
            "Which gene mattered most cannot be told yet: the scores do "
            f"not follow the genes well enough (R² = {importance.fit:.2f}). "
            "More trials, or more epochs each, would help."
        )
    name = search.objectives[0].name
    rough = importance.fit < _ROUGH_FIT
    doubt = " This is a rough estimate; more trials make it firmer."
    said = [_leaders(importance), f" of the differences in {name}."]
    return html.join([*said, doubt * rough])


def _leaders(importance: Importance) -> Markup:
    """Names the first gene, and the second if it matters about as much."""
    first, *others = importance.names
    share = importance.total[first]
    close = [n for n in others[:1] if importance.total[n] >= _CLOSE * share]
    if not close:
        return html.join(
            [
                "The gene that mattered most is ",
                tag("strong", first),
                f": it accounts for {wording.percent(share)}",
            ]
        )
    return html.join(
        [
            "The genes that mattered most are ",
            tag("strong", first),
            " and, about as much, ",
            tag("strong", close[0]),
            f": they account for {wording.percent(share)} and "
            f"{wording.percent(importance.total[close[0]])}",
        ]
    )


def tiles(search: Search, importance: Importance | None) -> Markup:
    """The figures at the top."""
    best = search.best
    found = []
    if best is not None:
        found += [
            (wording.number(_best_score(search, i)), f"best {objective.name}")
            for i, objective in enumerate(search.objectives[:2])
        ]
    planned = f" of {search.max_trials:,}" if search.max_trials else ""
    found.append((f"{len(search.completed):,}{planned}", "trials done"))
    if search.failures:
        found.append((f"{len(search.failures):,}", "failed"))
    if search.unfinished:
        count = f"{len(search.unfinished):,}"
        found.append((count, "running or interrupted"))
    if search.elapsed is not None:
        found.append((wording.duration(search.elapsed), "time so far"))
    if importance is not None and importance.reliable:
        name = wording.shorten(importance.names[0], 26)
        found.append((name, "mattered most"))
    return tag(
        "dl",
        *(
            tag("div", tag("dt", label), tag("dd", value), class_="tile")
            for value, label in found
        ),
        class_="tiles",
    )


def _best_score(search: Search, index: int) -> float:
    """The best score of an objective, of the front if there is one."""
    trials = search.front or search.ranking[:1]
    best = min(trials, key=lambda trial: search.losses(trial)[index])
    return search.losses(best)[index] * search.objectives[index].loss(1.0)


def _nothing_yet(search: Search) -> str:
    if not search.trials:
        return "The search has begun, but no trial has been recorded yet."
    if search.failures and not search.unfinished:
        return (
            "Every trial has failed, so there is no best network. The "
            "messages are below."
        )
    return "No trial has completed yet."
