"""Checks the options of a fit, and fills in the defaults that depend on other options."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from engine.errors import UserError
from engine.runs.fit_options import FIT_OPTIONS, FitOptions
from engine.runs.network_names import check_networks

HEAD_EPOCHS, HEAD_STEPS, HEAD_LR = 30, 600, 3e-3  # the fewest epochs and steps
ALL_EPOCHS, ALL_LR, ALL_LR_FROM_NOTHING = 10, 1e-4, 3e-3
_BY_NAME = {option.name: option for option in FIT_OPTIONS}


def checked_options(options: FitOptions) -> FitOptions:
    """Return the options with the learning rate filled in.

    Raises
    ------
    UserError
        When a value is impossible; the option is named.
    """
    for name, value in options.plain().items():
        _BY_NAME[name].check(value)
    check_networks(options.backbone, options.weights, options.train)
    for name, default in (("folds", None), ("views", 1), ("class_weight", "none")):
        value = getattr(options, name)
        if options.train == "all" and value != default:
            raise UserError(
                "works only if the head alone is trained; leave it out, or set --train to head.",
                option=name,
                value=value,
            )
    lr = options.lr
    if options.train == "all":
        lr = lr or (ALL_LR_FROM_NOTHING if options.weights == ("none",) else ALL_LR)
    elif options.epochs:
        lr = lr or HEAD_LR
    labels, test = _absolute(options.labels), _absolute(options.test)
    return replace(options, lr=lr, labels=labels, test=test)


def with_epochs(options: FitOptions, n_train: int) -> FitOptions:
    """Return the options with the default number of epochs for this many training images.

    A head has epochs only if epochs or a learning rate are given.
    """
    if options.epochs:
        return options
    if options.train == "all":
        return replace(options, epochs=ALL_EPOCHS)
    if not options.lr:
        return options
    steps = math.ceil(n_train / options.batch_size)
    return replace(options, epochs=max(HEAD_EPOCHS, math.ceil(HEAD_STEPS / steps)))


def _absolute(path: str | None) -> str | None:
    return None if path is None else str(Path(path).absolute())
