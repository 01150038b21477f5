"""Exports a run's model, for use without Second Look."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from engine.competition.correction import choose_correction
from engine.library.run import Run
from engine.library.run_list import opened

if TYPE_CHECKING:
    from engine.model.export import Exported


def export(run: Run | str, out: str | Path | None = None, format: str | None = None) -> Exported:
    """Write a run's model as a state dict that torchvision loads, or as ONNX.

    ``torchvision.models.get_model(name, num_classes=k).load_state_dict`` accepts the tensors. An
    ONNX graph (`pip install "second-look[onnx]"`) takes resized uint8 pixels and gives
    probabilities. Beside the file lie a JSON file (classes, preprocessing, the recommended
    correction, scores) and a model card. The network is compared with the run's model on
    validation images before it is written.

    Parameters
    ----------
    run : Run or str
        A run, its name, or ``"latest"``.
    out : str or Path, optional
        The ``.safetensors`` or ``.onnx`` file; by default the run's name in the current folder.
    format : {"torchvision", "onnx"}, optional
        By default given by the suffix of ``out``, else torchvision.

    Returns
    -------
    Exported
        ``file``, ``description``, ``card``, ``largest_difference`` and ``checked`` (images).

    Raises
    ------
    UserError
        When the run has no model, its images are not there, or a file exists already.

    Examples
    --------
    >>> import engine
    >>> made = engine.export("latest", "model.safetensors")
    >>> made.file.name, made.largest_difference < 1e-4
    ('model.safetensors', True)
    """
    from engine.model.export import export as export_run

    run = opened(run)
    chosen = choose_correction(run)
    correction = {**chosen.summary(), "sentence": chosen.sentence}
    return export_run(run, None if out is None else Path(out), format, correction)
