"""The top of a page: its first sentences, and the numbers below them."""

from keras_evonas.project import html
from keras_evonas.project import wording
from keras_evonas.project.html import Markup
from keras_evonas.project.html import tag
from keras_evonas.project.search import Search
from keras_evonas.reports import retrained
from keras_evonas.reports.importance import FEWEST_TRIALS
from keras_evonas.reports.importance import Importance

_NAMED_GENES = 4


def sentences(search: Search, importance: Importance | None) -> Markup:
    """Returns the two or three sentences that matter most."""
    best = search.best
    if best is None:
        return tag("p", _nothing_yet(search), class_="verdict")
    chosen = search.chosen
    said: list[str | Markup] = []
    if chosen is not None:
        said = [retrained.sentence(search, chosen), " "]
    if chosen is None or chosen.trial_id != best.trial_id:
        best_of = f"The best network{in_what(search)} is"
        if chosen is not None:
            best_of = f"The search's best trial{in_what(search)} is"
        said += [
            f"{search.none_feasible or best_of} ",
            tag("strong", f"trial {best.trial_id}"),
            f": {search.describe(best)}. ",
        ]
    if chosen is None:
        said += _on_luck(search)
    if len(search.objectives) > 1:
        count = wording.plural(len(search.front), "network")
        said.append(f"{count} on the Pareto front. ")
    said.append(on_genes(search, importance))
    return tag("p", *said, class_="verdict")


def _on_luck(search: Search) -> list[str | Markup]:
    """Returns a sentence if another trial is expected to be better."""
    other = search.better_than_best
    if other is None:
        return []
    return [
        "Trained again, ",
        tag("strong", f"trial {other.trial_id}"),
        f" ({search.describe(other)}) is expected to be better, going by "
        "networks that resemble it. ",
    ]


def in_what(search: Search) -> str:
    """Names the objective that the best network is best in, of several."""
    if len(search.objectives) == 1:
        return ""
    return f" in {search.objectives[0].name}"


def on_genes(
    search: Search, importance: Importance | None, index: int = 0
) -> Markup:
    """Returns a sentence that names the genes that mattered to an objective."""
    count = wording.plural(len(search.completed), "trial")
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
    name = search.objectives[index].name
    if not importance.sure:
        return html.text(
            f"Which genes mattered for {name} cannot be told from {count}, "
            "since with any gene's values shuffled among them the scores are "
            f"explained about as well{_measured_instead(search)}."
        )
    first, *others = importance.sure[:_NAMED_GENES]
    opening = "The gene that mattered most is "
    if len(importance.sure) == 1:
        opening = "The only gene that surely mattered is "
    said: list[str] = [opening, tag("strong", first)]
    if importance.has_shares:
        said.append(f": it accounts for {share(importance, first)}")
        said.append(f" of the differences in {name} that genes explain")
    if others:
        said.append(", followed by ")
    for place, gene in enumerate(others):
        said += [", " if place else "", tag("strong", gene)]
        if importance.has_shares:
            said.append(f" ({share(importance, gene)})")
    if len(importance.sure) > _NAMED_GENES:
        more = len(importance.sure) - _NAMED_GENES
        said.append(f" and {wording.plural(more, 'more gene')}")
    if not importance.has_shares:
        one = "each" if others else "it"
        said.append(
            f". How much of the differences in {name} {one} explains cannot be "
            f"told from {count}: the model of them predicts trials that it has "
            "not seen no better than their mean does"
        )
    return html.join([*said, "."])


def _measured_instead(search: Search) -> str:
    if search.ablation is None:
        return "; more trials, or `tuner.ablate`, would tell"
    name = search.ablation.network
    return f"; what each gene of {name} is worth was measured, see below"


def share(importance: Importance, gene: str) -> str:
    """Writes a gene's share with its uncertainty, such as `62 % ± 8 %`."""
    total = wording.percent(importance.total[gene])
    spread = importance.spread[gene]
    return f"{total} ± {wording.percent(spread)}" if spread else total


def tiles(search: Search, importance: Importance | None) -> Markup:
    """Returns the numbers at the top."""
    best = search.best
    found = []
    chosen = search.chosen
    if chosen is not None:
        label = f"{search.score_name} of {chosen.name} on unseen data"
        found.append((chosen.score, label))
    if best is not None:
        found += [
            (wording.number(_best_score(search, i)), f"best {objective.name}")
            for i, objective in enumerate(search.objectives[:2])
        ]
    weights = search.option_weights
    if weights is not None:
        found.append((f"{len(weights.epochs):,}", "epochs by gradients"))
    if weights is None or search.trials:
        done = sum(trial.completed for trial in search.recorded)
        # A program that was run again may have asked for fewer; a search that
        # was stopped will not reach its number.
        is_planned = search.max_trials and done <= search.max_trials
        is_planned = is_planned and search.stopped is None
        planned = f" of {search.max_trials:,}" if is_planned else ""
        found.append((f"{done:,}{planned}", "trials done"))
    if len(search.trials) < len(search.recorded):
        found.append((f"{len(search.completed):,}", "networks"))
    if search.epochs is not None:
        found.append((f"{search.epochs:,}", "epochs"))
    if search.failures:
        found.append((f"{len(search.failures):,}", "failed"))
    if search.unfinished:
        count = f"{len(search.unfinished):,}"
        found.append((count, "running or interrupted"))
    if search.elapsed is not None:
        found.append((wording.duration(search.elapsed), "time so far"))
    if importance is not None and importance.sure:
        name = wording.shorten(importance.sure[0], 26)
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
    """Returns the best score of an objective, on the front if there is one."""
    trials = search.front or search.ranking[:1]
    best = min(trials, key=lambda trial: search.losses(trial)[index])
    return search.losses(best)[index] * search.objectives[index].loss(1.0)


def _nothing_yet(search: Search) -> str:
    weights = search.option_weights
    if not search.trials and weights is not None:
        return (
            f"{weights.headline()} It has no trials: no network was trained "
            "by itself, so that none has a score. Begin an ordinary search "
            "with `likeliest`."
        )
    if not search.trials:
        return "The search has begun, but no trial has been recorded yet."
    if search.failures and not search.unfinished:
        return (
            "Every trial has failed, so there is no best network. The "
            "messages are below."
        )
    return "No trial has completed yet."
