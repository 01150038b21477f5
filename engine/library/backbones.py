"""The backbones that a fit can use, and their speed on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import UserError
from engine.runs.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

_LARGEST = 150_000_000  # parameters up to which a backbone is measured without being named


@dataclass(frozen=True)
class BackboneRow:
    """A backbone of torchvision with its default weights.

    Attributes
    ----------
    parameters, gflop, accuracy : as torchvision publishes them; accuracy is top-1 on ImageNet
    images_per_second : on this machine, None if not measured
    minutes : for one pass over the data, None without data or a speed
    """

    name: str
    parameters: int
    gflop: float
    accuracy: float
    images_per_second: float | None = None
    minutes: float | None = None


@dataclass(frozen=True)
class Backbones:
    """The backbones, the most accurate first.

    Attributes
    ----------
    images : number of image files in the data, None without data
    precision : the precision of the measured speeds
    """

    rows: tuple[BackboneRow, ...]
    images: int | None
    precision: str

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per backbone."""
        import pandas as pd

        return pd.DataFrame([asdict(row) for row in self.rows])

    def as_json(self) -> dict[str, Any]:
        """Return the backbones as `second-look backbones --json` prints them."""
        return asdict(self)


def backbones(
    data: str | Path | None = None,
    *,
    backbone: str | Sequence[str] | None = None,
    measure: bool = False,
    progress: Progress | None = None,
) -> Backbones:
    """List the backbones that a fit can use, and how long they take here.

    Speeds were measured by fits on this machine, or are measured now; the others are None.

    Parameters
    ----------
    data : str or Path, optional
        The data of a fit; its images are counted for ``minutes``.
    backbone : str or sequence of str, optional
        Only these; by default all of torchvision.
    measure : bool
        Measure the networks without a speed, about two seconds each; those of more than 150 million
        parameters only where they are named.
    progress : callable, optional
        Called with ``(stage, done, total)``.

    Returns
    -------
    Backbones
        ``rows`` with ``name``, ``parameters``, ``gflop``, ``accuracy``, ``images_per_second`` and
        ``minutes``, the most accurate first; and `to_pandas()`.

    Raises
    ------
    UserError
        When a name is no backbone, or the data cannot be read.

    Examples
    --------
    >>> import engine
    >>> found = engine.backbones("demo", backbone=["squeezenet1_1", "resnet18"])
    >>> found.images, [row.name for row in found.rows]
    (46, ['resnet18', 'squeezenet1_1'])
    >>> found.to_pandas().columns.tolist()[:4]
    ['name', 'parameters', 'gflop', 'accuracy']
    """
    from engine.data.layouts import find_images
    from engine.model.backbones import check_backbone
    from engine.model.device import choose_device
    from engine.model.speeds import keep_speeds, kept_speeds, measured_speed
    from engine.runs.backbone_facts import all_facts
    from engine.runs.network_names import backbone_names

    facts = all_facts()
    named = None if backbone is None else backbone_names(backbone)
    for name in named or ():
        check_backbone(name)
        if name not in facts:
            raise UserError(
                "is not listed: only torchvision's networks are.",
                option="backbone",
                value=name,
            )
    chosen = [each for each in facts.values() if named is None or each.name in named]
    images = None if data is None else len(find_images(Path(data)).images)
    device = choose_device()
    speeds = kept_speeds(device)
    if measure:
        missing = [
            each.name
            for each in chosen
            if each.name not in speeds and (named or each.parameters <= _LARGEST)
        ]
        for index, name in enumerate(missing):
            if progress:
                progress("speeds", index, len(missing))
            keep_speeds(device, {name: measured_speed(name, device)})
        speeds = kept_speeds(device)
    rows = []
    for each in chosen:
        speed = speeds.get(each.name)
        minutes = images / speed / 60 if images is not None and speed else None
        rows.append(
            BackboneRow(
                each.name, each.parameters, each.gflop, each.accuracy, speed,
                None if minutes is None else round(minutes, 2),
            )
        )  # fmt: skip
    return Backbones(tuple(rows), images, device.precision)
