"""The options of a fit: one table for the command line, the Train page, jobs and refits.

A new option is one field of :class:`FitOptions` and the code that uses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from engine.runs.fit_option import FitOption
from engine.runs.network_names import backbone_names, plain, weights_names


@dataclass(frozen=True)
class FitOptions:
    """The options of a fit; None means the default that suits the others.

    A single text means a tuple with one item, and names of backbones may be joined by "+".

    Examples
    --------
    >>> FitOptions("photos", backbone="resnet18", sample=True).arguments()
    ['photos', '--backbone=resnet18', '--sample']
    >>> FitOptions("photos", backbone=["resnet18", "vgg16"]).networks
    (('resnet18', 'default'), ('vgg16', 'default'))
    """

    data: str | PathLike[str]
    backbone: Annotated[
        tuple[str, ...],
        FitOption(
            "Network",
            "Any torchvision classifier, or timm/NAME; given several times, their features stand "
            "side by side.",
        ),
    ] = ("vgg16",)
    weights: Annotated[
        tuple[str, ...],
        FitOption(
            "Initial weights",
            "default (torchvision's), one of its names such as IMAGENET1K_V1, none (random "
            "initialisation), or a weights file; for several backbones once each, in their order.",
        ),
    ] = ("default",)
    train: Annotated[
        str,
        FitOption(
            "Train",
            "The last layer on cached features (head), or the whole network (all).",
            choices=("head", "all"),
        ),
    ] = "head"
    epochs: Annotated[
        int | None,
        FitOption(
            "Epochs",
            "Passes over the training images, by default 10 for all; without it the head is "
            "solved exactly.",
            least=1,
            most=1_000_000,
        ),
    ] = None
    batch_size: Annotated[
        int, FitOption("Batch size", "Images per training step.", least=1, most=65_536)
    ] = 64
    lr: Annotated[
        float | None,
        FitOption(
            "Learning rate",
            "Peak learning rate; without it the head is solved exactly.",
            least=1e-7,
            most=1000,
        ),
    ] = None
    image_size: Annotated[
        int | None,
        FitOption(
            "Image size",
            "Side of the square that the network sees, in pixels; by default that of the weights.",
            least=32,
            most=1024,
        ),
    ] = None
    views: Annotated[
        int,
        FitOption(
            "Views",
            "Views of each image: 1 is its centre, 2 adds its mirror, 4 adds the whole image and "
            "the mirror of that. Each takes one more pass and lowers the log loss.",
            choices=(1, 2, 4),
        ),
    ] = 1
    valid: Annotated[
        int | None,
        FitOption(
            "Validation images",
            "Labelled images held out to score the fit; by default 2,000, or 20 % of fewer than "
            "10,000.",
            about_data=True,
        ),
    ] = None
    sealed: Annotated[
        int,
        FitOption(
            "Sealed images",
            "Labelled images that are not used until `report --on sealed` scores them: the best "
            "of many runs looks too good on the images by which it was chosen.",
            least=0,
            most=1_000_000,
            about_data=True,
        ),
    ] = 0
    sample: Annotated[
        bool,
        FitOption(
            "Quick test run", "Use only 200 training and 50 validation images.", about_data=True
        ),
    ] = False
    seed: Annotated[
        int,
        FitOption(
            "Seed",
            "Random seed of the split and the training.",
            least=0,
            most=2**31 - 1,
            about_data=True,
        ),
    ] = 0
    class_weight: Annotated[
        str,
        FitOption(
            "Class weight",
            "balanced: all classes have the same weight; probabilities are then not frequencies.",
            choices=("none", "balanced"),
        ),
    ] = "none"
    folds: Annotated[
        int | None,
        FitOption(
            "Folds",
            "Also predict all labelled images out of fold, with one head per fold.",
            least=2,
            most=20,
        ),
    ] = None
    verdicts: Annotated[
        bool,
        FitOption("Verdicts", "Apply the verdicts: correct or leave out labels.", on_page=False),
    ] = False
    device: Annotated[
        str,
        FitOption(
            "Device",
            "Where the network runs; auto uses a GPU where there is one.",
            choices=("auto", "cpu", "cuda", "mps"),
        ),
    ] = "auto"
    precision: Annotated[
        str,
        FitOption(
            "Precision",
            "Half precision is faster and changes probabilities slightly.",
            choices=("auto", "float32", "bfloat16", "float16"),
        ),
    ] = "auto"
    labels: Annotated[
        str | None,
        FitOption(
            "Label table",
            "A CSV or TSV with the class of each image, instead of the labels found.",
            about_data=True,
        ),
    ] = None
    id_column: Annotated[
        str | None,
        FitOption(
            "Image column", "The label table's column of paths, names or ids.", about_data=True
        ),
    ] = None
    label_column: Annotated[
        str | None,
        FitOption("Class column", "The label table's column of classes.", about_data=True),
    ] = None
    group: Annotated[
        str | None,
        FitOption(
            "Group column",
            "Images with the same value, such as a patient, are not divided between train and "
            "valid.",
            about_data=True,
        ),
    ] = None
    test: Annotated[
        str | None,
        FitOption(
            "Test folder", "A folder of test images, instead of those found.", about_data=True
        ),
    ] = None
    name: Annotated[str | None, FitOption("Name", "Display name of the run.", in_key=False)] = None

    def __post_init__(self) -> None:
        """Make tuples of texts and lists."""
        object.__setattr__(self, "backbone", backbone_names(self.backbone))
        object.__setattr__(self, "weights", weights_names(self.weights))

    @classmethod
    def chosen(cls, data: str | PathLike[str], values: Mapping[str, Any]) -> FitOptions:
        """Return options from a form's values, where None and '' mean the default.

        Raises
        ------
        TypeError
            When there is no option of such a name.
        """
        return cls(data, **{key: each for key, each in values.items() if each not in (None, "")})

    @property
    def path(self) -> Path:
        """Return where the data are."""
        return Path(self.data)

    @property
    def network(self) -> str:
        """Return the names of the backbones, joined by "+"."""
        return "+".join(self.backbone)

    @property
    def networks(self) -> tuple[tuple[str, str], ...]:
        """Return each backbone with its initial weights, which may be the same for all."""
        weights = self.weights * (len(self.backbone) if len(self.weights) == 1 else 1)
        return tuple(zip(self.backbone, weights, strict=True))

    def plain(self) -> dict[str, Any]:
        """Return all options by name, where a tuple of one is its text and others are lists."""
        values = {option.name: getattr(self, option.name) for option in FIT_OPTIONS}
        return {name: plain(v) if isinstance(v, tuple) else v for name, v in values.items()}

    def changed(self) -> dict[str, Any]:
        """Return the options that differ from their defaults, by name."""
        values = self.plain()
        return {o.name: values[o.name] for o in FIT_OPTIONS if values[o.name] != o.default}

    def arguments(self) -> list[str]:
        """Return the arguments of the command ``fit`` that give these options."""
        # `--name=-x`, not `--name -x`: a value may begin with a dash.
        changed = self.changed()
        flags = [
            option.flag + ("" if option.kind is bool else f"={value}")
            for option in FIT_OPTIONS
            if option.name in changed
            for value in (getattr(self, option.name) if option.repeated else [changed[option.name]])
        ]
        return [str(self.data), *flags]

    def key_values(self) -> dict[str, Any]:
        """Return the options by which an interrupted fit is recognised, by name."""
        values = self.plain()
        return {o.name: values[o.name] for o in FIT_OPTIONS if o.in_key}


def _table() -> tuple[FitOption, ...]:
    hints = get_type_hints(FitOptions, include_extras=True)
    rows = []
    for field in fields(FitOptions):
        if field.default is MISSING:  # the data
            continue
        annotated, row = get_args(hints[field.name])
        kind = next((each for each in get_args(annotated) if each is not type(None)), annotated)
        repeated = get_origin(annotated) is tuple
        default = field.default[0] if repeated else field.default
        rows.append(replace(row, name=field.name, kind=kind, default=default, repeated=repeated))
    return tuple(rows)


FIT_OPTIONS = _table()
