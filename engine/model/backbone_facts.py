"""What torchvision publishes of each backbone: parameters, operations and accuracy."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version

from engine.errors import UserError
from engine.model.preprocessing import backbone_names
from engine.runs.files import read_json, workspace, write_json
from engine.runs.typed_json import from_json


@dataclass(frozen=True)
class BackboneFacts:
    """A backbone with its default weights, as published.

    Attributes
    ----------
    parameters : number of weights of the whole network
    gflop : billions of multiplications and additions for one image
    accuracy : share of ImageNet's 50,000 validation images whose first answer is right
    crop : side of the images that accuracy and gflop are of, in pixels
    """

    name: str
    parameters: int
    gflop: float
    accuracy: float
    crop: int


@cache
def all_facts() -> dict[str, BackboneFacts]:
    """Return the facts of all backbones by name, the most accurate first.

    They are cached in the workspace, because importing torchvision takes a second.
    """
    file = workspace() / "cache" / "backbones" / f"facts-{version('torchvision')}.json"
    try:
        kept = [from_json(BackboneFacts, each, f"{file}: ") for each in read_json(file)["facts"]]
    except (UserError, KeyError, TypeError):  # not asked before, or damaged
        kept = [_asked(name) for name in backbone_names()]
        write_json(file, {"facts": [asdict(each) for each in kept]})
    return {each.name: each for each in sorted(kept, key=lambda each: (-each.accuracy, each.name))}


def _asked(name: str) -> BackboneFacts:
    import torchvision

    weights = torchvision.models.get_model_weights(name).DEFAULT
    meta = weights.meta
    return BackboneFacts(
        name,
        meta["num_params"],
        meta["_ops"],
        round(meta["_metrics"]["ImageNet-1K"]["acc@1"] / 100, 5),
        weights.transforms().crop_size[0],
    )
