"""A run's model, to use elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from engine.library.run import Run, opened

if TYPE_CHECKING:
    from engine.model.export import Exported


def export(run: Run | str, out: str | Path | None = None) -> Exported:
    """Write a run's model as a state dict that torchvision loads.

    ``torchvision.models.get_model(name, num_classes=k).load_state_dict`` accepts the tensors.
    Beside them lie a JSON file (classes, preprocessing, clip bounds, scores) and a model card.
    The network is compared with the run's model on validation images before it is written.

    Parameters
    ----------
    run : Run or str
        A run, its name, or ``"latest"``.
    out : str or Path, optional
        The ``.safetensors`` file; by default the run's name in the current folder.

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

    return export_run(opened(run), None if out is None else Path(out))
