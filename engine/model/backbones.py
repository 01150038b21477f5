"""A torchvision name becomes a frozen extractor, its own preprocessing, and a new head."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
import torchvision
from safetensors.torch import load_file
from torch import nn
from torch.fx.experimental.optimization import fuse
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from engine.errors import Refused
from engine.runs.files import sha256_of


@dataclass(frozen=True)
class Preprocessing:
    """Resize, crop and normalisation as published with a backbone's weights.

    Attributes
    ----------
    resize, crop : pixels, the short side after resizing and the side of the square taken
    interpolation : "bilinear" or "bicubic"
    mean, std : of the three channels, in units of [0, 1]
    """

    resize: int
    crop: int
    interpolation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @classmethod
    def from_config(cls, values: dict[str, Any]) -> Preprocessing:
        """Read it back from JSON, as ``dataclasses.asdict`` wrote it."""
        fields: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**fields)

    def resized(self, pixels: torch.Tensor) -> torch.Tensor:
        """Resize and crop a picture, uint8 (3, H, W) to uint8 (3, crop, crop)."""
        mode = InterpolationMode(self.interpolation)
        small = functional.resize(pixels, [self.resize], interpolation=mode, antialias=True)
        cropped: torch.Tensor = functional.center_crop(small, [self.crop])
        return cropped

    def normalised(self, batch: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Normalise uint8 (B, 3, H, W) to floating point, channels last."""
        mean = torch.tensor(self.mean, device=batch.device).view(1, 3, 1, 1) * 255
        std = torch.tensor(self.std, device=batch.device).view(1, 3, 1, 1) * 255
        scaled = batch.float().sub_(mean).div_(std)
        return scaled.to(dtype).contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Weights:
    """Which weights a backbone starts from.

    Attributes
    ----------
    source : "none", "default" or the file's path
    sha256 : of the file; for "none" a name that fixes the seed and the torch version
    path : the file, None for "none"
    """

    source: str
    sha256: str
    path: Path | None


def backbone_names() -> list[str]:
    """Return the names of torchvision's classification models."""
    return sorted(torchvision.models.list_models(module=torchvision.models))


def check_backbone(name: str) -> None:
    """Refuse a name that is no classification model of torchvision."""
    if name not in backbone_names():
        close = [known for known in backbone_names() if known.startswith(name[:3])]
        raise Refused(
            f"--backbone {name} is no classification model of torchvision; "
            f"{'did you mean ' + ', '.join(close[:6]) if close else 'vgg16 is the default'}?"
        )


def preprocessing(name: str, image_size: int | None = None) -> Preprocessing:
    """Return the published preprocessing, scaled to another crop where ``image_size`` says so."""
    published = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    resize, crop = published.resize_size[0], published.crop_size[0]
    if image_size is not None:
        if not 32 <= image_size <= 1024:
            raise Refused(f"--image-size {image_size} must lie between 32 and 1024 pixels.")
        resize, crop = round(resize * image_size / crop), image_size
    return Preprocessing(
        resize, crop, published.interpolation.value, tuple(published.mean), tuple(published.std)
    )


def find_weights(name: str, source: str, seed: int) -> Weights:
    """Find the weights: "none", "default" (torchvision's, downloaded once), or a file.

    Raises
    ------
    Refused
        When the file does not exist, or the download fails.
    """
    if source == "none":
        return Weights("none", f"none-{seed}-torch-{torch.__version__.split('+')[0]}", None)
    path = _published_file(name) if source == "default" else Path(source).absolute()
    if not path.is_file():
        raise Refused(f"--weights {source} does not exist; give a .safetensors or .pth file.")
    return Weights(source if source == "default" else str(path), sha256_of(path), path)


def load_network(name: str, weights: Weights, seed: int) -> nn.Module:
    """Build the whole network of 1,000 (or the file's number of) classes with these weights.

    Raises
    ------
    Refused
        When the file is damaged, holds pickled code, or belongs to another architecture.
    """
    state = _read_state(weights.path) if weights.path else None
    arguments: dict[str, Any] = {"weights": None}
    if state is not None:
        arguments["num_classes"] = _class_count(name, state, weights)
    if name in ("googlenet", "inception_v3"):
        with_aux = state is None or any(key.lower().startswith("aux") for key in state)
        arguments |= {"init_weights": state is None, "aux_logits": with_aux}
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        network: nn.Module = torchvision.models.get_model(name, **arguments)
    if state is not None:
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            lines = str(error).splitlines()
            raise Refused(
                f"{weights.path} does not fit {name}: {lines[1].strip() if lines[1:] else error}"
            ) from error
    return network.eval()


def split_network(network: nn.Module) -> tuple[nn.Module, int]:
    """Take the last layer off, in place; return the extractor and the width of its features.

    The extractor gives what the last layer would have read: (B, width). Where the last layer is
    a 1x1 convolution before an average (SqueezeNet), the average is taken of its input, which
    is the same, since both are linear.
    """
    for name in ("aux1", "aux2", "AuxLogits"):  # side heads of training from nothing
        if getattr(network, name, None) is not None:
            setattr(network, name, None)
    if hasattr(network, "aux_logits"):
        setattr(network, "aux_logits", False)  # noqa: B010
    path, layer = last_layer(network)
    if isinstance(layer, nn.Conv2d):
        _replace(network, path.rpartition(".")[0], nn.Sequential(nn.AdaptiveAvgPool2d(1)))
        return network, layer.in_channels
    _replace(network, path, nn.Identity())
    return network, int(layer.in_features)


def last_layer(network: nn.Module) -> tuple[str, nn.Linear | nn.Conv2d]:
    """Return the path and the layer that turns features into class scores."""
    linear = [(path, m) for path, m in network.named_modules() if isinstance(m, nn.Linear)]
    if linear:
        return linear[-1]
    return [(path, m) for path, m in network.named_modules() if isinstance(m, nn.Conv2d)][-1]


def for_inference(network: nn.Module, dtype: torch.dtype, device: str) -> nn.Module:
    """Fold batch normalisation into the convolutions where the graph allows; cast and place."""
    network = network.eval()
    try:
        network = fuse(network)
    except Exception:  # a network whose control flow cannot be traced runs as it is
        network = network.eval()
    network = network.to(device=device, dtype=dtype).to(memory_format=torch.channels_last)
    return network.eval()


def feature_key(name: str, weights: Weights, steps: Preprocessing, precision: str) -> str:
    """Return the name under which features are kept: everything that can change a feature."""
    text = repr((1, name, weights.sha256, steps, precision))
    return f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _published_file(name: str) -> Path:
    published = torchvision.models.get_model_weights(name).DEFAULT
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / Path(published.url).name
    if not path.is_file():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            torch.hub.load_state_dict_from_url(
                published.url, check_hash=True, weights_only=True, map_location="cpu"
            )
        except (OSError, RuntimeError) as error:
            raise Refused(
                f"--weights default: {published.url} could not be downloaded ({error}); put the "
                f"file into {folder}, or give --weights FILE.safetensors, or --weights none."
            ) from error
    return path


def _read_state(path: Path) -> dict[str, torch.Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (safetensors.SafetensorError, OSError, RuntimeError, EOFError, ValueError) as error:
        raise Refused(f"{path} is damaged or no weights file ({_line(error)}).") from error
    except Exception as error:  # UnpicklingError: it asks for more than tensors
        raise Refused(
            f"{path} holds more than weights and was not run ({_line(error)})."
        ) from error
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise Refused(f"{path} should hold a plain state dict: names and tensors, nothing else.")
    return state


def _class_count(name: str, state: dict[str, torch.Tensor], weights: Weights) -> int:
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path, _ = last_layer(torchvision.models.get_model(name, weights=None))
    key = f"{path}.weight"
    if key not in state:
        raise Refused(f"{weights.path} does not fit {name}: it has no tensor {key!r}.")
    return int(state[key].shape[0])


def _replace(network: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, module)


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
