"""The methods for a search that has ended: finalize, ablate, report."""

import abc
import os
import pathlib
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from keras_evonas import reports
from keras_evonas.evolution.checks import check_boolean
from keras_evonas.evolution.checks import check_positive_integer
from keras_evonas.project.notebook import Page
from keras_evonas.reports.page import render_to
from keras_evonas.tuners import ablation
from keras_evonas.tuners import finalize
from keras_evonas.tuners import sizing
from keras_evonas.tuners.finalize import Finals
from keras_evonas.tuners.mended_tuner import MendedTuner
from keras_evonas.tuners.recipe import Recipe
from keras_evonas.tuners.retraining import EndedSearch
from keras_evonas.tuners.retraining import Retraining
from keras_evonas.tuners.unseen import Seen


class AfterSearch(MendedTuner):
    """A tuner to derive from; arguments as for `EvoTuner`."""

    # The data that the search saw in this process.
    _seen = Seen()
    verbose: int | None = None

    @abc.abstractmethod
    def _recipe(self, *args: object, **kwargs: object) -> Recipe:
        """Returns how networks are trained with some arguments of `search`."""

    @property
    def _ended_search(self) -> EndedSearch:
        return EndedSearch(
            oracle=self.oracle,
            evo_oracle=self._evo_oracle,
            folder=pathlib.Path(self.project_dir),
            first_seed=self._training_seed + self.executions_per_trial,
        )

    def _retraining(
        self, x: object, y: object, unseen: object, fit: Mapping[str, Any]
    ) -> Retraining:
        recipe, seen, verbose = self._recipe(), self._seen, self.verbose
        training = Retraining(
            recipe, x, y, unseen, fit, seen=seen, verbose=verbose
        )
        self._tell_shapes(sizing.shapes_of(x))
        return training

    def finalize(
        self,
        x: object,
        y: object = None,
        *,
        validation_data: object = None,
        top_k: int = 5,
        repeats: int = 3,
        include_default: bool = True,
        path: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
        **fit_kwargs: object,
    ) -> Finals:
        """Judges the best networks anew, and saves the one that is best.

        The best of many looks better than it is, because luck is selected
        too. Here the best networks are trained from scratch, each several
        times with seeds that the search did not use, and measured after their
        last epoch on data that the search never saw. The network with the
        best mean is chosen; with several objectives the candidates come from
        all along the Pareto front, and the knee of the front of what was
        measured is chosen. What violates a constraint of the search is chosen
        only if all do, and then what violates them least. The best of the
        repeats is saved, loaded and checked to predict the same.

        Scores are written to `finalists.json` in the project folder, where the
        report finds them. Called again with the same data and arguments, it
        trains only what is missing.

        Args:
            x: Input data to train on, as for `fit`: all that the search could
                see, its validation data included.
            y: Target data.
            validation_data: Data to judge by, `(x, y)` or whatever `evaluate`
                takes, which the search must not have seen. No training sees
                them here, either: to stop early, pass `validation_split`, too.
                A `fit` of the hypermodel's own is called without them.
            top_k: Integer, how many networks of the search. Defaults to 5.
            repeats: Integer, how often each is trained. Defaults to 3.
            include_default: Boolean, whether the network of all defaults is
                judged, too. Defaults to `True`.
            path: Where to save the model, ending in `.keras`. Defaults to
                `winner.keras` in the project folder.
            overwrite: Boolean, whether to train all anew. Defaults to `False`.
            **fit_kwargs: Other arguments of `fit`, such as `epochs`, and
                `verbose` as for `search`.

        Returns:
            The finalists with their scores, and where the model was saved.

        Raises:
            ValueError: If there is no completed trial, if the data were seen
                by the search, or if `epochs` is not given.
            RuntimeError: If all trainings fail, or if the saved model does
                not predict the same.

        Example:

        ```python
        tuner.search(x, y, epochs=10, validation_data=(x_val, y_val))
        finals = tuner.finalize(
            np.concatenate([x, x_val]),
            np.concatenate([y, y_val]),
            validation_data=(x_unseen, y_unseen),
            epochs=20,
        )
        model = finals.load_model()
        ```
        """
        check_positive_integer("top_k", top_k)
        check_positive_integer("repeats", repeats)
        check_boolean("overwrite", overwrite)
        if path is not None and not str(path).endswith(".keras"):
            raise ValueError(
                f"`path` must end in '.keras'. Received: path={str(path)!r}."
            )
        training = self._retraining(x, y, validation_data, fit_kwargs)
        search = self._ended_search
        networks, trial_of = finalize.finalists_of(
            search, top_k, include_default
        )
        finalizing = finalize.Finalizing(
            search=search,
            builder=self._builder,
            training=training,
            networks=networks,
            trial_of=trial_of,
            overwrite=overwrite,
        )
        return finalizing.run(repeats, path)

    def plan_ablation(
        self,
        *,
        trial_id: str | None = None,
        genes: Iterable[str] | None = None,
        repeats: int = 3,
        max_trainings: int | None = None,
        epochs: int | None = None,
    ) -> ablation.AblationPlan:
        """Plans an ablation: its trainings, and about how long they take.

        Args:
            trial_id: As for `ablate`, and so are `genes`, `repeats` and
                `max_trainings`.
            genes: See `trial_id`.
            repeats: See `trial_id`.
            max_trainings: See `trial_id`.
            epochs: Integer, the epochs of each training, for the estimate of
                the seconds. It takes an epoch to be as long as one of the
                search; data of other size change that.

        Returns:
            The plan: `genes`, `num_trainings` and `seconds`.

        Raises:
            ValueError: As for `ablate`.
        """
        check_positive_integer("repeats", repeats)
        if max_trainings is not None:
            check_positive_integer("max_trainings", max_trainings)
        return ablation.plan(
            self._ended_search,
            trial_id=trial_id,
            genes=genes,
            repeats=repeats,
            max_trainings=max_trainings,
            epochs=epochs,
        )

    def ablate(
        self,
        x: object,
        y: object = None,
        *,
        validation_data: object = None,
        trial_id: str | None = None,
        genes: Iterable[str] | None = None,
        repeats: int = 3,
        max_trainings: int | None = None,
        overwrite: bool = False,
        **fit_kwargs: object,
    ) -> ablation.Ablation:
        """Explains a network: what is each of its genes worth?

        An ablation: each gene that is not at its default is put back to it,
        one at a time, and the network is trained anew, several times with
        seeds that the search did not use. The gain of a gene is by how much
        the network itself does better under the same seed. A gene that others
        depend on switches them on or off; those that appear have their
        defaults. Genes that only matter together are not found.

        It takes `(1 + number of genes) * repeats` trainings. What that costs
        is printed before the first one begins, and told by `plan_ablation`.
        The result is written to `ablation.json` in the project folder, where
        the report finds it, and what was trained with the same data and
        arguments is not trained again.

        Args:
            x: Input data to train on, as for `fit`.
            y: Target data.
            validation_data: Data to judge by that the search never saw, as
                for `finalize`.
            trial_id: String, which network. Defaults to the one that
                `finalize` has chosen, else to the best of the search. Where
                that is the network of all defaults, which has nothing to put
                back, it is the next best, and the plan says so.
            genes: List of the names of genes to put back. Defaults to all
                that are not at their default.
            repeats: Integer, how often each network is trained. Defaults to 3.
            max_trainings: Integer, how many trainings at most. The genes that
                the search found most important come first (it takes ten trials
                to tell), then the others in their order. Defaults to `None`,
                no limit.
            overwrite: Boolean, whether to train all anew. Defaults to `False`.
            **fit_kwargs: As for `finalize`.

        Returns:
            The gains of the genes, the most valuable first.

        Raises:
            ValueError: If there is no such trial, no such gene, nothing to
                put back, or too few trainings for one gene; and for data and
                epochs as for `finalize`.
            RuntimeError: If the network itself cannot be trained.
        """
        check_boolean("overwrite", overwrite)
        epochs = fit_kwargs.get("epochs")
        planned = self.plan_ablation(
            trial_id=trial_id,
            genes=genes,
            repeats=repeats,
            max_trainings=max_trainings,
            epochs=epochs if isinstance(epochs, int) else None,
        )
        training = self._retraining(x, y, validation_data, fit_kwargs)
        search = self._ended_search
        return ablation.run(search, training, planned, overwrite=overwrite)

    def report(self, path: str | os.PathLike[str] | None = None) -> Page:
        """Writes the report of the search as one HTML page.

        It may be called while the search runs in another process, and shows
        the finalists and the ablation, too, once they are there.

        Args:
            path: Where to write. Defaults to `report.html` in the project
                folder.

        Returns:
            Where it was written: a path for `open` and the like, which shows
            the best trials in a notebook.

        Raises:
            ValueError: If the search has not begun.
            ImportError: If the packages of the extra `[reports]` are
                missing.
        """
        search = reports.load(self.project_dir)
        return Page(render_to(search, path), search)
