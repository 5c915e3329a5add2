"""Lists, tables and drawings inside of the sections of a page."""

import collections
from collections.abc import Sequence

from keras_evonas.project import html
from keras_evonas.project import wording
from keras_evonas.project.html import Markup
from keras_evonas.project.html import tag
from keras_evonas.project.search import Search
from keras_evonas.project.search import Trial
from keras_evonas.reports import architecture
from keras_evonas.reports import lineage
from keras_evonas.reports.figures import ancestry

_LISTED_MESSAGES = 20
_LISTED_EDGES = 300
_LISTED_CHANGES = 12
# Coarse classes of layers, which give them their colours.
_FAMILIES = ("Conv", "Dense", "Pool", "Norm", "Drop", "Input")


def folded(summary: str, content: Markup) -> Markup:
    """Hides a piece behind its summary, until that is clicked on."""
    return tag("details", tag("summary", summary), content)


def trials_table(
    search: Search, trials: Sequence[Trial], *, made: bool = False
) -> Markup:
    """Returns scores and genes of trials, and by which operator on demand."""
    rows: list[list[object]] = []
    timed = any(trial.epochs is not None for trial in trials)
    for trial in trials:
        operator = wording.MISSING
        if search.evolved:
            operator = wording.plain_operator(trial.operator)
        parts = [
            html.join(
                [name, " ", tag("strong", wording.gene_value(value)), "  "]
            )
            for name, value in trial.genes.items()
        ]
        rows.append(
            [
                trial.trial_id,
                *map(wording.number, trial.scores or ()),
                *([_epochs(trial)] if timed else []),
                *([operator] if made else []),
                tag("span", *parts, class_="genes"),
            ]
        )
    names = [objective.name for objective in search.objectives]
    middle = ["Epochs"] * timed + ["What made it"] * made
    return html.table(["Trial", *names, *middle, "Genes"], rows)


def _epochs(trial: Trial) -> str:
    if trial.epochs is None:
        return wording.MISSING
    return f"{trial.epochs}{', ended early' * trial.ended_early}"


def drawn(model: architecture.Architecture) -> Markup:
    """Draws a model as blocks, one for each layer."""
    blocks = []
    for block in model.blocks:
        details = list(block.details)
        if block.shape is not None:
            shape = f" {wording.TIMES} ".join(
                "?" if n is None else str(n) for n in block.shape
            )
            details.append(f"takes {shape}")
        if not model.is_chain and block.inputs:
            details.append("from " + ", ".join(block.inputs))
        families = (one.lower() for one in _FAMILIES if one in block.kind)
        blocks.append(
            tag(
                "li",
                tag("b", block.kind),
                tag("span", block.name, class_="muted"),
                *(tag("span", detail) for detail in details),
                class_="block",
                data_kind=next(families, "other"),
            )
        )
    return tag("ol", *blocks, class_="blocks")


def story(search: Search, steps: tuple[lineage.Step, ...]) -> Markup:
    """Returns the line of descent as a list, the oldest ancestor first."""
    first = steps[0].parent
    items = [
        tag(
            "li",
            tag("b", f"Trial {first.trial_id}"),
            tag("span", search.describe(first), class_="score"),
            tag("p", wording.plain_operator(first.operator)),
        )
    ]
    for step in steps:
        way = ""
        if step.gain:
            way = "gain" if step.gain > 0 else "loss"
        partner = [
            parent.trial_id
            for parent in search.parents(step.child)
            if parent.trial_id != step.parent.trial_id
        ]
        made = wording.plain_operator(step.child.operator)
        if partner:
            made += f" (the other parent is trial {', '.join(partner)})"
        items.append(
            tag(
                "li",
                tag("b", f"Trial {step.child.trial_id}"),
                tag("span", search.describe(step.child), class_="score"),
                tag("span", _gain(step), class_=f"chip {way}"),
                tag("p", made),
                tag("p", *_changes(step), class_="genes"),
            )
        )
    listed = tag("ol", *items, class_="story")
    return tag("div", listed, class_="tall", tabindex="0")


def _gain(step: lineage.Step) -> str:
    return wording.MISSING if step.gain is None else wording.signed(step.gain)


def _changes(step: lineage.Step) -> list[Markup]:
    texts = map(ancestry.change_text, step.changes)
    shown = [tag("code", text) for text in texts][:_LISTED_CHANGES]
    if len(step.changes) > _LISTED_CHANGES:
        more = len(step.changes) - _LISTED_CHANGES
        shown.append(html.text(f"and {more} more"))
    return [html.join([one, " "]) for one in shown]


def edges_table(steps: tuple[lineage.Step, ...]) -> Markup:
    """Returns the edges of a family tree as a table."""
    rows = [
        [
            f"{step.parent.trial_id} → {step.child.trial_id}",
            step.child.operator or wording.MISSING,
            html.join(_changes(step)),
            _gain(step),
        ]
        for step in steps[-_LISTED_EDGES:]
    ]
    return html.table(["Parent → child", "Operator", "Changed", "Gain"], rows)


def messages(failed: list[Trial]) -> Markup:
    """Lists failures, grouped by the last line of their message."""
    groups = collections.defaultdict(list)
    for trial in failed:
        lines = (trial.message or "no message").strip().splitlines()
        groups[lines[-1] if lines else "no message"].append(trial)
    listed = sorted(groups.items(), key=lambda item: -len(item[1]))
    parts = []
    for line, trials in listed[:_LISTED_MESSAGES]:
        names = ", ".join(trial.trial_id for trial in trials[:12])
        if len(trials) > 12:
            names += f" and {len(trials) - 12} more"
        count = f"{len(trials)} {wording.TIMES}"
        chip = tag("span", count, class_="chip loss")
        whole = tag("pre", (trials[0].message or "no message")[-8000:])
        note = tag("p", f"Trials {names}", class_="note")
        summary = html.join([chip, " ", wording.shorten(line, 160)])
        parts.append(folded(summary, html.join([note, whole])))
    if len(listed) > _LISTED_MESSAGES:
        more = len(listed) - _LISTED_MESSAGES
        parts.append(tag("p", f"and {more} other messages", class_="note"))
    return html.join(parts)
