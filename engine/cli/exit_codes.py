"""Exit codes, and the one-line error message of a failed command."""

from __future__ import annotations

import os
import sys
import traceback
from typing import NoReturn

import typer

from engine.errors import Cancelled, Echo, UserError
from engine.text import plain


def exit_code(app: typer.Typer) -> int:
    """Run the command line; return 0 done, 1 refused or failed, 2 wrong usage, 130 interrupted.

    Every error is one line on stderr, without a traceback.
    """
    try:
        code = int(app(standalone_mode=False) or 0)
        if code == 130:  # Typer's exit code for an interruption
            raise KeyboardInterrupt
        return code
    except Cancelled as error:
        print(f"Error: {plain(str(error))}", file=sys.stderr)
        return 1
    except UserError as error:
        if not isinstance(error, Echo):
            print(f"Error: {plain(error.on_command_line)}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, typer.Abort):
        print("Interrupted; run the same command again to continue.", file=sys.stderr)
        return 130
    except typer.Exit as done:
        return int(done.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        show = getattr(error, "show", None)
        if show is not None:  # a usage error prints its own message
            show()
            return int(getattr(error, "exit_code", 2))
        if os.environ.get("SECONDLOOK_TRACEBACK"):
            traceback.print_exc()
        reason = str(error).strip().splitlines()
        print(
            f"Error: {type(error).__name__}: {plain(reason[0]) if reason else ''} "
            "(set SECONDLOOK_TRACEBACK=1 for the traceback).",
            file=sys.stderr,
        )
        return 1


def leave(code: int) -> NoReturn:
    """End the process immediately.

    Python's normal shutdown spends 0.4 s on unloading PyTorch. Under torchrun, where a gloo thread
    may still hold a tensor, it can abort.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # the reader is gone, or the disk is full
            code = code or 1
    os._exit(code)
