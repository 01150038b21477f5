"""Which of two runs is better on the images that both predicted, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.analysis.intervals import image_count_text, unseen_error_loss
from engine.analysis.joined import join, positions_in
from engine.analysis.metrics import per_sample_log_loss
from engine.analysis.paired import (
    accuracy_difference,
    difference_with_unseen,
    discordant,
    mcnemar,
)
from engine.runs.predictions import Predictions

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """The comparison of a run with another run on the same images.

    Attributes
    ----------
    n, n_groups : images that both predicted, and groups of them that are independent
    left_out : number of images left out, by reason
    log_loss, accuracy : of the run and of the other
    log_loss_difference, accuracy_difference : run minus other, with 95 % interval
    both_right : rows that both get right
    fixed, broken, both_wrong : rows that only the run gets right, only the other, or neither;
        those first for which the one that errs (of both the run) pays most
    mcnemar_p : p-value of McNemar's test; the null: an image is as likely fixed as broken
    mcnemar_exact : whether the p-value is that of the binomial distribution
    agreement : share of equal predictions
    kappa : Cohen's kappa, 0 for agreement by chance, 1 for equal predictions; None where only one
        class is predicted
    losses : float64 arrays of shape (n,), of the run and of the other
    tables : the rows compared, of the run and of the other
    names : of the run and of the other
    """

    n: int
    n_groups: int
    left_out: dict[str, int]
    log_loss: tuple[float, float]
    accuracy: tuple[float, float]
    log_loss_difference: tuple[float, float, float]
    accuracy_difference: tuple[float, float, float]
    both_right: np.ndarray
    fixed: np.ndarray
    broken: np.ndarray
    both_wrong: np.ndarray
    mcnemar_p: float
    mcnemar_exact: bool
    agreement: float
    kappa: float | None
    losses: tuple[np.ndarray, np.ndarray]
    tables: tuple[Predictions, Predictions]
    names: tuple[str, str]

    def __repr__(self) -> str:
        """Return the verdict."""
        return f"<comparison: {self.verdict}>"

    @property
    def better(self) -> int | None:
        """Return 0 for the run, 1 for the other, None where the interval holds zero."""
        _, low, high = self.log_loss_difference
        return 0 if high < 0 else 1 if low > 0 else None

    @property
    def verdict(self) -> str:
        """Return one sentence: which of the two is better, or that neither is."""
        difference, *ends = self.log_loss_difference
        images = image_count_text(self.n, self.n_groups)
        if difference == 0:
            return f"No difference: both have the same log loss on {images}."
        ahead = int(difference > 0)
        low, high = sorted(end if ahead else -end for end in ends)
        lower = f"its log loss is lower by {abs(difference):.4f}"
        within = f"95 % interval {low:+.4f} to {high:+.4f}, {images}"
        if self.better is None:
            return (
                f"No clear difference: {self.names[ahead]} is ahead, {lower}, but that may be "
                f"chance ({within})."
            )
        return f"{self.names[ahead]} is better than {self.names[1 - ahead]}: {lower} ({within})."

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per image that both predicted.

        Columns: id, path, label, predicted, other_predicted, log_loss, other_log_loss, and
        outcome: "both right", "fixed" (only the run is right), "broken" or "both wrong".
        """
        import pandas as pd

        run, other = self.tables
        names = np.array(run.class_names, dtype=object)
        outcome = np.empty(self.n, dtype=object)
        for name in ("both_right", "fixed", "broken", "both_wrong"):
            outcome[getattr(self, name)] = name.replace("_", " ")
        return pd.DataFrame(
            {
                "id": run.ids.to_pylist(),
                "path": run.paths.to_pylist(),
                "label": names[run.y_true],
                "predicted": names[run.y_pred],
                "other_predicted": names[other.y_pred],
                "log_loss": self.losses[0],
                "other_log_loss": self.losses[1],
                "outcome": outcome,
            }
        )

    def as_json(self) -> dict[str, Any]:
        """Return the comparison as `second-look compare --json` prints it."""
        ids = self.tables[0].ids
        return {
            "run": self.names[0],
            "other": self.names[1],
            "n": self.n,
            "n_groups": self.n_groups,
            "left_out": self.left_out,
            "log_loss": list(self.log_loss),
            "accuracy": list(self.accuracy),
            "log_loss_difference": self.log_loss_difference[0],
            "log_loss_interval": list(self.log_loss_difference[1:]),
            "accuracy_difference": self.accuracy_difference[0],
            "accuracy_interval": list(self.accuracy_difference[1:]),
            "both_right": len(self.both_right),
            "both_wrong": len(self.both_wrong),
            "fixed": ids.take(self.fixed).to_pylist(),
            "broken": ids.take(self.broken).to_pylist(),
            "mcnemar": {"p": self.mcnemar_p, "exact": self.mcnemar_exact},
            "agreement": self.agreement,
            "kappa": self.kappa,
            "better": None if self.better is None else self.names[self.better],
            "verdict": self.verdict,
        }


def compare(
    run: Predictions,
    other: Predictions,
    seed: int = 0,
    names: tuple[str, str] = ("the run", "the other"),
    contents: Sequence[np.ndarray] = (),
    groups: np.ndarray | None = None,
) -> Comparison:
    """Compare two runs on the images that both predicted; differences are run minus other.

    Parameters
    ----------
    names : the runs' names in sentences
    contents : the checksum of each row's image, for the run and the other, see `joined.join`
    groups : int array, the group of each of the run's images; a group counts as one observation

    Raises
    ------
    UserError
        When the runs differ in their classes, or share no labelled image.
    """
    joined = join([run, other], contents)
    a, b = joined.tables
    y = a.y_true
    losses = per_sample_log_loss(y, a.probabilities), per_sample_log_loss(y, b.probabilities)
    y_pred = a.y_pred, b.y_pred
    hits = y_pred[0] == y, y_pred[1] == y

    def rows(chosen: np.ndarray, payer: int) -> np.ndarray:
        found = np.flatnonzero(chosen)
        return found[np.argsort(-losses[payer][found], kind="stable")]

    fixed, broken = rows(hits[0] & ~hits[1], 1), rows(~hits[0] & hits[1], 0)
    if groups is not None:
        groups = groups[positions_in(a.ids, run.ids)]
    _, of_fixed, of_broken = discordant(*hits, groups)
    p, exact = mcnemar(round(of_fixed), round(of_broken))
    same = np.array_equal(losses[0], losses[1])
    unseen = _unseen_difference(y, (a.probabilities, b.probabilities), hits[0] & hits[1])
    nothing = (0.0, 0.0, 0.0)
    return Comparison(
        n=len(y),
        n_groups=len(y) if groups is None else len(np.unique(groups)),
        left_out=joined.left_out,
        log_loss=(float(losses[0].mean()), float(losses[1].mean())),
        accuracy=(float(hits[0].mean()), float(hits[1].mean())),
        log_loss_difference=nothing
        if same
        else difference_with_unseen(*losses, unseen, seed, groups),
        accuracy_difference=nothing if same else accuracy_difference(*hits, groups),
        both_right=rows(hits[0] & hits[1], 0),
        fixed=fixed,
        broken=broken,
        both_wrong=rows(~hits[0] & ~hits[1], 0),
        mcnemar_p=p,
        mcnemar_exact=exact,
        agreement=float((y_pred[0] == y_pred[1]).mean()),
        kappa=cohen_kappa(*y_pred, len(a.class_names)),
        losses=losses,
        tables=(a, b),
        names=names,
    )


def _unseen_difference(
    y: np.ndarray, probabilities: tuple[np.ndarray, np.ndarray], both_right: np.ndarray
) -> float:
    """Return the difference in loss on images that both get right, with another label."""
    if not both_right.any():
        return 0.0
    a, b = (unseen_error_loss(y[both_right], p[both_right]) for p in probabilities)
    return a - b


def cohen_kappa(a: np.ndarray, b: np.ndarray, n_classes: int) -> float | None:
    """Return how much more often two predictions agree than their class shares alone would.

    None where both predict one and the same class throughout. Cohen (1960), A coefficient of
    agreement for nominal scales.
    """
    shares = (np.bincount(y, minlength=n_classes) / len(y) for y in (a, b))
    chance = float(np.multiply(*shares).sum())
    return None if chance == 1 else (float((a == b).mean()) - chance) / (1 - chance)
