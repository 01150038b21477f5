"""Second Look's engine: from a folder of images to understood errors to a submission.

The names below are the public interface; each is loaded from its room when first used, so that
importing the engine costs nothing and only fitting imports torch.

>>> from engine import open_run, report
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_ROOMS = {
    "FitOptions": "engine.runs.fit_options",
    "Predictions": "engine.runs.predictions",
    "UserError": "engine.errors",
    "Run": "engine.runs.run",
    "category_rows": "engine.analysis.categories",
    "clip_probabilities": "engine.analysis.clipping",
    "clip_report": "engine.analysis.report",
    "draw_demo": "engine.data.demo",
    "fit": "engine.model.fit",
    "import_run": "engine.data.import_predictions",
    "list_runs": "engine.runs.run",
    "load_dataset": "engine.data.dataset",
    "log_loss": "engine.analysis.metrics",
    "open_run": "engine.runs.run",
    "predict": "engine.model.predict",
    "prepare_submission": "engine.competition.prepare",
    "report": "engine.analysis.report",
    "write_submission": "engine.competition.records",
}

__all__ = sorted(_ROOMS)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    """Load a public name from its room."""
    if name not in _ROOMS:
        raise AttributeError(f"module 'engine' has no attribute {name!r}")
    return getattr(import_module(_ROOMS[name]), name)
