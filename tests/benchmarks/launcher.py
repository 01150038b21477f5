"""Starts a command from a small process, so that its peak memory is its own.

RESULT COMMAND...; writes seconds, peak memory in bytes and exit code to RESULT as JSON. Linux
counts what a process held before it became another program, so a command started by a large
process would seem as large as that one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time


def main(result: str, command: list[str]) -> None:
    begun = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss
    code = os.waitstatus_to_exitcode(status)
    with open(result, "w") as file:
        json.dump({"seconds": seconds, "peak_bytes": used.ru_maxrss * unit, "code": code}, file)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
