"""Exports a run's model as ONNX, with scaling, normalisation, mirrors and softmax in the graph."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace
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

INPUTS, OUTPUT = ("image", "whole"), "probabilities"
_OPSET = 18


class Classifier(nn.Module):
    """Maps pixels to the run's probabilities: every step after decoding and resizing."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, extractor: Extractor, head: Head) -> None:
        super().__init__()
        self.network, self.views = extractor.network(), extractor.views
        n_classes, width = head.weight.shape
        self.last = nn.Linear(width, n_classes)
        self.last.load_state_dict({"weight": head.weight, "bias": head.bias})
        for name in ("mean", "std"):
            values = torch.tensor(getattr(extractor.steps, name)).mul(255)[:, None, None]
            self.register_buffer(name, values)

    def forward(self, image: torch.Tensor, whole: torch.Tensor | None = None) -> torch.Tensor:
        """Return probabilities (n, n_classes) of uint8 pixels (n, 3, crop, crop)."""
        views = []
        for pixels in (image,) if whole is None else (image, whole):
            view = (pixels.float() - self.mean) / self.std
            views += [view, view.flip(3)] if self.views > 1 else [view]
        features = torch.stack([self.network(view).flatten(1) for view in views]).mean(dim=0)
        return torch.softmax(self.last(features), dim=1)


def input_steps(extractor: Extractor) -> list[Preprocessing]:
    """Return how the pixels of each input are resized: the centre, and the whole image."""
    steps = extractor.steps
    return [steps, replace(steps, whole=True)] if extractor.views == 4 else [steps]


def write_onnx(
    classifier: Classifier, pixels: Sequence[torch.Tensor], class_names: Sequence[str], file: Path
) -> None:
    """Write the graph, with the class names in its metadata.

    Parameters
    ----------
    pixels : uint8 tensors of shape (n, 3, crop, crop), one for each input

    Raises
    ------
    UserError
        If onnx is not installed, or the network has an operation that ONNX lacks.
    """
    onnx = _installed()
    names = list(INPUTS[: len(pixels)])
    dynamic = {name: {0: "n"} for name in (*names, OUTPUT)}
    fast = torch.backends.mha.get_fastpath_enabled()
    with warnings.catch_warnings(), torch.inference_mode(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        torch.backends.mha.set_fastpath_enabled(False)  # ONNX has no such operation
        try:
            torch.onnx.export(
                classifier.eval(), tuple(each[:2] for each in pixels), str(file), dynamo=False,
                input_names=names, output_names=[OUTPUT], dynamic_axes=dynamic,
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


def probabilities_by_onnx(file: Path, pixels: Sequence[torch.Tensor]) -> np.ndarray:
    """Return the probabilities that onnxruntime computes, (n, n_classes)."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    given = {name: each.numpy() for name, each in zip(INPUTS, pixels, strict=False)}
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
