"""The model card of an exported model, in Markdown."""

from __future__ import annotations

import re

from engine.model.model_description import ModelDescription
from engine.model.timm_networks import is_timm
from engine.runs.run import Run

_LOAD = """```python
import json, torch, torchvision
from safetensors.torch import load_file

about = json.load(open("model.json"))
network = torchvision.models.get_model(about["backbone"], **about["model_arguments"]).eval()
network.load_state_dict(load_file("model.safetensors"))
probabilities = torch.softmax(network(images), dim=1)  # columns in the order of class_names
```"""
_LOAD_ONNX = """```python
import json, onnxruntime

about = json.load(open("model.json"))
session = onnxruntime.InferenceSession("model.onnx")
(probabilities,) = session.run(None, {INPUTS})  # columns in the order of class_names
```"""
_TITLES = {"valid": "validation", "out_of_fold": "all labelled, out of fold", "test": "test"}


def model_card(run: Run, described: ModelDescription) -> str:
    """Return the card: the model, how to load it, its scores and their limits.

    Parameters
    ----------
    described : the description that is written beside the tensors
    """
    config = run.config
    trained = "the whole network" if described["trained"] == "all" else "the last layer"
    networks = " and ".join(
        name if is_timm(name) else f"torchvision's {name}"
        for name in described["backbone"].split("+")
    )
    lines = [
        f"# {literal_markdown(run.title)}",
        "",
        f"An image classifier of {len(run.class_names):,} classes: {networks}, {trained} trained "
        f"on {config.n.train:,} images by run {run.name}, {config.created}.",
        "",
        "## Load it",
        "",
        _loading(described),
        "",
        *_preprocessing(described),
        "",
        "## Scores",
        "",
        *_scores(run, described),
        "",
        "## Classes",
        "",
    ]
    for index, name in enumerate(run.class_names):
        count = config.train_counts.get(name, 0)
        lines.append(f"{index}. {literal_markdown(name)} ({count:,} training images)")
    return "\n".join(lines) + "\n"


def literal_markdown(text: str) -> str:
    """Return a text as literal Markdown: on one line, with its special characters escaped."""
    return re.sub(r"([\\`*_{}\[\]<>()#+\-.!|~&])", r"\\\1", " ".join(text.split()))


def _loading(described: ModelDescription) -> str:
    """Return the lines of Python that load the model."""
    if described["format"] != "onnx":
        return _LOAD
    given = ", ".join(f'"{name}": {name}' for name in described["input"])
    return _LOAD_ONNX.replace("{INPUTS}", f"{{{given}}}")


def _preprocessing(described: ModelDescription) -> list[str]:
    steps = described["preprocessing"]
    if described["format"] == "onnx":
        lines = [f"Input `{name}`: {what}." for name, what in described["input"].items()]
        inside = "scaling, normalisation and softmax"
        if described["views"] > 1:
            inside = f"scaling, normalisation, the average over {described['views']} views, softmax"
        return [*lines, f"Inside the graph: {inside}; the correction is outside."]
    lines = [
        f"Images are resized to {steps['resize']} pixels on the short side "
        f"({steps['interpolation']}), cropped to the centre {steps['crop']} × {steps['crop']}, "
        f"scaled to [0, 1] and normalised by mean {list(steps['mean'])} and standard deviation "
        f"{list(steps['std'])}."
    ]
    if described["views"] > 1:
        lines.append(
            f"The run averaged the features of {described['views']} views of each image; one view "
            "gives slightly different probabilities than the run's."
        )
    if described["score_shift"]:
        lines.append(
            f"A constant, {described['score_shift']:g}, is added to all scores, because this "
            "network cuts them at zero; it changes no probability."
        )
    return lines


def _scores(run: Run, described: ModelDescription) -> list[str]:
    counts = {"valid": run.config.n.valid, "test": run.config.n.test}
    lines = ["| images | n | accuracy | log loss |", "| --- | ---: | ---: | ---: |"]
    for key, title in _TITLES.items():
        if scores := described["scores"][key]:
            n = scores.get("n", counts.get(key, 0))
            lines.append(
                f"| {title} | {n:,} | {scores['accuracy']:.4f} | {scores['log_loss']:.4f} |"
            )
    lines += [
        "",
        "Log loss by the natural logarithm. Images of another kind or origin than these may be "
        "classified worse, which the scores do not show.",
    ]
    if described["class_weight"] == "balanced":
        lines.append("Classes had the same weight, so probabilities are not frequencies.")
    if correction := described["correction"]:
        lines.append(f"Correction of the probabilities: {correction['sentence']}")
    if clip := described["clip"]:
        lines.append(
            f"The run's submissions are clipped to {clip['lower']:g} to {clip['upper']:g}."
        )
    return lines
