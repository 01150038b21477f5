"""Exports a run's model as ONNX, with scaling, normalisation, mirrors and softmax in the graph."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from engine.errors import UserError
from engine.model.extractor import Extractor
from engine.model.head import Head
from engine.model.preprocessing import Preprocessing
from engine.model.views import views_of

Pixels = Mapping[str, torch.Tensor]
OUTPUT = "probabilities"
_OPSET = 18


@dataclass(frozen=True)
class Input:
    """An input of the graph: its name, and how its pixels are resized."""

    name: str
    steps: Preprocessing


@dataclass(frozen=True)
class _View:
    """One pass through a network: which input it reads, and how that is prepared."""

    at: int
    steps: Preprocessing


class Classifier(nn.Module):
    """Maps pixels to the run's probabilities: every step after decoding and resizing."""

    def __init__(self, extractor: Extractor, head: Head) -> None:
        super().__init__()
        ways = [_way(each.steps) for each in graph_inputs(extractor)]
        self.networks = nn.ModuleList([each.network() for each in extractor.every])
        self.scales = extractor.scales or (1.0,)
        self.views = [
            [_View(ways.index(_way(steps)), steps) for steps in views_of(each.steps, each.views)]
            for each in extractor.every
        ]
        n_classes, width = head.weight.shape
        self.last = nn.Linear(width, n_classes)
        self.last.load_state_dict({"weight": head.weight, "bias": head.bias})

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Return probabilities (n, n_classes) of uint8 pixels (n, 3, crop, crop)."""
        blocks = [
            scale * torch.stack([_passed(network, view, inputs) for view in views]).mean(dim=0)
            for network, scale, views in zip(self.networks, self.scales, self.views, strict=True)
        ]
        return torch.softmax(self.last(torch.cat(blocks, dim=1)), dim=1)


def graph_inputs(extractor: Extractor) -> list[Input]:
    """Return the distinct inputs of the graph: one for each way in which views resize an image."""
    ways = [_way(steps) for each in extractor.every for steps in views_of(each.steps, each.views)]
    found: list[Input] = []
    for way in dict.fromkeys(ways):
        name = "whole" if way.whole else "image"
        count = sum(each.steps.whole == way.whole for each in found)
        found.append(Input(f"{name}{count + 1}" if count else name, way))
    return found


def _way(steps: Preprocessing) -> Preprocessing:
    """Return the part of the preprocessing that happens before the graph."""
    return replace(steps, mirrored=False, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def _passed(network: nn.Module, view: _View, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the features of a view, float32 (n, width)."""
    mean, std = (
        torch.tensor(values).mul(255)[:, None, None] for values in (view.steps.mean, view.steps.std)
    )
    pixels = (inputs[view.at].float() - mean) / std
    features: torch.Tensor = network(pixels.flip(3) if view.steps.mirrored else pixels)
    return features.flatten(1)


def write_onnx(
    classifier: Classifier, pixels: Pixels, class_names: Sequence[str], file: Path
) -> None:
    """Write the graph, with the class names in its metadata.

    Parameters
    ----------
    pixels : for each input by name, uint8 (n, 3, crop, crop)

    Raises
    ------
    UserError
        If onnx is not installed, or the network has an operation that ONNX lacks.
    """
    onnx = _installed()
    names = list(pixels)
    dynamic = {name: {0: "n"} for name in (*names, OUTPUT)}
    fast = torch.backends.mha.get_fastpath_enabled()
    with warnings.catch_warnings(), torch.inference_mode(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        torch.backends.mha.set_fastpath_enabled(False)  # ONNX has no such operation
        try:
            torch.onnx.export(
                classifier.eval(), tuple(each[:2] for each in pixels.values()), str(file),
                dynamo=False, input_names=names, output_names=[OUTPUT], dynamic_axes=dynamic,
                opset_version=_OPSET,
            )  # fmt: skip
        except torch.onnx.errors.OnnxExporterError as error:
            first = str(error).splitlines()[0]
            raise UserError(f"the network cannot be written as ONNX ({first}).") from error
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)
    model = onnx.load(str(file))
    onnx.checker.check_model(model)
    model.metadata_props.add(key="class_names", value=json.dumps(list(class_names)))
    onnx.save(model, str(file))


def probabilities_by_onnx(file: Path, pixels: Pixels) -> np.ndarray:
    """Return the probabilities that onnxruntime computes, (n, n_classes)."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    given = {name: each.numpy() for name, each in pixels.items()}
    return np.asarray(session.run([OUTPUT], given)[0])


def _installed() -> Any:
    try:
        import onnx
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise UserError(
            'needs the packages onnx and onnxruntime: pip install "second-look[onnx]".',
            option="format",
            value="onnx",
        ) from error
    return onnx
