"""How a command ends: an exit code, and one line about what went wrong."""

from __future__ import annotations

import os
import sys
import traceback
from typing import NoReturn

import typer

from engine.cli import console
from engine.errors import Echo, UserError
from engine.runs.run import Cancelled


def exit_code(app: typer.Typer) -> int:
    """Run a command line to its end: 0 done, 1 refused or failed, 2 usage, 130 interrupted.

    Whatever goes wrong is one line on stderr, without a traceback.
    """
    try:
        code = int(app(standalone_mode=False) or 0)
        if code == 130:  # what Typer makes of an interruption
            raise KeyboardInterrupt
        return code
    except (UserError, Cancelled) as error:
        if not isinstance(error, Echo):
            print(f"Error: {console.plain(str(error))}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, typer.Abort):
        print("Interrupted; start it again to go on.", file=sys.stderr)
        return 130
    except typer.Exit as done:
        return int(done.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        show = getattr(error, "show", None)
        if show is not None:  # a usage error, which knows how to say itself
            show()
            return int(getattr(error, "exit_code", 2))
        if os.environ.get("SECONDLOOK_TRACEBACK"):
            traceback.print_exc()
        reason = str(error).strip().splitlines()
        print(
            f"Error: {type(error).__name__}: {console.plain(reason[0]) if reason else ''} "
            "(SECONDLOOK_TRACEBACK=1 shows where).",
            file=sys.stderr,
        )
        return 1


def leave(code: int) -> NoReturn:
    """End the process at once.

    Python's own way out takes PyTorch apart, in 0.4 s; and in one of torchrun's many, where a
    thread of gloo may still hold a tensor, it ends in an abort.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # nobody reads it any more, or the disk is full
            code = code or 1
    os._exit(code)
