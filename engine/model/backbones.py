"""Builds a torchvision network by name, and splits it into a feature extractor and a last layer."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from torch import nn

from engine.errors import UserError
from engine.model.fused_activations import fuse_activations
from engine.model.preprocessing import Preprocessing, backbone_names, preprocessing, published
from engine.model.timm_networks import check_timm, is_timm, load_timm
from engine.model.weights import Weights, first_line, read_state

_SIDE_HEADS = (
    "aux1.",
    "aux2.",
    "AuxLogits.",
)  # auxiliary classifiers for training from scratch; not used here
_OLD_DENSE_LAYER = re.compile(  # tensor names in the published DenseNet files have an extra dot
    r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.(?:weight|bias|running_mean|running_var))"
)


def check_backbone(name: str) -> None:
    """Raise an error if the name is not a classification model of torchvision or timm."""
    if is_timm(name):
        check_timm(name)
        return
    if published(name) is None:
        close = [known for known in backbone_names() if known.startswith(name[:3])]
        raise UserError(
            "is not a classification model of torchvision; "
            + (f"did you mean {', '.join(close[:6])}?" if close else "vgg16 is the default."),
            option="backbone",
            value=name,
        )


def load_extractor(name: str, weights: Weights, seed: int, crop: int) -> nn.Module:
    """Build a network of torchvision or timm without its last layer; it returns (B, width).

    Raises
    ------
    UserError
        As :func:`load_network`.
    """
    if is_timm(name):
        state = read_state(weights.path, weights.sha256) if weights.path else None
        return load_timm(name, state, weights.path, seed, crop)
    extractor, _ = split_network(load_network(name, weights, seed, crop))
    return extractor


def load_network(name: str, weights: Weights, seed: int, crop: int) -> nn.Module:
    """Build the whole network, with 1,000 classes or those of the file, for crops of this side.

    Raises
    ------
    UserError
        If the file is damaged, contains pickled code or belongs to another architecture, or the
        network does not accept images of this size.
    """
    from engine.light_torchvision import torchvision

    state = read_state(weights.path, weights.sha256) if weights.path else None
    arguments = constructor_arguments(name, crop)
    if "init_weights" in arguments:
        arguments["init_weights"] = state is None
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        try:
            with nullcontext() if state is None else _no_random_values():
                network: nn.Module = torchvision.models.get_model(name, weights=None, **arguments)
        except (AssertionError, ValueError) as error:
            raise _unsuited(name, crop, error) from error
        if state is not None and weights.path:
            _load_file(network, name, state, weights.path)
    network.eval()
    if crop != preprocessing(name).crop:
        try:
            with torch.inference_mode():
                network(torch.zeros(1, 3, crop, crop))
        except (AssertionError, RuntimeError) as error:
            raise _unsuited(name, crop, error) from error
    return network


def constructor_arguments(name: str, crop: int) -> dict[str, Any]:
    """Return the arguments by which torchvision builds a network for crops of this side."""
    if name.startswith("vit_"):
        return {"image_size": crop}
    if name.startswith("maxvit_"):
        return {"input_size": (crop, crop)}
    if name in ("googlenet", "inception_v3"):  # torchvision's settings for the published weights
        return {"init_weights": False, "aux_logits": False, "transform_input": True}
    return {}


def load_state(network: nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Load all tensors by name; a state without versions has torchvision's current layout."""
    from engine.light_torchvision import torchvision

    tensors = OrderedDict(state)
    versions = {
        path: {"version": module._version}
        for path, module in network.named_modules()
        if isinstance(module, torchvision.models.MNASNet)  # only MNASNet requires a version
    }
    setattr(tensors, "_metadata", getattr(state, "_metadata", versions))  # noqa: B010
    network.load_state_dict(tensors)


def split_network(network: nn.Module) -> tuple[nn.Module, int]:
    """Remove the last layer in place; return the extractor and the width of its features.

    The extractor returns the input of the last layer: (B, width). If the last layer is a 1x1
    convolution followed by an average (SqueezeNet), the average of its input is returned: both are
    linear, so their order does not matter; the ReLU between them is left out.
    """
    path, layer = last_layer(network)
    if isinstance(layer, nn.Conv2d):
        _replace(network, path.rpartition(".")[0], nn.Sequential(nn.AdaptiveAvgPool2d(1)))
        return network, layer.in_channels
    _replace(network, path, nn.Identity())
    return network, int(layer.in_features)


def last_layer(network: nn.Module) -> tuple[str, nn.Linear | nn.Conv2d]:
    """Return the layer that maps features to class scores, and its path."""
    linear = [(path, m) for path, m in network.named_modules() if isinstance(m, nn.Linear)]
    if linear:
        return linear[-1]
    return [(path, m) for path, m in network.named_modules() if isinstance(m, nn.Conv2d)][-1]


def folded(network: nn.Module) -> nn.Module:
    """Fold batch normalisation into convolutions where the network can be traced."""
    from torch.fx.experimental.optimization import fuse

    network = network.eval()
    try:
        return fuse(network)
    except Exception:  # a network whose control flow cannot be traced stays unchanged
        return network.eval()


def for_inference(network: nn.Module, dtype: torch.dtype, device: str) -> nn.Module:
    """Set precision and device; fold batch normalisation, and on a CPU ReLU, into convolutions."""
    network = folded(network)
    network = network.to(device=device, dtype=dtype).to(memory_format=torch.channels_last)
    return (fuse_activations(network) if device == "cpu" else network).eval()


def feature_key(
    name: str, weights: Weights, steps: Preprocessing, precision: str, openvino: bool = False
) -> str:
    """Return the cache name of the features, which contains everything that affects a feature."""
    text = repr((1, name, weights.sha256, steps, precision))
    if steps.whole or steps.mirrored:
        text += f" whole={steps.whole} mirrored={steps.mirrored}"
    if openvino:
        text += " openvino"
    return f"{name.replace('/', '-')}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


@contextmanager
def _no_random_values() -> Iterator[None]:
    """Build layers without initial values, of which a file replaces every one.

    Half of the time in which VGG16 is built would go into them.
    """
    every = {name: value for name, value in vars(nn.init).items() if name[-1:] == "_" != name[0]}
    try:
        for name in every:
            setattr(nn.init, name, lambda tensor, *_, **__: tensor)
        yield
    finally:
        for name, function in every.items():
            setattr(nn.init, name, function)


def _load_file(network: nn.Module, name: str, state: dict[str, torch.Tensor], path: Path) -> None:
    for key in list(state):
        if key.startswith(_SIDE_HEADS):
            del state[key]
        elif name.startswith("densenet") and (old := _OLD_DENSE_LAYER.fullmatch(key)):
            state[old[1] + old[2]] = state.pop(key)
    at, layer = last_layer(network)
    given = state.get(f"{at}.weight")
    if given is None or given.ndim != layer.weight.ndim:
        raise UserError(f"{path} does not fit {name}: it has no tensor '{at}.weight'.")
    if len(given) != len(layer.weight):
        _replace(network, at, _of_classes(layer, len(given)))
    try:
        load_state(network, state)
    except RuntimeError as error:
        lines = str(error).splitlines()
        reason = shorten(lines[1] if lines[1:] else lines[0], 200, placeholder=" …")
        raise UserError(f"{path} does not fit {name}: {reason}") from error


def _of_classes(layer: nn.Linear | nn.Conv2d, n_classes: int) -> nn.Linear | nn.Conv2d:
    if isinstance(layer, nn.Conv2d):
        return nn.Conv2d(layer.in_channels, n_classes, kernel_size=1)
    return nn.Linear(layer.in_features, n_classes, bias=layer.bias is not None)


def _unsuited(name: str, crop: int, error: Exception) -> UserError:
    return UserError(
        f"cannot be used with {name} ({first_line(error)}); its weights were trained with "
        f"{preprocessing(name).crop} pixels.",
        option="image_size",
        value=crop,
    )


def _replace(network: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, module)
