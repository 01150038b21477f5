"""Which correction can be trusted: every image is scored by a choice made without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.analysis.corrections import CORRECTIONS, Correction, Fitted
from engine.analysis.grouped import folds_of_groups, mean_intervals
from engine.analysis.metrics import per_sample_log_loss

FOLDS, REPEATS = 5, 3
_RESAMPLES = 1000
_REPEATED_UP_TO, _MANY_REPEATED_UP_TO = 100_000, 10_000  # probabilities, of more than two classes
_MOST, _MANY_CLASS_VALUES = 60_000, 60_000  # images of two classes; probabilities of more
_CLIPS = ("raw", "symmetric", "independent")


@dataclass(frozen=True)
class Scored:
    """What a correction scores when it is chosen on other images.

    Attributes
    ----------
    log_loss : mean over the images and the repeats
    difference, interval : to no correction, and its 95 % paired bootstrap interval; below 0 is
        better
    to_best, to_best_interval : the same to the correction that scores best
    fitted : fitted to all images
    """

    correction: Correction
    log_loss: float
    difference: float
    interval: tuple[float, float]
    to_best: float
    to_best_interval: tuple[float, float]
    fitted: Fitted

    def summary(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "name": self.correction.name,
            "title": self.correction.title,
            "log_loss": self.log_loss,
            "difference": self.difference,
            "interval": list(self.interval),
            "to_best": self.to_best,
            "to_best_interval": list(self.to_best_interval),
            "fitted": self.fitted.values,
        }


@dataclass(frozen=True)
class Comparison:
    """All corrections, and the one to take.

    Attributes
    ----------
    n : images looked at
    scored : in the order of `CORRECTIONS`, the simplest first
    left_out : (title, reason)
    best, recommended : positions in ``scored``
    sampled : whether ``n`` is a sample of a larger table
    """

    n: int
    scored: list[Scored]
    left_out: list[tuple[str, str]]
    best: int
    recommended: int
    sampled: bool

    @property
    def toss_up(self) -> bool:
        """Tell whether what scores best cannot be told from what is recommended."""
        return self.best != self.recommended

    @property
    def bounds(self) -> tuple[float, float]:
        """Return the bounds to hand in with: the recommended ones, or the best scoring ones."""
        clips = [s for s in self.scored if s.correction.name in _CLIPS]
        chosen = self.scored[self.recommended]
        if chosen not in clips:
            chosen = min(clips, key=lambda s: s.log_loss)
        values = chosen.fitted.values
        return values.get("lower", 0.0), values.get("upper", 1.0)

    @property
    def sentence(self) -> str:
        """Return the recommendation in words, and what of it a submission can apply."""
        told, chosen = self.advice, self.scored[self.recommended]
        if chosen.correction.name not in _CLIPS:
            lower, upper = self.bounds
            clip = "no clipping" if (lower, upper) == (0, 1) else f"{lower:.4g} to {upper:.6g}"
            told += f" A submission applies clip bounds only; of these, take {clip}."
        return told

    @property
    def advice(self) -> str:
        """Return the recommendation in words."""
        best, chosen = self.scored[self.best], self.scored[self.recommended]
        images = f"{self.n:,} images, each scored by a choice made without it"
        if self.toss_up:
            low, high = chosen.to_best_interval
            return (
                f"A toss-up: on {images}, {_named(best)} scores best ({best.log_loss:.5f}), but "
                f"{_named(chosen)} may be as good (difference {chosen.to_best:+.5f}, 95 % interval "
                f"{low:+.5f} to {high:+.5f}). Take the simplest: {_named(chosen)}."
            )
        elif chosen.correction.name == "raw":
            return f"Take no correction: on {images}, none scores better."
        low, high = chosen.interval
        return (
            f"Take {_named(chosen)}: on {images}, it changes the log loss by "
            f"{chosen.difference:+.5f} (95 % interval {low:+.5f} to {high:+.5f}), and nothing "
            "simpler comes as low."
        )

    def summary(self) -> dict[str, Any]:
        """Return it as plain values."""
        lower, upper = self.bounds
        return {
            "n": self.n,
            "sampled": self.sampled,
            "corrections": [s.summary() for s in self.scored],
            "left_out": [{"title": title, "reason": reason} for title, reason in self.left_out],
            "best": self.scored[self.best].correction.name,
            "recommended": self.scored[self.recommended].correction.name,
            "toss_up": self.toss_up,
            "lower": lower,
            "upper": upper,
            "sentence": self.sentence,
        }


def compare_corrections(
    y_true: np.ndarray,
    probabilities: np.ndarray,
    positive: int | None = None,
    *,
    groups: np.ndarray | None = None,
    seed: int = 0,
) -> Comparison:
    """Compare all corrections by repeated cross-validation of the choice itself.

    The images are dealt into 5 parts, 3 times over (once in a large table); each correction is
    fitted to four of them and scored on the fifth. The simplest is recommended whose difference to
    the best has an interval that contains 0. The intervals draw the images again,
    all corrections with the same draws (by the normal approximation beyond 20,000 images); how
    much a choice would differ on other images is in the scores, not in the intervals. Of more
    than 60,000 images, or 60,000 probabilities of more than two classes, a sample is looked at.

    Parameters
    ----------
    groups : int array of shape (n,), numbered from 0
        Images of a group are never divided between the parts, and are drawn again together.

    Raises
    ------
    ValueError
        When there are fewer than 10 images, fewer than 10 groups, or a label is unknown.
    """
    rows = _taken(len(y_true), probabilities.shape[1], seed)
    y, p, sampled = y_true[rows], probabilities[rows], len(rows) < len(y_true)
    n, n_classes = p.shape
    if groups is not None:
        groups = np.unique(groups[rows], return_inverse=True)[1]
    units = n if groups is None else int(groups.max()) + 1
    if units < 2 * FOLDS:
        what = "images" if groups is None else "groups of images"
        raise ValueError(f"{units} {what} are too few to compare corrections; 10 are needed")
    used, left_out = [], []
    for correction in CORRECTIONS:
        if correction.most_classes and n_classes > correction.most_classes:
            left_out.append((correction.title, correction.reason))
        else:
            used.append(correction)
    losses = np.stack([_held_out_losses(c, y, p, positive, seed, groups) for c in used], axis=1)
    mean = losses.mean(axis=0)
    best = int(mean.argmin())
    to_raw, to_best = (_intervals(losses, groups, other, seed) for other in (0, best))
    scored = [
        Scored(
            correction,
            float(mean[c]),
            float(mean[c] - mean[0]),
            to_raw[c],
            float(mean[c] - mean[best]),
            to_best[c],
            correction.fit(y, p, positive),
        )
        for c, correction in enumerate(used)
    ]
    close = [c for c, (low, _) in enumerate(to_best) if low <= 0]
    return Comparison(n, scored, left_out, best, min(close), sampled)


def _named(scored: Scored) -> str:
    name, values = scored.correction.title.lower(), scored.fitted.values
    if scored.correction.name in ("symmetric", "independent"):
        if (values["lower"], values["upper"]) == (0, 1):
            return f"{name} (which is no clipping)"
        return f"{name} ({values['lower']:.4g} to {values['upper']:.6g})"
    if scored.correction.name == "temperature":
        return f"{name} {values['temperature']:.3g}"
    return name


def _taken(n: int, n_classes: int, seed: int) -> np.ndarray:
    """Return which of n images to look at, ascending: all, or a sample of a large table."""
    size = min(n, _MOST if n_classes == 2 else max(_MANY_CLASS_VALUES // n_classes, 500))
    if size == n:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, size, replace=False))


def _held_out_losses(
    correction: Correction,
    y: np.ndarray,
    p: np.ndarray,
    positive: int | None,
    seed: int,
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """Return what each image costs under choices made without it, mean of the repeats (n,)."""
    n = len(y)
    if not correction.numbers:
        return per_sample_log_loss(y, correction.fit(y, p, positive).apply(p))
    most = _REPEATED_UP_TO if p.shape[1] == 2 else _MANY_REPEATED_UP_TO
    repeats = REPEATS if p.size <= most else 1
    losses = np.zeros(n)
    for repeat in range(repeats):
        rng = np.random.default_rng((seed, repeat))
        if groups is None:
            folds = np.array_split(rng.permutation(n), FOLDS)
        else:
            folds = folds_of_groups(groups, FOLDS, rng)
        for held_out in folds:
            known = np.ones(n, dtype=bool)
            known[held_out] = False
            fitted = correction.fit(y[known], p[known], positive)
            losses[held_out] += per_sample_log_loss(y[held_out], fitted.apply(p[held_out]))
    return losses / repeats


def _intervals(
    losses: np.ndarray, groups: np.ndarray | None, other: int, seed: int
) -> list[tuple[float, float]]:
    """Return the 95 % interval of each correction's mean loss less that of ``other``.

    Images, or groups of them, are drawn again, for all corrections alike.
    """
    differences = losses - losses[:, [other]]
    if groups is None:
        sums, sizes = differences, np.ones(len(losses), dtype=np.int64)
    else:
        sums = np.stack([np.bincount(groups, weights=column) for column in differences.T], axis=1)
        sizes = np.bincount(groups)
    low, high = mean_intervals(sums, sizes, _RESAMPLES, seed)
    return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]
