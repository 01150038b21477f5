"""The coordinates in which heads are solved: uncorrelated directions of the features."""

from __future__ import annotations

from dataclasses import dataclass

import torch

_ROWS = 65_536  # of which copies are made at once, so that few copies are in memory
_ENOUGH = 4  # rows per feature that the directions are computed from
_FEW = 0.8  # rows per feature up to which the matrix of rows by rows is solved faster


@dataclass(frozen=True, eq=False)
class Basis:
    """A shift, one scale and a rotation of features; the penalised optimum does not depend on it.

    Attributes
    ----------
    centre : float32 (width,), the mean
    scale : one factor, after which the features have unit variance on average
    directions : float32 (width, r), orthonormal; r is less than width if rows are fewer
    variances : float32 (r + 1,), mean square of each column of ``rotated``
    """

    centre: torch.Tensor
    scale: torch.Tensor
    directions: torch.Tensor
    variances: torch.Tensor

    @classmethod
    def of(cls, features: torch.Tensor) -> Basis:
        """Return the basis of features, float32 (n, width)."""
        n, width = features.shape
        centre = features.mean(dim=0)
        lengths = [torch.linalg.vector_norm(part - centre) for part in torch.split(features, _ROWS)]
        length = torch.linalg.vector_norm(torch.stack(lengths))
        scale = (length / features.numel() ** 0.5).clamp_min(1e-12)
        rows = features[:: max(1, n // (_ENOUGH * width))] - centre
        rank = max(1, min(n - 1, width))
        if n <= _FEW * width:
            variances, directions = _of_few(rows.double() / scale)
        else:
            gram = (rows.T @ rows / (len(rows) * scale.square())).to(
                torch.float64 if n <= width else torch.float32
            )
            variances, directions = _eigenvectors(gram)
        variances = torch.cat([variances[-rank:].clamp_min(0), variances.new_ones(1)])
        return cls(centre, scale, directions[:, -rank:].float(), variances.float())

    def scaled(self, features: torch.Tensor) -> torch.Tensor:
        """Return the features moved and scaled, but not rotated."""
        return (features - self.centre).div_(self.scale)

    def rotated(self, features: torch.Tensor) -> torch.Tensor:
        """Return the features in this basis with a last column of ones, (n, r + 1)."""
        x = features.new_ones(len(features), len(self.variances))
        for part, out in zip(torch.split(features, _ROWS), torch.split(x, _ROWS), strict=True):
            torch.matmul(self.scaled(part), self.directions, out=out[:, :-1])
        return x

    def unrotated(self, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the weights and bias that give the same scores from the original features.

        Parameters
        ----------
        weight : (columns, r + 1), the last is the bias
        """
        return self.unscaled(weight[:, :-1] @ self.directions.T, weight[:, -1])

    def unscaled(
        self, weight: torch.Tensor, bias: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weights and bias for the features themselves from those of scaled features."""
        raw = weight / self.scale
        return raw, bias - raw @ self.centre


def _of_few(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return variances (n,), ascending, and orthonormal directions (width, n) of a few rows.

    The singular vectors of the rows by way of the smaller matrix, three to five times as fast. Its
    square loses the weakest directions, so the last step makes them orthogonal to the others; which
    vectors span them does not matter.
    """
    variances, combined = _eigenvectors(rows @ rows.T / len(rows))
    directions = torch.linalg.qr((rows.T @ combined).flip(1)).Q
    return variances, directions.flip(1)


def _eigenvectors(gram: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return eigenvalues, ascending, and eigenvectors of a symmetric matrix.

    In float32 Intel's library finds none where most features are always 0 and the others differ by
    many orders of magnitude, as those of images of 32 pixels; then they are found in float64.
    """
    try:
        values, vectors = torch.linalg.eigh(gram)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        exact = gram.double()
        exact.diagonal().add_(1e-12 * exact.diagonal().mean())
        values, vectors = torch.linalg.eigh(exact)
    return values, vectors
