"""Which correction can be trusted: every image is scored by a choice made without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.analysis.corrections import CORRECTIONS, Correction, Fitted
from engine.analysis.metrics import per_sample_log_loss

FOLDS, REPEATS = 5, 3
_RESAMPLES, _DRAWS_AT_ONCE = 1000, 50
_RESAMPLED_UP_TO = 20_000
_REPEATED_UP_TO, _MANY_REPEATED_UP_TO = 100_000, 10_000  # probabilities, of more than two classes
_MOST, _MANY_CLASS_VALUES = 60_000, 60_000  # images of two classes; probabilities of more
_ENDS = (0.025, 0.975)
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
        """Return the recommendation in words."""
        best, chosen = self.scored[self.best], self.scored[self.recommended]
        images = f"{self.n:,} images, each scored by a choice made without it"
        if self.toss_up:
            low, high = chosen.to_best_interval
            told = (
                f"A toss-up: on {images}, {_named(best)} scores best ({best.log_loss:.5f}), but "
                f"{_named(chosen)} may be as good (difference {chosen.to_best:+.5f}, 95 % interval "
                f"{low:+.5f} to {high:+.5f}). Take the simplest: {_named(chosen)}."
            )
        elif chosen.correction.name == "raw":
            told = f"Take no correction: on {images}, none scores better."
        else:
            low, high = chosen.interval
            told = (
                f"Take {_named(chosen)}: on {images}, it changes the log loss by "
                f"{chosen.difference:+.5f} (95 % interval {low:+.5f} to {high:+.5f}), and nothing "
                "simpler comes as low."
            )
        if chosen.correction.name not in _CLIPS:
            lower, upper = self.bounds
            clip = "no clipping" if (lower, upper) == (0, 1) else f"{lower:.4g} to {upper:.6g}"
            told += f" A submission applies clip bounds only; of these, take {clip}."
        return told

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
    y_true: np.ndarray, probabilities: np.ndarray, positive: int | None = None, *, seed: int = 0
) -> Comparison:
    """Compare all corrections by repeated cross-validation of the choice itself.

    The images are dealt into 5 parts, 3 times over (once in a large table); each correction is
    fitted to four of them and scored on the fifth. The simplest is recommended whose difference to
    the best has an interval that contains 0. The intervals draw the images again,
    all corrections with the same draws (by the normal approximation beyond 20,000 images); how
    much a choice would differ on other images is in the scores, not in the intervals. Of more
    than 60,000 images, or 60,000 probabilities of more than two classes, a sample is looked at.

    Raises
    ------
    ValueError
        When there are fewer than 10 images, or a label is unknown.
    """
    y, p, sampled = _taken(y_true, probabilities, seed)
    n, n_classes = p.shape
    if n < 2 * FOLDS:
        raise ValueError(f"{n} images are too few to compare corrections; 10 are needed")
    used, left_out = [], []
    for correction in CORRECTIONS:
        if correction.most_classes and n_classes > correction.most_classes:
            left_out.append((correction.title, correction.reason))
        else:
            used.append(correction)
    losses = np.stack([_held_out_losses(c, y, p, positive, seed) for c in used], axis=1)
    mean = losses.mean(axis=0)
    best = int(mean.argmin())
    resampled = _resampled_means(losses, seed)  # (draws, corrections)
    to_raw, to_best = (_intervals(resampled, losses, other) for other in (0, best))
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


def _taken(
    y_true: np.ndarray, probabilities: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return all images, or a sample of a large table."""
    n, k = probabilities.shape
    size = min(n, _MOST if k == 2 else max(_MANY_CLASS_VALUES // k, 500))
    if size == n:
        return y_true, probabilities, False
    rows = np.sort(np.random.default_rng(seed).choice(n, size, replace=False))
    return y_true[rows], probabilities[rows], True


def _held_out_losses(
    correction: Correction, y: np.ndarray, p: np.ndarray, positive: int | None, seed: int
) -> np.ndarray:
    """Return what each image costs under choices made without it, mean of the repeats (n,)."""
    n = len(y)
    if not correction.numbers:
        return per_sample_log_loss(y, correction.fit(y, p, positive).apply(p))
    most = _REPEATED_UP_TO if p.shape[1] == 2 else _MANY_REPEATED_UP_TO
    repeats = REPEATS if p.size <= most else 1
    losses = np.zeros(n)
    for repeat in range(repeats):
        order = np.random.default_rng((seed, repeat)).permutation(n)
        for held_out in np.array_split(order, FOLDS):
            known = np.ones(n, dtype=bool)
            known[held_out] = False
            fitted = correction.fit(y[known], p[known], positive)
            losses[held_out] += per_sample_log_loss(y[held_out], fitted.apply(p[held_out]))
    return losses / repeats


def _resampled_means(losses: np.ndarray, seed: int) -> np.ndarray:
    """Return the mean losses of images drawn with replacement, (draws, corrections)."""
    n = len(losses)
    if n > _RESAMPLED_UP_TO:
        return np.empty((0, losses.shape[1]))
    rng = np.random.default_rng(seed)
    means = []
    for start in range(0, _RESAMPLES, _DRAWS_AT_ONCE):
        size = min(_DRAWS_AT_ONCE, _RESAMPLES - start)
        rows = rng.integers(n, size=(size, n), dtype=np.int32)
        rows += (np.arange(size, dtype=np.int32) * n)[:, None]
        drawn = np.bincount(rows.ravel(), minlength=size * n).reshape(size, n)
        means.append(drawn @ losses / n)
    return np.concatenate(means)


def _intervals(resampled: np.ndarray, losses: np.ndarray, other: int) -> list[tuple[float, float]]:
    """Return the 95 % interval of each correction's mean loss less that of ``other``."""
    if len(resampled):
        low, high = np.quantile(resampled - resampled[:, [other]], _ENDS, axis=0)
    else:
        differences = losses - losses[:, [other]]
        error = 1.96 * differences.std(axis=0) / len(losses) ** 0.5
        low, high = differences.mean(axis=0) - error, differences.mean(axis=0) + error
    return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]
