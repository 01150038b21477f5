"""The display name and the note that a person gave a run, ``about.json``.

They stand beside the config, which the fit itself writes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from engine.errors import UserError
from engine.runs.files import read_json, write_json
from engine.runs.run_config import RunConfig

MOST_NAME, MOST_NOTE = 200, 2000  # characters


@dataclass(frozen=True)
class RunAbout:
    """The display name, None if it was not changed, and the note.

    Examples
    --------
    >>> RunAbout("first try", "wrong labels left out").note
    'wrong labels left out'
    """

    name: str | None = None
    note: str = ""


def read_about(folder: Path) -> RunAbout:
    """Return the display name and the note; empty if the file is missing or damaged."""
    try:
        values = read_json(folder / "about.json")
    except UserError:
        return RunAbout()
    name, note = values.get("name"), values.get("note")
    return RunAbout(
        name[:MOST_NAME] if isinstance(name, str) else None,
        note[:MOST_NOTE] if isinstance(note, str) else "",
    )


def write_about(folder: Path, name: str | None = None, note: str | None = None) -> None:
    """Change the display name, the note, or both; '' removes one, None leaves it unchanged.

    Raises
    ------
    UserError
        If one is too long, or cannot be written.
    """
    for option, value, most in (("name", name, MOST_NAME), ("note", note, MOST_NOTE)):
        if value is not None and len(value) > most:
            raise UserError(
                f"has {len(value):,} characters; {most:,} is the maximum.", option=option
            )
    about = read_about(folder)
    if name is not None:
        about = replace(about, name=" ".join(name.split()))
    if note is not None:
        about = replace(about, note=note.strip())
    write_json(folder / "about.json", {"name": about.name, "note": about.note})


def title_of(config: RunConfig, about: RunAbout) -> str:
    """Return the display name of a run, or what it is a refit or a blend of; '' for others."""
    if name := config.name if about.name is None else about.name:
        return name
    if config.label_edit_effect:
        return f"refit of {config.label_edit_effect.against}"
    if config.blend:
        members = config.blend.get("members")
        return f"blend of {len(members)} runs" if isinstance(members, list) else "blend"
    return ""
