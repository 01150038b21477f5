"""Finds weights and reads them as tensors only; code in a weights file is never executed."""

from __future__ import annotations

import hashlib
import io
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load_file

from engine import portable
from engine.errors import UserError
from engine.runs.files import sha256_of
from engine.runs.opening import is_file, open_regular


@dataclass(frozen=True)
class Weights:
    """The initial weights of a backbone.

    Attributes
    ----------
    source : "none", "default" or the file's path
    sha256 : checksum of the file; for "none" a name with the seed and the torch version
    path : the file, None for "none"
    """

    source: str
    sha256: str
    path: Path | None


def find_weights(name: str, source: str, seed: int) -> Weights:
    """Find the weights: "none", "default" (torchvision's, downloaded once), or a file.

    Raises
    ------
    UserError
        If the file does not exist, or the download fails.
    """
    if source == "none":
        return Weights("none", f"none-{seed}-torch-{torch.__version__.split('+')[0]}", None)
    published = source == "default"
    path = _published_file(name) if published else Path(source).absolute()
    if not is_file(path):
        raise UserError(
            "does not exist; give a .safetensors or .pth file.", option="weights", value=source
        )
    return Weights(source if published else str(path), sha256_of(path, anywhere=published), path)


def read_state(path: Path, sha256: str = "") -> dict[str, torch.Tensor]:
    """Read names and tensors from a .safetensors or .pth file; code in it is never executed.

    Raises
    ------
    UserError
        If the file is damaged, contains anything else, or has not the checksum that it had when
        it was found.
    """
    try:
        with open_regular(path, anywhere=bool(sha256)) as file:
            if sha256 and hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise UserError(f"{path} was changed after it was checked; start again.")
            file.seek(0)
            if path.suffix == ".safetensors":
                state = load_file(portable.name_of_open(file.fileno(), path))
            else:
                state = torch.load(file, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except (safetensors.SafetensorError, OSError, RuntimeError, EOFError, ValueError) as error:
        raise UserError(
            f"{path} is damaged or not a weights file ({first_line(error)})."
        ) from error
    except Exception as error:  # UnpicklingError: it contains more than tensors
        raise UserError(
            f"{path} contains more than weights and was not executed ({first_line(error)})."
        ) from error
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise UserError(f"{path} must contain only a state dict: names and tensors.")
    return checked_finite(state, path)


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


def _published_file(name: str) -> Path:
    import torchvision

    published = torchvision.models.get_model_weights(name).DEFAULT
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
                f"stands for {published.url}, which could not be downloaded ({error}); put the "
                f"file into {folder}, or give the path of a .safetensors file, or none.",
                option="weights",
                value="default",
            ) from error
    return path
