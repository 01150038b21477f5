"""Opens and lists runs, for scripts and notebooks."""

from __future__ import annotations

from engine.errors import UserError
from engine.library.run import Run
from engine.runs import run as stored
from engine.runs import run_list


def opened(run: stored.Run | str, name: str = "run") -> Run:
    """Return a run that is given as a Run or by its name.

    Raises
    ------
    UserError
        When there is no such run; the message names the argument.
    """
    if isinstance(run, str):
        run = run_list.open_run(run)
    if not isinstance(run, stored.Run):
        raise UserError(f"must be a Run or the name of one, not {type(run).__name__}.", option=name)
    return run if isinstance(run, Run) else Run(run.folder)


def open_run(name: str) -> Run:
    """Find a run by its name.

    Parameters
    ----------
    name : str
        The run's name, a beginning that no other run has, or ``"latest"`` for the newest run
        that is done. Never a path: runs lie in ``$SECONDLOOK_HOME``, else in ``./workspace``.

    Returns
    -------
    Run

    Raises
    ------
    UserError
        When there is no such run, several names begin with it, or it cannot be read.

    Examples
    --------
    >>> import engine
    >>> engine.open_run("latest").status.state
    'done'
    """
    return opened(name, "name")


def list_runs() -> list[Run]:
    """List all runs.

    Returns
    -------
    list of Run
        The newest first.

    Examples
    --------
    >>> import engine
    >>> engine.list_runs()[0].class_names
    ('cat', 'dog')
    """
    return [Run(run.folder) for run in run_list.list_runs()]
