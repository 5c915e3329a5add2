"""The sections of a report: headings, sentences, tables and plots."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from keras_evonas.project import html
from keras_evonas.project import spaces as space_lib
from keras_evonas.project import wording
from keras_evonas.project.html import Markup
from keras_evonas.project.html import tag
from keras_evonas.project.search import Search
from keras_evonas.reports import architecture
from keras_evonas.reports import features as features_lib
from keras_evonas.reports import lineage
from keras_evonas.reports import pieces
from keras_evonas.reports import retrained
from keras_evonas.reports import verdict
from keras_evonas.reports.figures import ancestry
from keras_evonas.reports.figures import costs
from keras_evonas.reports.figures import genes
from keras_evonas.reports.figures import options
from keras_evonas.reports.figures import progress
from keras_evonas.reports.figures.base import Figure
from keras_evonas.reports.importance import Importance
from keras_evonas.reports.importance import gene_importance

_LISTED_TRIALS = 10
_LISTED_FRONT = 50
_SHOWN_GENES = 6


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the page: heading, message, then plots and pieces of HTML.

    Links point at the anchor. A list of plots is laid out side by side.
    """

    anchor: str
    title: str
    lead: str
    content: list[Figure | list[Figure] | Markup]


class Report:
    """All that a page says about a search."""

    def __init__(self, search: Search) -> None:
        self.search = search
        self.importances: list[Importance | None] = [
            gene_importance(search, index)
            for index in range(min(3, len(search.objectives)))
        ]
        finalist = search.chosen
        self._chosen = finalist
        # The finalist's trial, if it was one; its network then is `winner`.
        chosen = None if finalist is None else search.find(finalist.trial_id)
        self._winner_word = "best" if chosen is None else "chosen"
        self.winner = chosen or search.best
        self.importance = self.importances[0] if self.importances else None
        self._features: dict[str, features_lib.Feature] = {}
        if search.space is not None:
            genomes = [trial.genes for trial in search.trials]
            found = features_lib.features(search.space, genomes)
            self._features = {one.name: one for one in found}

    def sections(self) -> list[Section]:
        """Returns the sections that have any content, in their order."""
        parts = [
            self._progress(),
            self._winner(),
            self._front(),
            self._genes(),
            self._values(),
            self._family(),
            self._spread(),
            self._curves(),
            self._options(),
            self._costs(),
            self._finalists(),
            self._ablation(),
            self._failures(),
            self._about(),
        ]
        return [part for part in parts if part is not None]

    def _progress(self) -> Section | None:
        search = self.search
        if not search.completed:
            return None
        best = search.ranking[:_LISTED_TRIALS]
        said = f"The {len(best)} best networks"
        if len(best) == 1:
            said = "The best network"
        order = ""
        if any(trial.rung for trial in best):
            order = "Of the best networks those trained for longest come first."
        timed = progress.best_over_time(search)
        content: list[Any] = [
            progress.every_trial(search),
            *([timed] if timed else []),
            pieces.folded(said, pieces.trials_table(search, best, made=True)),
        ]
        return Section("progress", "How the search went", order, content)

    def _winner(self) -> Section | None:
        best, chosen = self.winner, self._chosen
        if best is None:
            return None
        title = f"The {self._winner_word} network"
        folder = self.search.folder
        if chosen is not None and self._winner_word == "best":
            # What was chosen is none of the trials, such as the default.
            title = "The network that was chosen"
            lead = f"It is {chosen.name}, and was none of the trials"
            model = architecture.find(folder, None)
            values = space_lib.active_values(self.search.space, chosen.values)
        else:
            if best is self.search.best:
                title += verdict.in_what(self.search)
            lead = f"Trial {best.trial_id}, {self.search.describe(best)}"
            model = architecture.find(folder, best)
            values = dict(best.values)
        content: list[Any] = [self._genes_table(values)]
        if model is None:
            lead += ". Below are the genes that are active in it."
        else:
            lead += f", drawn from {model.source}, with its genes below."
            content.insert(0, pieces.drawn(model))
        return Section("winner", title, lead, content)

    def _genes_table(self, values: Mapping[str, Any]) -> Markup:
        space = self.search.space
        active = space.active(values) if space is not None else ()
        defaults = {gene.name: gene.default for gene in active}
        result = self.importance
        shares = {}
        if result is not None and result.has_shares:
            shares = {one: verdict.share(result, one) for one in result.sure}
        rows: list[list[object]] = []
        genes_of_it = space_lib.without_training_values(values)
        for name, value in genes_of_it.items():
            own = html.breakable(wording.gene_value(value))
            default = wording.MISSING
            if name in defaults:
                default = html.breakable(wording.gene_value(defaults[name]))
            if value != defaults.get(name):
                own = tag("strong", own)
            rows.append([tag("code", html.breakable(name)), own, default])
            if shares:
                rows[-1].append(shares.get(name, wording.MISSING))
        note = tag("p", "Bold: not the default.", class_="note")
        header = ["Gene", "Value", "Default", *(["Mattered"] if shares else [])]
        return html.join([html.table(header, rows, class_="words"), note])

    def _front(self) -> Section | None:
        search = self.search
        if len(search.objectives) < 2 or not search.completed:
            return None
        shown = search.front[:_LISTED_FRONT]
        said = f"The {len(shown)} networks on the front"
        members = pieces.folded(said, pieces.trials_table(search, shown))
        return Section(
            "front",
            "What can be had for what",
            "Several objectives were searched at once, so there is no single "
            "best network but a front of good compromises.",
            [progress.pareto_fronts(search), members],
        )

    def _genes(self) -> Section | None:
        content: list[Any] = []
        leads: list[str] = []
        for index, result in enumerate(self.importances):
            leads += [verdict.on_genes(self.search, result, index), " "]
            if result is None or not result.has_shares:
                continue
            name = self.search.objectives[index].name
            plots = [genes.importance(result, name, index)]
            pairs = genes.interactions(result, index)
            if pairs is not None:
                plots.append(pairs)
            content.append(plots)
        if not content:
            return None
        leads += self._told_of_rungs()
        lead = html.join(leads)
        return Section("genes", "Which genes mattered", lead, content)

    def _values(self) -> Section | None:
        result = self.importance
        if result is None or not result.has_shares:
            return None
        plots = [
            genes.values(self.search, result, self._features[name])
            for name in result.sure[:_SHOWN_GENES]
        ]
        leads = [
            "The genes that surely mattered, the first one first. Blue: the "
            f"{self.search.objectives[0].name} of the networks that were "
            "tried. Orange: the score that is expected with this value, "
            "averaged over all that the other genes may be. ",
            *self._told_of_rungs(),
        ]
        lead = html.join(leads)
        return Section("values", "Which values did well", lead, [plots])

    def _told_of_rungs(self) -> list[str]:
        """Says what trainings of different length count with."""
        if not any(trial.rung for trial in self.search.completed):
            return []
        return [
            "Networks that were trained for less count with what they would "
            "have reached if they had gained as others did."
        ]

    def _family(self) -> Section | None:
        search, best = self.search, self.winner
        if best is None or not search.evolved:
            return None
        title = f"Where the {self._winner_word} network came from"
        steps = lineage.descent(search, best)
        if not steps:
            made = wording.plain_operator(best.operator)
            lead = f"It has no parents: it was {made}."
            return Section("family", title, lead, [])
        everything = lineage.family(search, best)
        first, rise = steps[0].parent, ""
        if first.completed and first.rung == best.rung:
            gain = search.losses(first)[0] - search.losses(best)[0]
            rise = f", a gain of {wording.signed(gain)} in all"
        lead = (
            f"It took {wording.plural(len(steps), 'step')} from trial "
            f"{first.trial_id} ({wording.plain_operator(first.operator)}) to "
            f"trial {best.trial_id}{rise}."
        )
        content: list[Any] = [
            ancestry.family_tree(search, best, self._winner_word),
            pieces.story(search, steps),
        ]
        if len(everything) > len(steps):
            said = f"All {len(everything)} lines of the tree"
            content.append(pieces.folded(said, pieces.edges_table(everything)))
        return Section("family", title, lead, content)

    def _spread(self) -> Section | None:
        result = self.importance
        names = list(self._features if result is None else result.names)
        spreads = [
            ancestry.spread(self.search, self._features[name])
            for name in names[:_SHOWN_GENES]
        ]
        plots = [figure for figure in spreads if figure is not None]
        if not plots:
            return None
        lead = (
            "The share of newborn networks that carry each value. A colour "
            "that takes over is a value that evolution favours"
        )
        if not self.search.evolved:
            lead += "; this search recorded no parents, so it shows what was "
            lead += "proposed"
        return Section("spread", "How genes spread", f"{lead}.", [plots])

    def _curves(self) -> Section | None:
        figure = genes.learning_curves(self.search)
        if figure is None:
            return None
        return Section("curves", "How networks learned", "", [figure])

    def _options(self) -> Section | None:
        weights = self.search.option_weights
        if weights is None:
            return None
        lead = (
            "How much each option of a choice weighed after each epoch; a "
            "dotted line is a skip. The layers were trained for the mixture of "
            "all options, so a weight is a guess, and no score of a network."
        )
        if weights.skipped:
            lead += (
                f" In {len(weights.skipped)} of "
                f"{wording.plural(len(weights.options), 'choice')} a skip "
                "weighs most: such searches fall for skips the more, the "
                "longer they train. See `warmup`, `skip_dropout` and "
                "`max_skips` of `differentiable`."
            )
        if len(weights.options) > options.MOST_CHOICES:
            lead += f" The first {options.MOST_CHOICES} choices are drawn."
        content: list[Any] = [options.weights(weights)]
        return Section("options", "How much options weigh", lead, content)

    def _costs(self) -> Section | None:
        search = self.search
        plots = costs.costs(search) if search.completed else []
        if not plots:
            return None
        seconds = [t.seconds for t in search.trials if t.seconds is not None]
        lead = "The costs of networks, and their scores."
        if seconds:
            total, each = sum(seconds), sum(seconds) / len(seconds)
            lead += f" Trials took {wording.duration(total)} in all, "
            lead += f"{wording.duration(each)} each."
        return Section("costs", "What networks cost", lead, [plots])

    def _finalists(self) -> Section | None:
        if not self.search.finalists:
            return None
        return Section(
            "finalists",
            "Scores in the search and on unseen data",
            retrained.finalists_lead(self.search),
            [
                retrained.finalists_plot(self.search),
                retrained.finalists_table(self.search),
            ],
        )

    def _ablation(self) -> Section | None:
        result = self.search.ablation
        if result is None:
            return None
        content: list[Any] = [retrained.ablation_table(result)]
        if any(one.gains for one in result.effects):
            content.insert(0, retrained.ablation_plot(result))
        return Section(
            "ablation",
            f"What the genes of {result.network} are worth",
            retrained.ablation_lead(result),
            content,
        )

    def _failures(self) -> Section | None:
        recorded = self.search.recorded
        failed = [t for t in recorded if t.message]
        failed += [t for t in self.search.failures if not t.message]
        if not failed:
            return None
        return Section(
            "failures",
            "What failed",
            f"{wording.plural(len(failed), 'trial')} of "
            f"{len(recorded):,}, grouped by message. Failed networks "
            "never become parents.",
            [pieces.messages(failed)],
        )

    def _about(self) -> Section:
        search = self.search
        facts = [
            ("Folder", search.folder),
            *(
                ("Objective", f"{o.name} ({o.direction})")
                for o in search.objectives
            ),
            *(("Constraint", one) for one in search.constraints),
            ("Seed", search.seed),
            ("Strategy", search.strategy),
            ("Trials", search.headline()),
            *(("Note", note) for note in search.notes),
        ]
        rows = [
            [tag("strong", name), str(value)]
            for name, value in facts
            if value is not None
        ]
        facts_table = html.table(["", ""], rows, "facts")
        return Section("about", "About this search", "", [facts_table])
