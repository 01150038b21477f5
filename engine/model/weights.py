"""Finds weights and reads them as tensors only; code in a weights file is never executed."""

from __future__ import annotations

import hashlib
import io
import sys
from collections import OrderedDict
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file

from engine import portable
from engine.errors import UserError
from engine.model.timm_networks import is_timm, timm_weights_file
from engine.runs.files import sha256_of
from engine.runs.opening import is_file, open_regular

_WRAPPERS = ("state_dict", "model_state_dict", "model", "module")  # keys of training checkpoints
_PREFIXES = ("module.", "_orig_mod.", "model.")  # of DataParallel, torch.compile and Lightning


@dataclass(frozen=True)
class Weights:
    """The initial weights of a backbone.

    Attributes
    ----------
    source : "none", "default", a name of torchvision's, or the file's path
    sha256 : checksum of the file; for "none" a name with the seed and the torch version
    path : the file, None for "none"
    """

    source: str
    sha256: str
    path: Path | None


def find_weights(name: str, source: str, seed: int) -> Weights:
    """Find the weights: "none", "default" or a name (torchvision's, downloaded once), or a file.

    Raises
    ------
    UserError
        If the file does not exist, or the download fails.
    """
    if source == "none":
        return Weights("none", f"none-{seed}-torch-{torch.__version__.split('+')[0]}", None)
    if is_timm(name) and source == "default":
        path = timm_weights_file(name)
        return Weights(source, sha256_of(path), path)
    published = source == "default" or source in published_weights(name, source)
    path = _published_file(name, source) if published else Path(source).absolute()
    if not is_file(path):
        names = [] if is_timm(name) else published_weights(name, "IMAGENET")
        raise UserError(
            "does not exist; give a .safetensors or .pth file, or "
            f"{', '.join(names or ['default', 'none'])}.",
            option="weights",
            value=source,
        )
    return Weights(source if published else str(path), sha256_of(path, anywhere=published), path)


def published_weights(name: str, source: str) -> list[str]:
    """Return the names of torchvision's weights for a backbone, empty if ``source`` is a file."""
    if is_timm(name) or not source.startswith("IMAGENET"):
        return []
    from engine.light_torchvision import torchvision

    return list(torchvision.models.get_model_weights(name).__members__)


def read_state(path: Path, sha256: str = "") -> dict[str, torch.Tensor]:
    """Read names and tensors from a .safetensors or .pth file; code in it is never executed.

    The tensors of a training checkpoint are found in it, see :func:`unwrapped`.

    Raises
    ------
    UserError
        If the file is damaged, contains anything but tensors, or has changed since it was found.
    """
    state, _ = unwrapped(_content(path, sha256))
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise UserError(f"{path} must contain only a state dict: names and tensors.")
    return checked_finite(state, path)


def unwrapped(content: Any) -> tuple[Any, tuple[str, ...]]:
    """Return the tensors by name in a training checkpoint, and the entries that were left out.

    Training programs save a dictionary with the weights under one of a few names, and wrappers
    of the network put a prefix before every name.
    """
    around: list[str] = []
    while isinstance(content, dict):
        key = next((key for key in _WRAPPERS if isinstance(content.get(key), dict)), None)
        if key is None:
            break
        content = content[key]
        around.append(f"'{key}'")
    names = list(content) if isinstance(content, dict) else []
    while names and all(isinstance(name, str) for name in names):
        prefix = next((p for p in _PREFIXES if all(name.startswith(p) for name in names)), None)
        if prefix is None:
            break
        metadata = getattr(content, "_metadata", None)
        content = OrderedDict((name[len(prefix) :], each) for name, each in content.items())
        if metadata is not None:
            inner = {key.removeprefix(prefix): each for key, each in metadata.items()}
            setattr(content, "_metadata", inner)  # noqa: B010
        names = list(content)
        around.append(f"the prefix '{prefix}'")
    return content, tuple(around)


def wrapping(weights: Weights) -> str:
    """Return a sentence on the entries of a weights file that were left out, '' if none."""
    if weights.path is None or weights.source != str(weights.path):
        return ""
    _, around = unwrapped(_content(weights.path, weights.sha256))
    return f"{weights.path}: the weights were read without {' and '.join(around)}." * bool(around)


def read_tensors(path: Path, sha256: str) -> dict[str, torch.Tensor]:
    """Read a safetensors file after checking its checksum.

    Raises
    ------
    UserError
        If it is missing or its content has changed.
    """
    try:
        with open_regular(path) as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise UserError(
                    f"{path} is damaged: its checksum differs from the one in config.json; restore "
                    "it, or fit again."
                )
            tensors = load_file(portable.name_of_open(file.fileno(), path))
        return checked_finite(tensors, path)
    except OSError as error:
        raise UserError(f"{path} could not be read ({error.strerror}).") from error
    except safetensors.SafetensorError as error:
        raise UserError(f"{path} is damaged ({error}); restore it, or fit again.") from error


def checked_finite(state: dict[str, torch.Tensor], path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a file if every number in them is finite.

    Raises
    ------
    UserError
        When one is NaN or infinite; the file and the tensor are named.
    """
    for name, tensor in state.items():
        # A sum is finite only if all numbers are, and takes a quarter of the time; it may
        # overflow by itself.
        if tensor.is_floating_point() and not torch.isfinite(tensor.sum(dtype=torch.float32)):
            bad = int((~torch.isfinite(tensor)).sum())
            if bad:
                raise UserError(
                    f"{path} cannot be used: its tensor '{name}' holds {bad:,} of "
                    f"{tensor.numel():,} values that are not finite (NaN or infinity); get a "
                    "sound copy of the file."
                )
    return state


def first_line(error: Exception) -> str:
    """Return the first line of a library's error message."""
    return str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__


def _published_file(name: str, source: str) -> Path:
    from engine.light_torchvision import torchvision

    known = torchvision.models.get_model_weights(name)
    published = known.DEFAULT if source == "default" else known[source]
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / Path(published.url).name
    if not path.is_file():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            watched = sys.stderr.isatty()
            with redirect_stdout(sys.stderr if watched else io.StringIO()):
                torch.hub.load_state_dict_from_url(
                    published.url, check_hash=True, weights_only=True, map_location="cpu",
                    progress=watched,
                )  # fmt: skip
        except (OSError, RuntimeError) as error:
            raise UserError(
                f"Published weights of {name} could not be downloaded from {published.url} "
                f"({error}); put the file into {folder}, give the path of a .safetensors file, or "
                "start with random weights: --weights none."
            ) from error
    return path


def _content(path: Path, sha256: str) -> Any:
    try:
        with open_regular(path, anywhere=bool(sha256)) as file:
            if sha256 and hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise UserError(f"{path} was changed after it was checked; start again.")
            file.seek(0)
            if path.suffix == ".safetensors":
                return load_file(portable.name_of_open(file.fileno(), path))
            return torch.load(file, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except (safetensors.SafetensorError, OSError, RuntimeError, EOFError, ValueError) as error:
        raise UserError(
            f"{path} is damaged or not a weights file ({first_line(error)})."
        ) from error
    except Exception as error:  # UnpicklingError: it contains more than tensors
        raise UserError(
            f"{path} contains more than weights and was not executed ({first_line(error)}); save "
            "only the state dict, as .safetensors."
        ) from error
