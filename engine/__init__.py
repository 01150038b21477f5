"""Second Look: fine-tune an image classifier, review its errors, write the submission.

Every public name is loaded when it is first used: importing the package is quick, and only what
needs a network imports torch.

Examples
--------
>>> import engine
>>> "fit" in dir(engine)
True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.errors import UserError
    from engine.library.backbones import backbones
    from engine.library.data import draw_demo, import_run, load_dataset
    from engine.library.exporting import export
    from engine.library.fitting import blend, fit, predict
    from engine.library.next_steps import next_steps
    from engine.library.relocation import relocate
    from engine.library.review import compare, slices, triage
    from engine.library.run import Run
    from engine.library.run_list import list_runs, open_run
    from engine.library.scores import log_loss, metrics, recommend
    from engine.library.submission import submit
    from engine.runs.predictions import Predictions

__version__ = "0.1.0"

__all__ = [
    "Predictions",
    "Run",
    "UserError",
    "backbones",
    "blend",
    "compare",
    "draw_demo",
    "export",
    "fit",
    "import_run",
    "list_runs",
    "load_dataset",
    "log_loss",
    "metrics",
    "next_steps",
    "open_run",
    "predict",
    "recommend",
    "relocate",
    "slices",
    "submit",
    "triage",
]

_MODULES = {
    "engine.errors": ("UserError",),
    "engine.library.backbones": ("backbones",),
    "engine.library.data": ("draw_demo", "import_run", "load_dataset"),
    "engine.library.exporting": ("export",),
    "engine.library.fitting": ("blend", "fit", "predict"),
    "engine.library.next_steps": ("next_steps",),
    "engine.library.relocation": ("relocate",),
    "engine.library.review": ("compare", "slices", "triage"),
    "engine.library.run": ("Run",),
    "engine.library.run_list": ("list_runs", "open_run"),
    "engine.library.scores": ("log_loss", "metrics", "recommend"),
    "engine.library.submission": ("submit",),
    "engine.runs.predictions": ("Predictions",),
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Load a public name from its module and keep it."""
    for module, names in _MODULES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(module), name)
            return value
    raise AttributeError(f"module 'engine' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names."""
    return [*__all__, "__version__"]
