"""The description that stands beside an exported model, as JSON."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class ModelDescription(TypedDict):
    """What somebody needs to use an exported model.

    Attributes
    ----------
    model_arguments : arguments by which torchvision builds the network
    class_names : sorted; index = column of the probabilities
    preprocessing : the values published with the weights
    views : number of views whose features the run averages
    score_shift : constant that is added to all scores
    trained : "head" or "all", None if unknown
    clip : bounds of the run's submissions, None for none
    scores : on the images of valid, out_of_fold and test, None where there are none
    n : number of images by split
    largest_difference : between probabilities of the exported network and of the run's model, on
        ``checked`` images
    correction : recommended correction of the probabilities, None for none
    input, output : shape and content of each input and output of an ONNX graph
    """

    format_version: int
    run: str
    backbone: str
    model_arguments: dict[str, Any]
    class_names: list[str]
    preprocessing: dict[str, Any]
    views: int
    score_shift: float
    trained: str | None
    class_weight: str | None
    clip: dict[str, float] | None
    scores: dict[str, dict[str, Any] | None]
    n: dict[str, int]
    largest_difference: float
    checked: int
    format: str
    correction: dict[str, Any] | None
    input: NotRequired[dict[str, str]]
    output: NotRequired[dict[str, str]]
