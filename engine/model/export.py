"""Exports a run's model, for torchvision or as ONNX, with a description and a model card."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.errors import UserError
from engine.model.backbones import constructor_arguments
from engine.model.batches import decoded
from engine.model.checkpoint import save_tensors
from engine.model.device import choose_device
from engine.model.extractor import Extractor, open_model
from engine.model.head import Head
from engine.model.model_card import model_card
from engine.model.model_description import ModelDescription
from engine.model.onnx_export import (
    OUTPUT,
    Classifier,
    Input,
    Pixels,
    graph_inputs,
    probabilities_by_onnx,
    write_onnx,
)
from engine.model.preprocessing import Preprocessing
from engine.model.torchvision_export import assembled
from engine.model.views import views_of
from engine.runs.files import atomic_path, write_atomic, write_json
from engine.runs.run import Run

TORCHVISION, ONNX = "torchvision", "onnx"
SUFFIXES = {TORCHVISION: ".safetensors", ONNX: ".onnx"}
LARGEST_DIFFERENCE = 1e-4
_CHECKED = 16  # images whose probabilities are compared


@dataclass(frozen=True)
class Exported:
    """An exported model.

    Attributes
    ----------
    file : the tensors as safetensors, or the graph as ONNX
    description, card : a JSON file and a Markdown file beside it
    largest_difference : between probabilities of the exported network and of the run's model, on
        ``checked`` images
    """

    file: Path
    description: Path
    card: Path
    largest_difference: float
    checked: int

    def as_json(self) -> dict[str, Any]:
        """Return the files as texts, and the check."""
        return {key: str(v) if isinstance(v, Path) else v for key, v in asdict(self).items()}


def export(
    run: Run,
    out: Path | None = None,
    form: str | None = None,
    correction: dict[str, Any] | None = None,
) -> Exported:
    """Write the model of a run, so that torchvision alone, or onnxruntime alone, can load it.

    ``torchvision.models.get_model(backbone, num_classes=k).load_state_dict`` accepts the tensors
    with ``strict=True``. An ONNX graph takes decoded, resized and cropped pixels, uint8 RGB, and
    gives probabilities. Both are compared with the run's model on validation images before the
    file appears.

    Parameters
    ----------
    out : file to write; by default the run's name in the current folder
    form : torchvision or onnx; by default given by the suffix of ``out``, else torchvision
    correction : of the probabilities, to be named in the description

    Raises
    ------
    UserError
        If the run has no model, a file exists already, or the networks differ.
    """
    form, file = _target(run, out, form)
    description, card = file.with_suffix(".json"), file.with_suffix(".md")
    for each in (file, description, card):
        if each.exists():
            raise UserError(
                f"would overwrite {each}; choose another.", option="out", value=str(file)
            )
    extractor, head = open_model(run, choose_device("cpu", "float32"))
    inputs = graph_inputs(extractor) if form == ONNX else [Input("image", extractor.steps)]
    shift = 0.0
    with atomic_path(file) as temporary:
        try:
            pixels = _pixels(run, inputs)
            if form == ONNX:
                write_onnx(Classifier(extractor, head), pixels, run.class_names, temporary)
                theirs = probabilities_by_onnx(temporary, pixels)
            else:
                shift, theirs = _write_tensors(extractor, head, pixels["image"], temporary)
        except UserError as error:
            raise UserError(f"run {run.name} cannot be exported: {error}") from error
        ours = _probabilities(extractor, head, inputs, pixels, first_view=form == TORCHVISION)
        difference = float(np.abs(ours - theirs).max())
        if not difference <= LARGEST_DIFFERENCE:
            raise UserError(
                f"run {run.name} cannot be exported: the network's probabilities differ from the "
                f"run's by {difference:.2g}."
            )
    result = Exported(file, description, card, difference, len(ours))
    described = _description(run, extractor, shift, result, form, correction)
    if form == ONNX:
        described["input"] = _described(inputs)
        described["output"] = {OUTPUT: "float32 (n, n_classes)"}
    write_json(description, described)
    write_atomic(card, model_card(run, described))
    return result


def _target(run: Run, out: Path | None, form: str | None) -> tuple[str, Path]:
    """Return the format and the file, which must agree."""
    by_suffix = {suffix: name for name, suffix in SUFFIXES.items()}
    if form is not None and form not in SUFFIXES:
        raise UserError(f"must be {' or '.join(SUFFIXES)}.", option="format", value=form)
    form = form or by_suffix.get(out.suffix if out else "", TORCHVISION)
    file = out or Path(f"{run.name}{SUFFIXES[form]}")
    if file.suffix != SUFFIXES[form]:
        others = [f"{suffix} for {name}" for suffix, name in by_suffix.items()]
        raise UserError(f"must end in {', or '.join(others)}.", option="out", value=str(file))
    return form, file


def _write_tensors(
    extractor: Extractor, head: Head, pixels: torch.Tensor, file: Path
) -> tuple[float, np.ndarray]:
    """Write torchvision's tensors; return what was added to all scores, and probabilities."""
    images = extractor.steps.normalised(pixels, torch.float32)
    network, shift = assembled(extractor, head, images)
    save_tensors(file, network.state_dict())
    with torch.inference_mode():
        return shift, torch.softmax(network(images).double(), dim=1).numpy()


def _pixels(run: Run, inputs: list[Input]) -> dict[str, torch.Tensor]:
    """Return some validation images for each input by name, uint8 (n, 3, crop, crop)."""
    rows = run.images
    rows = rows[rows["split"] == "valid"].head(_CHECKED)
    wanted = dict(zip(rows["sha256"], rows["path"], strict=True))
    found = [dict(decoded(run.data_root, wanted, each.steps, _CHECKED)) for each in inputs]
    sound = [
        name for name in wanted
        if all(isinstance(each.get(name), torch.Tensor) for each in found)
    ]  # fmt: skip
    if not sound:
        raise UserError(
            f"the exported network is checked on validation images, and {run.data_root} has none; "
            "name their folder with `second-look relocate`."
        )
    return {
        each.name: torch.stack([torch.as_tensor(pixels[name]) for name in sound])
        for each, pixels in zip(inputs, found, strict=True)
    }


@torch.inference_mode()
def _probabilities(
    extractor: Extractor, head: Head, inputs: list[Input], pixels: Pixels, *, first_view: bool
) -> np.ndarray:
    """Return the probabilities of the run's model, in float32, with its own preprocessing."""

    def resized(steps: Preprocessing) -> torch.Tensor:
        same = ("resize", "crop", "interpolation", "whole")
        return next(
            pixels[each.name]
            for each in inputs
            if all(getattr(each.steps, name) == getattr(steps, name) for name in same)
        )

    blocks = []
    for each, scale in zip(extractor.every, extractor.scales or (1.0,), strict=True):
        network, views = each.network(), views_of(each.steps, 1 if first_view else each.views)
        passed = [
            network(steps.normalised(resized(steps), torch.float32)).flatten(1) for steps in views
        ]
        blocks.append(scale * torch.stack(passed).mean(dim=0))
    return head.probabilities(torch.cat(blocks, dim=1)).numpy()


def _described(inputs: list[Input]) -> dict[str, str]:
    """Return what each input of the graph is."""
    centre = "resized to {0.resize} pixels on the short side, cropped to the centre"
    whole = "the whole image resized, with another aspect if need be"
    return {
        name: f"uint8 (n, 3, {steps.crop}, {steps.crop}), RGB, orientation applied: "
        f"{(whole if steps.whole else centre).format(steps)} "
        f"({steps.interpolation}, antialiased)"
        for name, steps in ((each.name, each.steps) for each in inputs)
    }


def _description(
    run: Run,
    extractor: Extractor,
    shift: float,
    exported: Exported,
    form: str,
    correction: dict[str, Any] | None,
) -> ModelDescription:
    config, steps = run.config, extractor.steps
    kept = run.kept_bounds
    return {
        "format_version": 1,
        "run": run.name,
        "backbone": run.config.backbone,
        "model_arguments": {
            "num_classes": len(run.class_names),
            **constructor_arguments(extractor.backbone, steps.crop),
        },
        "class_names": list(run.class_names),
        "preprocessing": steps.described(),
        "views": extractor.views,
        "score_shift": shift,
        "trained": config.options.train if config.options else None,
        "class_weight": config.options.class_weight if config.options else None,
        "clip": {"lower": kept[0], "upper": kept[1]} if kept else None,
        "scores": {
            "valid": asdict(config.scores) if config.scores else None,
            "out_of_fold": asdict(config.out_of_fold) if config.out_of_fold else None,
            "test": asdict(config.test_scores) if config.test_scores else None,
        },
        "n": asdict(config.n),
        "largest_difference": exported.largest_difference,
        "checked": exported.checked,
        "format": form,
        "correction": correction,
    }
