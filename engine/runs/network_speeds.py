"""Images per second of each backbone, by machine, and the time that a pass will take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from engine import portable
from engine.errors import UserError
from engine.runs.files import read_json, workspace, write_json

Speeds = dict[str, float]  # images a second by backbone
_THREADS = " threads, "  # stands in the name of a CPU only


def speeds_by_machine() -> dict[str, Speeds]:
    """Return the stored speeds, by the name of the machine and precision."""
    try:
        kept = read_json(_file())
    except UserError:  # none was kept yet, or the file is damaged
        return {}
    return {
        machine: {
            name: float(value)
            for name, value in speeds.items()
            if isinstance(value, int | float) and value > 0
        }
        for machine, speeds in kept.items()
        if isinstance(speeds, dict)
    }


def keep_for_machine(machine: str, speeds: Mapping[str, float]) -> None:
    """Store images per second by backbone for a machine and precision."""
    if not speeds:
        return
    kept = speeds_by_machine()
    rounded = {name: round(speed, 2) for name, speed in speeds.items()}
    write_json(_file(), {**kept, machine: {**kept.get(machine, {}), **rounded}})


def cpu_name(threads: int, precision: str) -> str:
    """Return the name under which the speeds of this CPU are stored."""
    return f"{portable.cpu_model()}, {threads}{_THREADS}{precision}"


def speeds_here(device: str, precision: str) -> list[Speeds]:
    """Return the speeds that were measured here for a device and a precision.

    Parameters
    ----------
    device : as in the options of a fit; "auto" means the GPU if one was measured, else the CPU
    precision : as in the options of a fit; "auto" means any
    """
    ending = "" if precision == "auto" else f", {precision}"
    kept = {name: each for name, each in speeds_by_machine().items() if name.endswith(ending)}
    cpu = [each for name, each in kept.items() if name.startswith(f"{portable.cpu_model()}, ")]
    others = [each for name, each in kept.items() if _THREADS not in name]
    return cpu if device == "cpu" else others if device != "auto" else others or cpu


def pass_seconds(
    names: Sequence[str], passes: int, measured: Sequence[Speeds]
) -> tuple[float, float] | None:
    """Return the shortest and the longest expected seconds of a pass, None without a speed.

    Parameters
    ----------
    names : the networks; the images pass through each of them
    passes : number of images times views
    measured : images per second, as `speeds_here` returns them
    """
    known = [each for each in measured if all(name in each for name in names)]
    seconds = [sum(passes / each[name] for name in names) for each in known]
    return (min(seconds), max(seconds)) if seconds else None


def _file() -> Path:
    return workspace() / "cache" / "backbones" / "speeds.json"
