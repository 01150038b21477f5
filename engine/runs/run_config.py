"""The config of a run, ``config.json``: its options and its results.

Only this module and `run_results` know the keys of that file, earlier ones included.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.runs.files import json_bytes, json_object, write_json
from engine.runs.fit_options import FIT_OPTIONS, FitOptions
from engine.runs.precision_check import PrecisionCheck
from engine.runs.run_results import (
    BackbonesCompared,
    FoldsSummary,
    ImageCounts,
    ImportedFrom,
    LabelEditEffect,
    LabelEdits,
    Scores,
)
from engine.runs.typed_json import from_json, key_of, to_json

FORMAT_VERSION = 1
TORCH, OPENVINO = "torch", "openvino"  # what computed the features of a frozen network
_MOST_CACHED = 2**16  # bytes of a file whose config is kept in memory
_UNDER_OTHER_KEYS = ("name", "weights", "valid")  # options of a fit


@dataclass(frozen=True)
class WeightsSource:
    """The initial weights: default, none or a file, and the SHA-256 of their content."""

    source: str
    sha256: str


@dataclass(frozen=True)
class NetworkUsed:
    """A frozen network of a fit: its name, initial weights and preprocessing."""

    name: str
    weights: WeightsSource
    preprocessing: dict[str, Any]


@dataclass(frozen=True)
class RunConfig:
    """The options and results of a run; None where one does not apply.

    Attributes
    ----------
    backbone : its name; "imported" and "blend" for runs that no fit made
    created, started_ns : UTC, like 2026-03-01T12:30:07Z, and nanoseconds since 1970
    data, root : the data as given, and the folder that image paths are relative to
    class_names : sorted; index = column of the probabilities
    positive : the positive class where it is not the second of two
    request : the options that a fit in the background was started with
    options : of the fit, as they were used; None for imported and blended runs
    weights, preprocessing : of the first network
    beside : further networks, whose features stand beside the first one's
    executors : what computed each network's features, torch or openvino; () for torch alone
    compared : how the features of several networks were joined
    fingerprint : of the images and their labels
    key, inputs_key : the same for the same fit; for the same features, labels and seed
    without_verdicts : the ``inputs_key`` of the same fit without verdicts
    scores, test_scores : on the validation images; on the test images where all have labels
    origin : where labels, splits and the sample file were found, as `inspect` reports it
    predicted : folder by the name of the predictions that `predict` made of its images
    train_counts : training images of each class
    ignored, notes, duplicates : number of other files by reason, remarks by path, repeated images
    l2 : strength of the head's penalty
    head_sha256 : of the file that holds the head; None until the fit has a model
    """

    backbone: str
    created: str = ""
    started_ns: int = 0
    name: str | None = None
    data: str | None = None
    root: str | None = None
    class_names: tuple[str, ...] = ()
    positive: str | None = None
    request: dict[str, Any] | None = None
    options: FitOptions | None = None
    weights: WeightsSource | None = None
    preprocessing: dict[str, Any] | None = None
    beside: tuple[NetworkUsed, ...] = ()
    executors: tuple[str, ...] = ()
    compared: BackbonesCompared | None = None
    fingerprint: str | None = None
    key: str | None = None
    inputs_key: str | None = None
    without_verdicts: str | None = None
    n: ImageCounts = ImageCounts()
    scores: Scores | None = field(default=None, metadata={"key": "valid"})
    test_scores: Scores | None = None
    origin: dict[str, Any] | None = None
    predicted: dict[str, str] = field(default_factory=dict)
    train_counts: dict[str, int] = field(default_factory=dict)
    ignored: int | dict[str, int] | None = None
    notes: dict[str, str] = field(default_factory=dict)
    duplicates: tuple[dict[str, Any], ...] = ()
    l2: float | None = None
    head_sha256: str | None = None
    precision_check: PrecisionCheck | None = None
    out_of_fold: FoldsSummary | None = None
    label_edits: LabelEdits | None = field(default=None, metadata={"key": "corrections"})
    label_edit_effect: LabelEditEffect | None = field(default=None, metadata={"key": "change"})
    blend: dict[str, Any] | None = None
    source: ImportedFrom | None = None

    @property
    def first_scores(self) -> tuple[str, Scores] | None:
        """Return the scores that every page shows first, and the name of their images.

        They are of all labelled images out of fold where the fit had folds, else of the
        validation images.
        """
        if folds := self.out_of_fold:
            return "cross-validated", Scores(folds.accuracy, folds.log_loss)
        return ("validation", self.scores) if self.scores else None

    @property
    def networks(self) -> tuple[NetworkUsed, ...]:
        """Return the networks of a fit; none where they are not named."""
        if self.weights is None or self.preprocessing is None:
            return ()
        first, *_ = self.backbone.split("+")
        return NetworkUsed(first, self.weights, self.preprocessing), *self.beside

    @property
    def network(self) -> str:
        """Return the backbone, and the views of each image where there are several."""
        views = self.options.views if self.options else 1
        return self.backbone if views == 1 else f"{self.backbone}, {views} views"

    @property
    def precision_sentence(self) -> str:
        """Return a sentence on the precision and its effect, '' if float32."""
        check, options = self.precision_check, self.options
        return check.sentence(options.precision) if check and options else ""

    def given(self) -> dict[str, Any]:
        """Return the fields that differ from an empty config's, by name."""
        empty = RunConfig(self.backbone)
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            key: value
            for key, value in values.items()
            if key == "backbone" or value != getattr(empty, key)
        }


def read_config(path: Path) -> RunConfig:
    """Read a config; keys that it does not know are left out.

    Raises
    ------
    UserError
        When the file is missing, damaged, or written by a newer version.
    """
    content = json_bytes(path)
    return (_config_of if len(content) < _MOST_CACHED else _config_of.__wrapped__)(path, content)


@lru_cache(maxsize=256)  # a page opens a run dozens of times
def _config_of(path: Path, content: bytes) -> RunConfig:
    values = _values_of(path, content)
    where = f"{path} is damaged: "
    config = from_json(RunConfig, {**values, "options": None}, where)
    if config.positive is not None and config.positive not in config.class_names:
        raise UserError(f"{where}positive is not one of class_names.")
    if "train" not in values:
        return config
    options = {option.name: values[option.name] for option in FIT_OPTIONS if option.name in values}
    options |= {
        "data": config.data or "",
        "name": config.name,
        "backbone": config.backbone.split("+"),
        "weights": [each.weights.source for each in config.networks] or ["default"],
        "valid": values.get("held_out"),
    }
    return replace(config, options=from_json(FitOptions, options, where))


def write_config(path: Path, config: RunConfig) -> None:
    """Write a new config."""
    write_json(path, {"format_version": FORMAT_VERSION, **_plain(config.given())})


def update_config(path: Path, changes: Mapping[str, Any]) -> None:
    """Replace fields of a config by name; keys that it does not know stay in the file.

    Raises
    ------
    TypeError
        When there is no field of such a name.
    """
    if unknown := set(changes) - {each.name for each in fields(RunConfig)}:
        raise TypeError(f"RunConfig has no fields {sorted(unknown)}")
    write_json(path, {**_read_file(path), **_plain(changes)})


def _read_file(path: Path) -> dict[str, Any]:
    """Return the file's JSON, that of earlier versions under today's keys."""
    return _values_of(path, json_bytes(path))


def _values_of(path: Path, content: bytes) -> dict[str, Any]:
    values = json_object(path, content)
    version = values.get("format_version")
    if version != FORMAT_VERSION:
        raise UserError(
            f"{path.parent} has format version {version}, this version reads {FORMAT_VERSION}; "
            "update Second Look to open it."
        )
    if type(values.get("valid")) is int or values.get("valid") in ({}, None):
        values.pop("valid", None)  # a number of images, until the fit had scores; or none
    check = values.get("precision_check")
    if isinstance(check, dict) and "pictures" in check:
        check["images"] = check.pop("pictures")
    return values


def _plain(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields as they stand in the file, where the options of the fit are not an object."""
    keys = {each.name: key_of(each) for each in fields(RunConfig)}
    values = {keys[name]: to_json(value) for name, value in given.items() if name != "options"}
    options: FitOptions | None = given.get("options")
    if options is None:
        return values
    flat = {name: value for name, value in options.plain().items() if name not in _UNDER_OTHER_KEYS}
    return {**flat, "held_out": options.valid, **values}
