"""Networks of the optional package timm, with its preprocessing and weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import nn

from engine.errors import UserError
from engine.runs.files import atomic_path, workspace

if TYPE_CHECKING:
    from engine.model.preprocessing import Preprocessing

PREFIX = "timm/"


def is_timm(backbone: str) -> bool:
    """Return whether a backbone is one of timm's, such as timm/resnet10t.c3_in1k."""
    return backbone.startswith(PREFIX)


def check_timm(backbone: str) -> None:
    """Raise an error if timm is not installed, or has no such model."""
    timm = _timm(backbone)
    name = backbone.removeprefix(PREFIX)
    if timm.is_model(name):
        try:
            _config(backbone)
        except RuntimeError as error:
            raise UserError(f"is not known: {error}", option="backbone", value=backbone) from error
        return
    close = timm.list_models(f"{name.partition('.')[0][:6]}*")[:6]
    known = ", ".join(PREFIX + each for each in close)
    raise UserError(
        "is not a model of timm; " + (f"did you mean {known}?" if close else "see its list."),
        option="backbone",
        value=backbone,
    )


def timm_preprocessing(backbone: str) -> Preprocessing:
    """Return the preprocessing that timm publishes with the weights.

    Raises
    ------
    UserError
        If the network needs images that are not squares of three channels, or pads them.
    """
    from engine.model.preprocessing import Preprocessing

    timm = _timm(backbone)
    data = timm.data.resolve_data_config(pretrained_cfg=_config(backbone))
    channels, height, width = data["input_size"]
    squash = data["crop_mode"] == "squash" and data["crop_pct"] == 1
    if channels != 3 or height != width or not (squash or data["crop_mode"] == "center"):
        raise UserError(
            f"takes images of {channels} × {height} × {width}, mode {data['crop_mode']}; only "
            "squares of three channels, of the centre or the whole image, are read; choose "
            "another.",
            option="backbone",
            value=backbone,
        )
    return Preprocessing(
        resize=math.floor(height / data["crop_pct"]),
        crop=height,
        interpolation="bilinear" if data["interpolation"] == "bilinear" else "bicubic",
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
        whole=squash,
    )


def timm_weights_file(backbone: str) -> Path:
    """Return a file with the published weights; timm downloads them once.

    Raises
    ------
    UserError
        If the download fails.
    """
    timm = _timm(backbone)
    name = backbone.removeprefix(PREFIX)
    folder = workspace() / "cache" / "backbones"
    path = folder / f"timm-{name}-{timm.__version__}.safetensors"
    if path.is_file():
        return path
    try:
        with redirect_stdout(None):
            network = timm.create_model(name, pretrained=True, num_classes=0)
    except Exception as error:  # of whatever package timm downloads with
        reason = shorten(str(error) or type(error).__name__, 160, placeholder=" …")
        raise UserError(
            f"Published weights of {backbone} could not be downloaded by timm ({reason}); give the "
            "path of a .safetensors file, or start with random weights: --weights none."
        ) from error
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        save_file({key: v.contiguous() for key, v in network.state_dict().items()}, temporary)
    return path


def load_timm(
    backbone: str, state: Mapping[str, torch.Tensor] | None, path: Path | None, seed: int, crop: int
) -> nn.Module:
    """Build a network that returns its embedding, the input of the last layer.

    Parameters
    ----------
    state, path : tensors and the file that they are from; None for random weights

    Raises
    ------
    UserError
        If the tensors belong to another network, or it does not accept images of this size.
    """
    timm = _timm(backbone)
    name = backbone.removeprefix(PREFIX)
    own = timm_preprocessing(backbone).crop
    sizes: tuple[dict[str, Any], ...] = ({},) if crop == own else ({"img_size": crop}, {})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _created(timm, name, sizes)
    if state is not None:
        _load(network, _config(backbone), state, f"{path} does not fit {backbone}")
    network.eval()
    try:
        with torch.inference_mode():
            network(torch.zeros(1, 3, crop, crop))
    except (AssertionError, RuntimeError) as error:
        reason = shorten(str(error), 160, placeholder=" …")
        raise UserError(
            f"does not suit {backbone} ({reason}); its weights were trained with {own}.",
            option="image_size",
            value=crop,
        ) from error
    return network


def _created(timm: Any, name: str, sizes: tuple[dict[str, Any], ...]) -> nn.Module:
    """Build the network for the first of these sizes that it takes as an argument."""
    for size in sizes[:-1]:
        try:
            network: nn.Module = timm.create_model(name, num_classes=0, **size)
            return network
        except TypeError:  # a convolutional network takes images of any size
            continue
    network = timm.create_model(name, num_classes=0, **sizes[-1])
    return network


def _load(
    network: nn.Module, config: dict[str, Any], state: Mapping[str, torch.Tensor], refusal: str
) -> None:
    """Load all tensors but those of the classifier, which the network does not have."""
    named = config.get("classifier") or ()
    layers = (named,) if isinstance(named, str) else tuple(named)
    own = network.state_dict().keys()
    kept = {
        key: each
        for key, each in state.items()
        if key in own or not key.startswith(tuple(f"{layer}." for layer in layers))
    }
    try:
        network.load_state_dict(kept)
    except RuntimeError as error:
        lines = str(error).splitlines()
        reason = shorten(lines[1] if lines[1:] else lines[0], 200, placeholder=" …")
        raise UserError(f"{refusal}: {reason}") from error


def _config(backbone: str) -> dict[str, Any]:
    found = _timm(backbone).get_pretrained_cfg(backbone.removeprefix(PREFIX))
    return {} if found is None else dict(found.to_dict())


def _timm(backbone: str) -> Any:
    try:
        import timm
        import timm.data
    except ModuleNotFoundError as error:
        raise UserError(
            f"needs the package {error.name}; install second-look[timm], or choose a network of "
            "torchvision.",
            option="backbone",
            value=backbone,
        ) from error
    return timm
