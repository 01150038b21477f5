"""An explanation of an image, as the worker gives it."""

from __future__ import annotations

from PIL import Image

from engine.runs.explanations import explanations_folder
from engine.runs.run import Run


def explained(run: Run, row: int = 0) -> dict:
    """Return an explanation as the worker gives it, its drawing on disk."""
    predictions, images = run.predictions(), run.images
    image = predictions.ids[row].as_py()
    fact = images[(images["id"] == image) & (images["split"] == "valid")].iloc[0]
    file = explanations_folder(run) / f"{fact['sha256']}-0.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGBA", (32, 24), (255, 0, 0, 90)).save(file)
    names = run.class_names
    near = images[images["split"] == "valid"].iloc[5]
    return {
        "run": run.name, "split": "valid", "id": image, "sha256": fact["sha256"],
        "path": fact["path"], "predicted": names[0], "true": names[1],
        "maps": [
            {"class": names[0], "roles": ["predicted"], "file": str(file), "blank": False},
            {"class": names[1], "roles": ["true"], "file": str(file), "blank": True},
        ],
        "box": [0.1, 0, 0.9, 1], "note": "", "model_note": "",
        "neighbours": [
            {"split": "train", "id": "t1", "path": near["path"], "label": names[0],
             "sha256": near["sha256"], "distance": 0.1234}
        ],
    }  # fmt: skip
