"""Changes training images at random: zoom, shift, rotation, mirror and brightness."""

from __future__ import annotations

import torch
from torch.nn.functional import affine_grid, grid_sample


def random_changes(n: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw affine transformations (n, 2, 3) and brightness factors (n,) for n images."""

    def uniform(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(n, generator=generator)

    zoom = uniform(0.7, 1.0)
    angle = uniform(-0.2, 0.2)
    mirror = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0)
    shift_x, shift_y = uniform(-1, 1) * (1 - zoom), uniform(-1, 1) * (1 - zoom)
    cosine, sine = zoom * angle.cos(), zoom * angle.sin()
    rows = [
        torch.stack([mirror * cosine, -sine, shift_x], dim=1),
        torch.stack([mirror * sine, cosine, shift_y], dim=1),
    ]
    return torch.stack(rows, dim=1), uniform(0.8, 1.2)


def augmented(
    batch: torch.Tensor, crop: int, theta: torch.Tensor, brightness: torch.Tensor
) -> torch.Tensor:
    """Augment every image: (B, 3, S, S) to (B, 3, crop, crop).

    Parameters
    ----------
    batch : uint8 tensor of shape (B, 3, S, S)
    crop : side of the result in pixels
    theta : affine transformations, float tensor of shape (B, 2, 3)
    brightness : factors, float tensor of shape (B,)
    """
    theta = theta.to(batch.device)
    grid = affine_grid(theta, [len(batch), 3, crop, crop], align_corners=False)
    warped = grid_sample(batch, grid, padding_mode="reflection", align_corners=False)
    return warped * brightness.view(-1, 1, 1, 1).to(batch.device)
