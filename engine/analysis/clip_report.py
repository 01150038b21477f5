"""The effect of clip bounds on the log loss, and the best bounds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.analysis.bounds import (
    best_independent,
    best_symmetric,
    bootstrap_best_symmetric,
    symmetric_curve,
)
from engine.analysis.clip_loss import clip_loss
from engine.analysis.clipping import check_bounds, confident_error_cost, touched
from engine.analysis.metrics import log_loss
from engine.analysis.report import finite, require_labels
from engine.runs.predictions import Predictions

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Bounds:
    """Clip bounds on P(positive), and the log loss at them."""

    lower: float
    upper: float
    log_loss: float


@dataclass(frozen=True, eq=False)
class ClipReport:
    """The effect of clip bounds on the log loss of labelled predictions.

    Attributes
    ----------
    lower, upper : the given bounds
    log_loss_before, log_loss_after : without them and with them
    n, n_below, n_above : number of images, and of those that each bound changes
    n_submitted, confident_error_cost : what one confident error among them adds to the log loss at
        these bounds, None where that is infinite
    best_symmetric, best_independent : bounds with the lowest log loss on these images, of the
        form [b, 1 - b] and of any form
    interval : smallest and largest symmetric bound b that is as good as the best within noise
    gain_interval : of the gain of the best symmetric bounds over no clipping, 95 % bootstrap on
        the images that they were chosen on; `recommend` cross-validates it
    sampled_rows : images that the curve was estimated on, None for all
    curve_bounds, curve_log_loss : float64 arrays of shape (m,), log loss at [b, 1 - b]
    """

    lower: float
    upper: float
    log_loss_before: float
    log_loss_after: float
    n: int
    n_below: int
    n_above: int
    n_submitted: int
    confident_error_cost: float | None
    best_symmetric: Bounds
    best_independent: Bounds
    interval: tuple[float, float]
    gain_interval: tuple[float, float]
    sampled_rows: int | None
    curve_bounds: np.ndarray
    curve_log_loss: np.ndarray

    def to_pandas(self) -> pd.DataFrame:
        """Return the curve, one row per bound: bound, log_loss."""
        import pandas as pd

        return pd.DataFrame({"bound": self.curve_bounds, "log_loss": self.curve_log_loss})

    def as_json(self) -> dict[str, Any]:
        """Return the report as `second-look clip --json` prints it."""
        return {
            "lower": self.lower,
            "upper": self.upper,
            "log_loss_before": self.log_loss_before,
            "log_loss_after": self.log_loss_after,
            "touched": {"below": self.n_below, "above": self.n_above, "of": self.n},
            "wrong_cost": {"n": self.n_submitted, "log_loss": self.confident_error_cost},
            "best_symmetric": asdict(self.best_symmetric),
            "best_independent": asdict(self.best_independent),
            "interval": list(self.interval),
            "gain_interval": list(self.gain_interval),
            "sampled_rows": self.sampled_rows,
            "curve": [
                {"bound": bound, "log_loss": loss}
                for bound, loss in zip(
                    self.curve_bounds.tolist(), self.curve_log_loss.tolist(), strict=True
                )
            ],
        }


def clip_report(
    predictions: Predictions,
    lower: float,
    upper: float,
    *,
    n_test: int = 0,
    positive: int | None = None,
    groups: np.ndarray | None = None,
    seed: int = 0,
) -> ClipReport:
    """Return the effect of clip bounds on the log loss, and the best bounds.

    Parameters
    ----------
    lower, upper
        Bounds on P(positive); with more than two classes on every probability.
    n_test
        Number of submitted images, for the cost of one confident error; 0 for as many as there are
        validation images.
    groups
        Int array of shape (n,), equal where images belong together; they count as one.

    Raises
    ------
    UserError
        When the bounds are impossible, there are no images, or not all of them have a label.
    """
    require_labels(predictions)
    check_bounds(lower, upper)
    y, p = predictions.y_true, predictions.probabilities
    loss = clip_loss(y, p, positive, seed=seed)
    bound, symmetric = best_symmetric(loss)
    band = bootstrap_best_symmetric(y, p, positive, groups=groups, seed=seed)
    curve_bounds, curve = symmetric_curve(loss)
    below, above = touched(p, lower, upper, positive)
    n = n_test or len(predictions)
    return ClipReport(
        lower=lower,
        upper=upper,
        log_loss_before=log_loss(y, p),
        log_loss_after=loss.at(lower, upper),
        n=len(predictions),
        n_below=below,
        n_above=above,
        n_submitted=n,
        confident_error_cost=finite(
            confident_error_cost(lower, upper, n, len(predictions.class_names))
        ),
        best_symmetric=Bounds(bound, 1 - bound, symmetric),
        best_independent=Bounds(*best_independent(loss)),
        interval=band.interval,
        gain_interval=band.gain_interval,
        sampled_rows=loss.sampled_rows,
        curve_bounds=curve_bounds,
        curve_log_loss=curve,
    )
