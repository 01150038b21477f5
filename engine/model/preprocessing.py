"""Prepares images for a backbone as published by torchvision with the weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import torch

from engine.errors import UserError
from engine.model.resize import Sides, square, squeezed
from engine.model.timm_networks import is_timm, timm_preprocessing
from engine.runs.files import read_json, workspace, write_json
from engine.runs.typed_json import from_json

_OF_A_VIEW = ("whole", "mirrored")


@dataclass(frozen=True)
class Preprocessing:
    """Resize, crop and normalisation as published with a backbone's weights.

    Attributes
    ----------
    resize, crop : length in pixels of the short side after resizing, and of the crop's sides
    interpolation : "bilinear" or "bicubic"
    mean, std : of the three channels, in units of [0, 1]
    whole : whether the whole image is resized to the crop's sides, instead of the centre
    mirrored : whether the pixels are mirrored, left to right
    """

    resize: int
    crop: int
    interpolation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    whole: bool = field(default=False, repr=False)
    mirrored: bool = field(default=False, repr=False)

    def described(self) -> dict[str, Any]:
        """Return the values that were published with the weights, by name."""
        values = {key: value for key, value in asdict(self).items() if key not in _OF_A_VIEW}
        return {**values, "whole": True} if self.whole else values

    @property
    def decoded_short(self) -> int:
        """Return the short side in pixels that a large JPEG must keep when it is decoded smaller.

        Twice the side after resizing, so that the antialiased resize still decides.
        """
        return 2 * max(self.resize, self.crop)

    def resized(self, pixels: torch.Tensor, sides: Sides | None = None) -> torch.Tensor:
        """Resize and crop an image, uint8 (3, H, W) to uint8 (3, crop, crop), not mirrored.

        ``sides`` are those of an image whose last pixels reach beyond it, see `decode_reduced`.
        """
        if self.whole:
            return squeezed(pixels, self.crop, self.interpolation, sides)
        return square(pixels, self.resize, self.crop, self.interpolation, sides)

    def normalised(self, batch: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Normalise uint8 (B, 3, H, W) to floating point, channels last, and mirror."""
        size, _, height, width = batch.shape
        # As rows of W * 3 values: a last dimension of 3 would be slow.
        rows = batch.permute(0, 2, 3, 1).reshape(size * height, width * 3).float()
        mean, std = (_row(channels, width, batch.device) for channels in (self.mean, self.std))
        scaled = rows.sub_(mean).div_(std).to(dtype)
        pixels = scaled.view(size, height, width, 3)
        return (pixels.flip(2) if self.mirrored else pixels).permute(0, 3, 1, 2)


@lru_cache(maxsize=16)
def _row(channels: tuple[float, ...], width: int, device: torch.device) -> torch.Tensor:
    """Return 255 times the channels for each of ``width`` pixels; a copy to a GPU would wait."""
    with torch.inference_mode(False):  # else it could not be used in training
        return torch.tensor(channels, device=device).mul(255).repeat(width)


def preprocessing(
    name: str, image_size: int | None = None, weights: str = "default"
) -> Preprocessing:
    """Return the published preprocessing, scaled to another crop if ``image_size`` is given.

    Parameters
    ----------
    weights : name of torchvision's weights, whose preprocessing is returned; for other weights that
        of the default ones
    """
    known = timm_preprocessing(name) if is_timm(name) else published(name)
    assert known, f"{name} is no backbone"
    if weights.startswith("IMAGENET"):
        known = from_json(Preprocessing, _asked(name, weights), "")
    resize, crop = known.resize, known.crop
    if image_size is not None:
        if not 32 <= image_size <= 1024:
            raise UserError(
                "must lie between 32 and 1024 pixels.", option="image_size", value=image_size
            )
        resize, crop = round(resize * image_size / crop), image_size
    return replace(known, resize=resize, crop=crop)


def published(name: str) -> Preprocessing | None:
    """Return the published preprocessing, or None if torchvision has no such classifier.

    It is cached in the workspace, because importing torchvision takes a second, which a fit from
    the feature cache does not need otherwise.
    """
    file = workspace() / "cache" / "backbones" / f"torchvision-{version('torchvision')}.json"
    try:
        return from_json(Preprocessing, read_json(file)[name], f"{file}: ")
    except (UserError, KeyError, TypeError):  # not asked before, or damaged
        said = {each: _asked(each) for each in backbone_names()}
    write_json(file, said)
    return from_json(Preprocessing, said[name], "") if name in said else None


def backbone_names() -> list[str]:
    """Return the names of torchvision's classification models."""
    from engine.light_torchvision import torchvision

    return sorted(torchvision.models.list_models(module=torchvision.models))


def _asked(name: str, weights: str = "DEFAULT") -> dict[str, Any]:
    from engine.light_torchvision import torchvision

    known = torchvision.models.get_model_weights(name)
    said = getattr(known, weights if weights in known.__members__ else "DEFAULT").transforms()
    return {
        "resize": said.resize_size[0],
        "crop": said.crop_size[0],
        "interpolation": said.interpolation.value,
        "mean": list(said.mean),
        "std": list(said.std),
    }
