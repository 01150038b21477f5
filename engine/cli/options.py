"""Options that several commands share: their types, choices and help texts."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from engine.runs.fit_option import FitOption
from engine.runs.fit_options import FIT_OPTIONS


class Labelled(StrEnum):
    """The split of the labelled images."""

    folds = "folds"
    valid = "valid"


class Scored(StrEnum):
    """Which labelled images a report is about."""

    folds = "folds"
    valid = "valid"
    test = "test"
    sealed = "sealed"


class ValueKind(StrEnum):
    """What a submission's only value column holds."""

    probability = "probability"
    class_ = "class"


class ModelFormat(StrEnum):
    """How a model is exported."""

    torchvision = "torchvision"
    onnx = "onnx"


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document, nothing else.")]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's name, its beginning, or [bold]latest[/].")
]
Lower = Annotated[
    float | None, typer.Option(help="Lower bound on P(positive); by default the run's, or 0.025.")
]
Upper = Annotated[
    float | None, typer.Option(help="Upper bound on P(positive); by default the run's, or 0.975.")
]
On = Annotated[
    Labelled | None,
    typer.Option(
        help="folds: all labelled images (cross-validated); valid: the validation images. "
        "By default folds if the run has them."
    ),
]

OnScored = Annotated[
    Scored | None,
    typer.Option(
        help="folds: all labelled images (cross-validated); valid: the validation images; test: "
        "labelled test images; sealed: those of fit --sealed, which are predicted now."
    ),
]


def takes(options: Sequence[FitOption]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command that has ``**options`` one parameter for each of these fit options."""

    def with_parameters(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command, eval_str=True)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        positional = [p for p in own if p.kind is not p.KEYWORD_ONLY]
        keywords = [p for p in own if p.kind is p.KEYWORD_ONLY]
        table = [_parameter(option) for option in options]
        command.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[*positional, *table, *keywords]
        )
        return command

    return with_parameters


def _parameter(option: FitOption) -> inspect.Parameter:
    kind: Any = option.kind
    metavar = "|".join(map(str, option.choices)) if kind is int and option.choices else None
    if option.choices and kind is str:  # Typer reads choices from an enumeration
        enumeration: Any = StrEnum
        kind = enumeration(option.name, [(each, each) for each in option.choices])
    default = [option.default] if option.repeated else option.default
    if option.repeated:
        kind = list[kind]
    elif option.default is None:
        kind = kind | None
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind, typer.Option(option.flag, help=option.help, metavar=metavar)],
    )


fit_options = takes(FIT_OPTIONS)
data_options = takes([option for option in FIT_OPTIONS if option.about_data])
