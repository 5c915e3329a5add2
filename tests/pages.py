"""What a page shows of the ranking, read back from its HTML."""

import dataclasses
import re

import pytest

from keras_evonas.project.search import Search


@dataclasses.dataclass(frozen=True)
class Shown:
    """Trials as a page names them, by identifier.

    Args:
        best: All that it calls the best network: in its first sentence, and
            above the genes.
        rows: The rows of the table of the best networks.
        front: Those of the table of the front.
        numbers: The score of the best, as the tiles show it.
    """

    best: list[str]
    rows: list[str]
    front: list[str]
    numbers: list[str]


def shown_on_page(search: Search) -> Shown:
    """Renders the page of a search, and reads what it says of the ranking."""
    pytest.importorskip("plotly")
    from keras_evonas.reports import page

    # Without a space there are no importances, which take seconds.
    text = page.render(dataclasses.replace(search, space=None))
    objective = re.escape(search.objectives[0].name)
    return Shown(
        best=[
            *re.findall(
                r"(?:best network|keeps)[^<]* is <strong>trial (\S+)</st", text
            ),
            *re.findall(r'<section id="winner".*?>Trial (\S+?),', text),
        ],
        rows=_first_cells(text, "best networks?"),
        front=_first_cells(text, "networks on the front"),
        numbers=re.findall(rf"<dt>best {objective}</dt><dd>(.*?)</dd>", text),
    )


def _first_cells(text: str, summary: str) -> list[str]:
    found = re.search(f"{summary}</summary>(.*?)</table>", text, re.DOTALL)
    return re.findall("<tr><td>([^<]*)</td>", found[1] if found else "")
