"""Sentences and tables about networks that were trained again."""

from keras_evonas.project import html
from keras_evonas.project import wording
from keras_evonas.project.ablation import AblationResult
from keras_evonas.project.ablation import GeneEffect
from keras_evonas.project.html import Markup
from keras_evonas.project.html import tag
from keras_evonas.project.search import Finalist
from keras_evonas.project.search import Search


def finalists_lead(search: Search) -> str:
    """What came out of judging the finalists."""
    said = (
        "The best of many looks better than it is, because luck is selected "
        "too. These networks were judged again."
    )
    chosen = next((one for one in search.finalists if one.chosen), None)
    if chosen is None:
        return said
    said += f" Chosen: {chosen.name}, {_measured(chosen)}."
    if chosen.search_score is not None:
        said += f" The search believed {wording.number(chosen.search_score)}."
    return said


def finalists_table(search: Search) -> Markup:
    """The finalists, the chosen one first."""
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
    header = ["Network", "Search", "Honest", "Spread", "Trainings", "Params"]
    return html.table(header, rows)


def _measured(one: Finalist) -> str:
    trainings = wording.plural(len(one.honest_scores), "training")
    spread = ""
    if one.spread is not None:
        spread = f" ± {wording.number(one.spread, 2)}"
    return f"{wording.number(one.mean)}{spread} in {trainings}"


def ablation_lead(result: AblationResult) -> str:
    """Which gene the network owes most to."""
    said = (
        "One gene after the other was put back to its default, and the "
        "network trained anew."
    )
    told = [one for one in result.effects if one.mean is not None]
    if not told:
        return f"{said} No such network could be trained."
    first, last = told[0], told[-1]
    if first.mean > 0:
        said += (
            f" {_capitalized(result.network)} owes most to {_named(first)}, "
            "which is worth "
            f"{wording.signed(first.mean)}{_doubt(first)}."
        )
    else:
        said += " No gene does better than its default."
    if last is not first and last.mean < 0:
        said += (
            f" It would do better without {_named(last)} "
            f"({wording.signed(last.mean)}{_doubt(last)})."
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


def _doubt(one: GeneEffect) -> str:
    if one.spread is None:
        return ", in a single training"
    if one.spread >= abs(one.mean):
        return ", within the spread of the trainings"
    return ""


def ablation_table(result: AblationResult) -> Markup:
    """The genes, the most valuable first."""
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
