"""Tells a run where its images are after they were moved."""

from __future__ import annotations

from pathlib import Path

from engine.data.relocation import Relocated
from engine.data.relocation import relocate as relocate_images
from engine.library.run import Run
from engine.library.run_list import opened
from engine.runs.progress import Progress


def relocate(run: Run | str, folder: str | Path, *, progress: Progress | None = None) -> Relocated:
    """Set the folder of a run's images after they were moved.

    Sizes of all images and checksums of at most 2,000 are compared first; the run is changed only
    if they agree.

    Parameters
    ----------
    run : Run or str
        A run, its name, or ``"latest"``.
    folder : str or Path
        The folder of the images, or the data folder that holds it.
    progress : callable, optional
        Called with ``(stage, done, total)``.

    Returns
    -------
    Relocated
        ``root``, ``n``, ``found``, ``missing`` and ``checked`` (images by checksum).

    Raises
    ------
    UserError
        When the folder holds no image of the run, or one of other content.

    Examples
    --------
    >>> import engine
    >>> found = engine.relocate("latest", "demo")
    >>> found.missing, found.checked
    (0, 45)
    """
    return relocate_images(opened(run), Path(folder), progress)
