"""Ranks images whose label should be checked by combining several signs of label errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from engine.runs.triage import COLUMNS

LABEL, ODD, DUPLICATE, LEAK = KINDS = ("label", "both-or-neither", "near-duplicate", "leak")
K_NEIGHBOURS = 10
_ALIKE = 0.1  # distance at which a neighbour has half the weight of an identical image
_DIRECTIONS = 16
_UNUSUAL = 90.0  # percent of images with closer neighbours from which an image is unusual
_ODD_IS_RARE = 0.5  # in powers of ten: most atypical images have correct labels
_NEIGHBOURS_WEIGH = 0.5  # neighbours give equal votes to many images; the head is finer
_LABEL_FIRST = 1.0  # added weight if another class is suggested
_KEPT_AT_LEAST, _KEPT_SHARE = 100, 0.02


@dataclass(frozen=True)
class Evidence:
    """The inputs of the ranking for n labelled images.

    Attributes
    ----------
    labels : int array of shape (n,)
    probabilities : float64 array of shape (n, n_classes), out of fold
    neighbours : int array of shape (n, k), the nearest other rows in feature space
    distances : float array of shape (n, k), their cosine distances
    atypical : float array of shape (n,), see :func:`atypicality`
    class_names : index = class
    """

    labels: np.ndarray
    probabilities: np.ndarray
    neighbours: np.ndarray
    distances: np.ndarray
    atypical: np.ndarray
    class_names: tuple[str, ...]

    @property
    def own(self) -> np.ndarray:
        """Return the out-of-fold probability of each image's label, (n,)."""
        return np.asarray(self.probabilities[np.arange(len(self.labels)), self.labels])

    @property
    def votes(self) -> np.ndarray:
        """Return each class's share of the neighbours' votes, weighted by closeness."""
        weight = 1 / (self.distances + _ALIKE)
        cells = np.arange(len(self.labels))[:, None] * len(self.class_names)
        cells = cells + self.labels[self.neighbours]
        sums = np.bincount(cells.ravel(), weight.ravel(), self.probabilities.size)
        shares = sums.reshape(self.probabilities.shape)
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def label_quality(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return cleanlab's score of each label, 0 to 1, float64 (n,); low values are suspicious.

    Northcutt, Jiang, Chuang: Confident Learning (JAIR 2021); the normalised margin.

    Parameters
    ----------
    labels : int array of shape (n,)
    probabilities : float64 array of shape (n, n_classes), out of fold
    """
    from cleanlab.rank import get_label_quality_scores  # takes 1.6 s

    scores = get_label_quality_scores(labels, probabilities, method="normalized_margin")
    return np.asarray(scores, dtype=np.float64)


def label_issues(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return which labels confident learning considers wrong, bool (n,).

    Parameters
    ----------
    labels : int array of shape (n,)
    probabilities : float64 array of shape (n, n_classes), out of fold
    """
    if len(np.unique(labels)) < 2:
        return np.zeros(len(labels), dtype=bool)
    from cleanlab.filter import find_label_issues

    return np.asarray(find_label_issues(labels, probabilities, n_jobs=1), dtype=bool)


def atypicality(features: np.ndarray, directions: int = _DIRECTIONS) -> np.ndarray:
    """Return how much of each image's features lies outside the main directions, 0 to 1, (n,).

    This is the length of the centred unit features after removing the directions of greatest
    variance: an image of a different kind than the others has a high value.
    """
    x = features - features.mean(axis=0)
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    width = max(min(directions, x.shape[1] // 4), 1)
    basis = np.random.default_rng(0).standard_normal((x.shape[1], width)).astype(x.dtype)
    for _ in range(4):  # power iterations
        basis, _ = np.linalg.qr(x.T @ (x @ basis))
    left = np.square(x).sum(axis=1) - np.square(x @ basis).sum(axis=1)
    return np.asarray(np.sqrt(np.clip(left, 0, 1)))


def joined(*signs: np.ndarray, weights: Sequence[float] = ()) -> np.ndarray:
    """Return how unlikely an image's positions in several rankings are by chance, (n,).

    Each sign becomes the share of images with at least this value, and Fisher's method combines
    the shares, so that one strong sign or several weak ones raise an image. The result is -log10
    of the joint p-value for independent signs; high values are suspicious. With weights, a gamma
    distribution with the same mean and variance gives the p-value.
    """
    from scipy.special import gammaincc  # a fifth of a second to import

    w = np.array(weights or [1.0] * len(signs))
    n = len(signs[0])
    shares = [(n - pd.Series(sign).rank().to_numpy() + 1) / (n + 1) for sign in signs]
    statistic = -w @ np.log(shares)
    scale = (w**2).sum() / w.sum()
    p = gammaincc(w.sum() / scale, statistic / scale)  # unweighted, chi2(2k) at twice the sum
    return np.asarray(-np.log10(np.maximum(p, 1e-300)))


def label_score(evidence: Evidence) -> np.ndarray:
    """Return how suspicious each label is by confident learning and by its neighbours, (n,)."""
    rows = np.arange(len(evidence.labels))
    against = 1 - evidence.votes[rows, evidence.labels]
    quality = label_quality(evidence.labels, evidence.probabilities)
    return joined(-quality, against, weights=(1, _NEIGHBOURS_WEIGH))


def odd_score(evidence: Evidence) -> np.ndarray:
    """Return how likely each image shows both classes or none, from three signs, (n,).

    The signs are the distance to its nearest neighbours (as in cleanlab's out-of-distribution
    score), its atypicality, and its log loss.
    """
    signs = evidence.distances.mean(axis=1), evidence.atypical, -evidence.own
    return joined(*signs) - _ODD_IS_RARE


def suspects(images: pd.DataFrame, evidence: Evidence) -> pd.DataFrame:
    """Rank the suspected images, with the reason in words.

    Parameters
    ----------
    images : id, path, split, label, sha256 of the n images of ``evidence``

    Returns
    -------
    table of ``COLUMNS``, most suspicious first; one row per image, 100 or 2 % of all images
    """
    label, odd = label_score(evidence), odd_score(evidence)
    issue = label_issues(evidence.labels, evidence.probabilities)
    votes = evidence.votes
    suggested = (evidence.probabilities + votes).argmax(axis=1)
    other = suggested != evidence.labels
    odd = odd - _LABEL_FIRST * other
    mislabelled = other & (label >= odd)
    score = np.where(mislabelled, label, odd)
    kept = max(_KEPT_AT_LEAST, int(_KEPT_SHARE * len(images)))
    order = np.argsort(-score, kind="stable")[:kept]
    far = 100 * pd.Series(evidence.distances.mean(axis=1)).rank().to_numpy() / len(images)
    names = evidence.class_names
    reasons = [
        _mislabelled(evidence, row, names[suggested[row]], bool(issue[row]))
        if mislabelled[row]
        else _strange(evidence, row, float(far[row]))
        for row in order.tolist()
    ]
    found = images.iloc[order][["id", "path", "split", "label", "sha256"]].assign(
        suggested=[names[suggested[row]] if mislabelled[row] else "" for row in order.tolist()],
        kind=np.where(mislabelled[order], LABEL, ODD),
        score=score[order],
        reason=reasons,
    )
    return found[COLUMNS].reset_index(drop=True)


def repeated(
    images: pd.DataFrame, groups: np.ndarray, features: np.ndarray, threshold: float
) -> pd.DataFrame:
    """Report near-duplicates, leaks (one image in two splits) and contradicting labels.

    Parameters
    ----------
    images : id, path, split, label (null where unknown), sha256 of m images
    groups : int array of shape (m,), the group of nearly identical images of each image
    features : float32 array of shape (m, width)
    threshold : least cosine of two centred rows of nearly identical images

    Returns
    -------
    table of ``COLUMNS``, one row per group for its labelled image, validation images first
    """
    rows: list[dict[str, object]] = []
    many = np.flatnonzero(np.bincount(groups) > 1)
    centre = features.mean(axis=0)
    members = np.flatnonzero(np.isin(groups, many))
    splits, labels = images["split"].to_numpy(), images["label"].to_numpy()
    for group in _runs(members[np.argsort(groups[members], kind="stable")], groups):
        labelled = [row for row in group if pd.notna(labels[row]) and splits[row] != "test"]
        if not labelled:
            continue
        about = min(labelled, key=lambda row: (splits[row] != "valid", row))
        alike = _cosines(features[group] - centre, features[about] - centre)
        mates = [
            (float(cosine), row)
            for cosine, row in zip(alike, group, strict=True)
            if row != about and cosine >= threshold and (
                splits[row] != splits[about]
                or (pd.notna(labels[row]) and labels[row] != labels[about])
            )
        ]  # fmt: skip
        if mates:
            rows.append(_twice(images, about, sorted(mates, key=lambda mate: (-mate[0], mate[1]))))
    return pd.DataFrame(rows, columns=COLUMNS).sort_values(
        "score", ascending=False, kind="stable", ignore_index=True
    )


def _runs(members: np.ndarray, groups: np.ndarray) -> Sequence[list[int]]:
    """Return one list of members per group; ``members`` are sorted by group."""
    edges = np.flatnonzero(np.diff(groups[members])) + 1
    return [part.tolist() for part in np.split(members, edges) if len(part)]


def _cosines(rows: np.ndarray, other: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(other)
    return np.asarray(rows @ other / np.maximum(lengths, 1e-12))


def _twice(images: pd.DataFrame, about: int, mates: list[tuple[float, int]]) -> dict[str, object]:
    row, (cosine, first) = images.iloc[about], mates[0]
    other = images.iloc[first]
    leak = any(images["split"].iat[mate] != row["split"] for _, mate in mates)
    same = "the same file as" if row["sha256"] == other["sha256"] else "nearly the same as"
    called = f", labelled {other['label']} there" if _differ(row["label"], other["label"]) else ""
    more = f" and {len(mates) - 1} more" if len(mates) > 1 else ""
    return {
        **{key: row[key] for key in ("id", "path", "split", "label", "sha256")},
        "suggested": "",
        "kind": LEAK if leak else DUPLICATE,
        "score": min(cosine, 1.0),
        "reason": f"In {row['split']}, {same} {other['path']} in {other['split']}{called}{more}.",
    }


def _differ(label: object, other: object) -> bool:
    return isinstance(other, str) and label != other


def _mislabelled(evidence: Evidence, row: int, suggested: str, issue: bool) -> str:
    near = evidence.labels[evidence.neighbours[row]]
    count = int((near == evidence.class_names.index(suggested)).sum())
    given = evidence.class_names[evidence.labels[row]]
    learnt = "; the model's probabilities agree (confident learning)" if issue else ""
    return (
        f"{count} of its {len(near)} nearest images are {suggested}; out-of-fold P({given}) = "
        f"{evidence.own[row]:.3f}{learnt}."
    )


def _strange(evidence: Evidence, row: int, far: float) -> str:
    given = evidence.class_names[evidence.labels[row]]
    return (
        f"{'Unusual: ' * (far >= _UNUSUAL)}{min(far, 99.9):.1f} % of the images have closer "
        f"look-alikes (out-of-fold P({given}) = {evidence.own[row]:.3f}). Does it show both "
        "classes, or neither?"
    )
