"""Few rows and many give orthonormal directions that hold all that the rows differ in."""

from __future__ import annotations

import pytest
import torch

from engine.model import basis as module
from engine.model.basis import Basis


def features(n: int, width: int, kind: str) -> torch.Tensor:
    random = torch.Generator().manual_seed(n)
    x = torch.relu(torch.randn(n, 8, generator=random) @ torch.randn(8, width, generator=random))
    x += 0.01 * torch.randn(n, width, generator=random)
    if kind == "repeated":
        x = x[torch.arange(n) // 2]
    return torch.ones_like(x) if kind == "constant" else x


@pytest.mark.parametrize("kind", ["plain", "repeated", "constant"])
@pytest.mark.parametrize("n", [1, 2, 7, 40, 51, 63, 64, 300])  # of 64 features
def test_the_directions_are_orthonormal_and_lose_nothing(n, kind):
    x = features(n, 64, kind)
    basis = Basis.of(x)
    directions = basis.directions.double()
    rank = max(1, min(n - 1, 64))
    assert directions.shape == (64, rank) and basis.variances.shape == (rank + 1,)
    assert torch.allclose(directions.T @ directions, torch.eye(rank).double(), atol=1e-5)
    scaled = basis.scaled(x).double()
    rest = scaled - scaled @ directions @ directions.T
    assert rest.abs().max() < 1e-4
    rotated = basis.rotated(x)
    assert torch.allclose(rotated.square().mean(0), basis.variances, atol=2e-4)


def test_a_matrix_that_float32_cannot_solve_is_solved_in_float64(monkeypatch):
    x = features(300, 64, "plain")
    x[:, 16:] = 0  # as features of small images are
    expected, solve = Basis.of(x), torch.linalg.eigh

    def fails_in_float32(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if matrix.dtype == torch.float32:
            raise torch.linalg.LinAlgError("failed to converge")  # type: ignore[attr-defined]
        values, vectors = solve(matrix)
        return values, vectors

    monkeypatch.setattr(module.torch.linalg, "eigh", fails_in_float32)
    basis = Basis.of(x)
    assert torch.allclose(basis.variances, expected.variances, rtol=1e-4, atol=1e-5)
    assert torch.allclose(basis.directions.T @ basis.directions, torch.eye(64), atol=1e-5)
    assert torch.allclose(basis.rotated(x).square().mean(0), basis.variances, atol=2e-4)
