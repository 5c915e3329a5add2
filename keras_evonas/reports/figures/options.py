"""Plots of a search by gradients: the weights of options over its epochs."""

from typing import Any

from keras_evonas.project import wording
from keras_evonas.project.option_weights import OptionWeights
from keras_evonas.reports.figures import base
from keras_evonas.reports.figures.base import Figure

# A page shows so many choices at most.
MOST_CHOICES = 24


def weights(found: OptionWeights) -> list[Figure]:
    """Draws the weights of each choice's options, one plot a choice."""
    names = list(found.options)[:MOST_CHOICES]
    return [_of_choice(found, name) for name in names]


def _of_choice(found: OptionWeights, choice: str) -> Figure:
    epochs = list(range(1, len(found.epochs) + 1))
    place, weight = found.likeliest(choice)
    data = []
    for index, option in enumerate(found.options[choice]):
        skip = index in found.skips.get(choice, ())
        look: dict[str, Any] = {"width": 3 if index == place else 1.5}
        if skip:
            look["dash"] = "dot"
        values = [row[choice][index] for row in found.epochs]
        # An option ends where it was left out.
        shown = [value if value > 0 else None for value in values]
        data.append(
            base.line(
                epochs,
                shown,
                name=wording.gene_value(option),
                color=base.SERIES[index % len(base.SERIES)],
                line=look,
                mode="lines+markers",
                marker={"size": 4},
                hovertemplate="epoch %{x}: %{y:.1%}",
            )
        )
    best = wording.gene_value(found.options[choice][place])
    return Figure(
        f"options-{choice.replace('/', '-')}",
        choice,
        f"Most weight: {best}, {wording.percent(weight)}.",
        data,
        {
            "xaxis": base.whole_axis("epoch", len(found.epochs)),
            "yaxis": base.axis("weight", tickformat=".0%", rangemode="tozero"),
        },
        height=300,
    )
