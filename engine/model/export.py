"""Exports a run's model as a torchvision state dict, with a description and a model card."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from engine.errors import UserError
from engine.model.backbones import constructor_arguments, last_layer
from engine.model.batches import decoded
from engine.model.checkpoint import save_tensors
from engine.model.device import choose_device
from engine.model.extractor import Extractor, open_model
from engine.model.head import Head
from engine.model.model_card import model_card
from engine.runs.files import write_atomic, write_json
from engine.runs.run import Run

LARGEST_DIFFERENCE = 1e-4
_CHECKED = 16  # images whose probabilities are compared


@dataclass(frozen=True)
class Exported:
    """An exported model.

    Attributes
    ----------
    file : the tensors, as safetensors
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


def export(run: Run, out: Path | None = None) -> Exported:
    """Write the model of a run, so that torchvision alone can load it.

    ``torchvision.models.get_model(backbone, num_classes=k).load_state_dict`` accepts the tensors
    with ``strict=True``. Before they are written, the network is built from them and compared
    with the run's model on validation images.

    Parameters
    ----------
    out : file to write; by default the run's name in the current folder

    Raises
    ------
    UserError
        If the run has no model, a file exists already, or the networks differ.
    """
    file = out or Path(f"{run.name}.safetensors")
    if file.suffix != ".safetensors":
        raise UserError("must end in .safetensors.", option="out", value=str(file))
    description, card = file.with_suffix(".json"), file.with_suffix(".md")
    for each in (file, description, card):
        if each.exists():
            raise UserError(
                f"would overwrite {each}; choose another.", option="out", value=str(file)
            )
    extractor, head = open_model(run, choose_device("cpu", "float32"))
    if extractor.backbone.startswith("mnasnet"):
        raise UserError(
            f"run {run.name} cannot be exported: torchvision's MNASNet loads only tensors with its "
            "version number, which safetensors do not hold; fit another backbone."
        )
    images = _images(run, extractor)
    network, shift = _assembled(extractor, head, images)
    difference = _difference(network, extractor, head, images)
    if difference > LARGEST_DIFFERENCE:
        raise UserError(
            f"run {run.name} cannot be exported: the network's probabilities differ from the "
            f"run's by {difference:.2g}."
        )
    save_tensors(file, network.state_dict())
    result = Exported(file, description, card, difference, len(images))
    described = _description(run, extractor, shift, result)
    write_json(description, described)
    write_atomic(card, model_card(run, described))
    return result


def _assembled(extractor: Extractor, head: Head, images: torch.Tensor) -> tuple[nn.Module, float]:
    """Return torchvision's network with the run's tensors, and what was added to all scores.

    SqueezeNet cuts its scores at zero before it averages them. A constant added to all of them
    keeps them above zero and changes no probability.
    """
    import torchvision

    name, crop = extractor.backbone, extractor.steps.crop
    arguments = constructor_arguments(name, crop)
    network = torchvision.models.get_model(name, num_classes=len(head.bias), **arguments).eval()
    path, layer = last_layer(network)
    state = network.state_dict()
    state.update(extractor.network().state_dict())
    state[f"{path}.weight"] = head.weight.reshape(layer.weight.shape)
    state[f"{path}.bias"] = head.bias
    network.load_state_dict(state)
    if not isinstance(layer, nn.Conv2d):
        return network, 0.0
    lowest: list[float] = []
    hook = layer.register_forward_hook(lambda _, __, scores: lowest.append(scores.min().item()))
    with torch.inference_mode():
        network(images)
    hook.remove()
    shift = float(round(2 * abs(min(lowest)) + 10))
    state[f"{path}.bias"] = head.bias + shift
    network.load_state_dict(state)
    return network, shift


def _images(run: Run, extractor: Extractor) -> torch.Tensor:
    """Return some validation images as the network sees them, float32 (n, 3, crop, crop)."""
    rows = run.images
    rows = rows[rows["split"] == "valid"].head(_CHECKED)
    wanted = dict(zip(rows["sha256"], rows["path"], strict=True))
    found = [
        image
        for _, image in decoded(run.data_root, wanted, extractor.steps, _CHECKED)
        if isinstance(image, torch.Tensor)
    ]
    if not found:
        raise UserError(
            f"run {run.name} cannot be exported: no validation image is at {run.data_root}, and "
            "the network is compared on some; say where they are with `second-look relocate`."
        )
    return extractor.steps.normalised(torch.stack(found), torch.float32)


def _difference(
    network: nn.Module, extractor: Extractor, head: Head, images: torch.Tensor
) -> float:
    with torch.inference_mode():
        ours = head.probabilities(extractor.network()(images).flatten(1))
        theirs = torch.softmax(network(images).double(), dim=1)
    return float((ours - theirs).abs().max())


def _description(
    run: Run, extractor: Extractor, shift: float, exported: Exported
) -> dict[str, Any]:
    config, steps = run.config, extractor.steps
    kept = run.kept_bounds
    return {
        "format_version": 1,
        "run": run.name,
        "backbone": extractor.backbone,
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
    }
