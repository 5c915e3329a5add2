"""Sentences and tables about networks that were trained again."""

from keras_evonas.project import html
from keras_evonas.project import wording
from keras_evonas.project.ablation import AblationResult
from keras_evonas.project.ablation import GeneEffect
from keras_evonas.project.html import Markup
from keras_evonas.project.html import tag
from keras_evonas.project.search import Finalist
from keras_evonas.project.search import Search


def chosen(search: Search) -> Finalist | None:
    """Returns the finalist that was chosen, if any."""
    return next((one for one in search.finalists if one.chosen), None)


def score_name(search: Search) -> str:
    """Returns the name of the score that finalists are compared by."""
    return search.objectives[0].name if search.objectives else "score"


def sentence(search: Search, finalist: Finalist) -> Markup:
    """Names the chosen network and its score on unseen data."""
    trainings = wording.plural(len(finalist.honest_scores), "training")
    said = [
        "The network that was chosen is ",
        tag("strong", finalist.name),
        f": {score_name(search)} {mean_and_spread(finalist)} on unseen data, "
        f"in {trainings}",
    ]
    if finalist.search_score is not None:
        score = wording.number(finalist.search_score)
        said.append(f"; in the search it scored {score}")
    if search.best is not None and search.best.trial_id == finalist.trial_id:
        said.append(", which was the best there, too")
    return html.join([*said, "."])


def mean_and_spread(finalist: Finalist) -> str:
    """Writes the score on unseen data, such as `0.984 ± 0.002`."""
    mean = wording.number(finalist.mean)
    if finalist.spread is None:
        return mean
    return f"{mean} ± {wording.number(finalist.spread, 2)}"


def finalists_lead(search: Search) -> Markup:
    """Returns what came out of retraining the finalists."""
    said: list[str] = [
        "The best of many scores looks better than its network is, because "
        "luck is selected too. So the best networks were trained again, and "
        "scored on data that the search never saw. "
    ]
    finalist = chosen(search)
    if finalist is not None:
        said.append(sentence(search, finalist))
    return html.join(said)


def finalists_table(search: Search) -> Markup:
    """Returns a table of the finalists, the chosen one first."""
    rows = [
        [
            tag("strong", one.name) if one.chosen else one.name,
            wording.number(one.search_score),
            wording.number(one.mean),
            wording.number(one.spread, 3),
            len(one.honest_scores),
            wording.number(one.params),
        ]
        for one in search.finalists
    ]
    header = ["Network", "Search", "Unseen", "Spread", "Trainings", "Params"]
    return html.table(header, rows)


def ablation_lead(result: AblationResult) -> str:
    """Returns which gene the network owes most to."""
    said = (
        "One gene after the other was put back to its default, and the "
        "network trained anew."
    )
    measured = [
        (one.mean, one) for one in result.effects if one.mean is not None
    ]
    if not measured:
        return f"{said} No such network could be trained."
    (most, first), (least, last) = measured[0], measured[-1]
    if most > 0:
        said += (
            f" {_capitalized(result.network)} owes most to {_named(first)}, "
            "which is worth "
            f"{wording.signed(most)}{_doubt(most, first.spread)}."
        )
    else:
        said += " No gene does better than its default."
    if last is not first and least < 0:
        said += (
            f" It would do better without {_named(last)} "
            f"({wording.signed(least)}{_doubt(least, last.spread)})."
        )
    if result.skipped:
        said += (
            f" {wording.plural(len(result.skipped), 'gene')} not measured: "
            f"{', '.join(result.skipped[:10])}."
        )
    return said


def _capitalized(name: str) -> str:
    return name[:1].upper() + name[1:]


def _named(one: GeneEffect) -> str:
    return f"{one.gene} = {wording.gene_value(one.value)}"


def _doubt(mean: float, spread: float | None) -> str:
    if spread is None:
        return ", in a single training"
    if spread >= abs(mean):
        return ", within the spread of the trainings"
    return ""


def ablation_table(result: AblationResult) -> Markup:
    """Returns a table of the genes, the most valuable first."""
    rows = [
        [
            tag("code", html.breakable(one.gene)),
            wording.gene_value(one.value),
            wording.gene_value(one.default),
            wording.MISSING if one.mean is None else wording.signed(one.mean),
            wording.number(one.spread, 3),
            f"{len(one.gains)}, then failed" if one.message else len(one.gains),
        ]
        for one in result.effects
    ]
    header = ["Gene", "Value", "Default", "Worth", "Spread", "Trainings"]
    return html.table(header, rows)
