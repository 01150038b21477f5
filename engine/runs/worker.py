"""A child process that answers one JSON line per request; it is started and restarted as needed.

It keeps slow imports and models in memory, so that only the first request waits for them. It
stops after some minutes without a request, and when its parent process has ended.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from engine.errors import UserError
from engine.runs.files import workspace

IDLE_SECONDS = 600.0
_ROOT = Path(__file__).resolve().parents[2]


class Worker:
    """Sends requests to ``python -m engine ARGUMENTS``, one at a time, from any thread."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._arguments = list(arguments)
        self._child: subprocess.Popen[bytes] | None = None
        self._answers: _LineReader | None = None
        self._turn = threading.Lock()

    def ask(self, question: Mapping[str, Any], timeout: float = 120.0) -> dict[str, Any]:
        """Return the answer, starting the child process if it is not running.

        Raises
        ------
        UserError
            If the child reports an error, ends twice without an answer, or does not answer in time.
        """
        line = json.dumps(question).encode() + b"\n"
        with self._turn:
            for _ in range(2):  # start it again if it has ended
                answer = self._asked(line, time.monotonic() + timeout)
                if answer is not None:
                    break
            else:
                raise UserError(
                    "the explanation process ended without reporting an error; try again."
                )
        if "error" in answer:
            raise UserError(str(answer["error"]))
        return answer

    def stop(self) -> None:
        """Stop the child process."""
        child, self._child = self._child, None
        answers, self._answers = self._answers, None
        if child and answers:
            child.kill()
            child.wait()
            assert child.stdin
            child.stdin.close()
            answers.close()

    @property
    def pid(self) -> int | None:
        """Return the child's process id, or None if it was not started."""
        return self._child.pid if self._child else None

    def _asked(self, line: bytes, deadline: float) -> dict[str, Any] | None:
        if self._child is None or self._child.poll() is not None:
            self.stop()
            self._child = self._started()
            assert self._child.stdout
            self._answers = _LineReader(self._child.stdout)
        child, answers = self._child, self._answers
        assert child.stdin and answers
        try:
            child.stdin.write(line)
            child.stdin.flush()
        except OSError:
            self.stop()
            return None
        said = answers.next_line(max(0.0, deadline - time.monotonic()))
        if said is None:
            self.stop()
            raise UserError(
                "the explanation process did not answer in time and was stopped; try again."
            )
        try:
            answer = json.loads(said)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            self.stop()
            return None
        return answer

    def _started(self) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "SECONDLOOK_HOME": str(workspace())}
        command = [sys.executable, "-m", "engine", *self._arguments]
        try:
            return subprocess.Popen(
                command, cwd=_ROOT, env=environment,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        except OSError as error:
            raise UserError(f"the explanation process could not be started ({error}).") from error


def serve(
    answer: Callable[[Mapping[str, Any]], dict[str, Any]], idle: float = IDLE_SECONDS
) -> None:
    """Answer requests from stdin on stdout until stdin closes or no request comes for a while.

    An error is answered as {"error": sentence}; the next request is answered normally.
    """
    questions, answers = _LineReader(sys.stdin.buffer), sys.stdout
    while line := questions.next_line(idle):
        try:
            said = answer(json.loads(line))
        except UserError as error:
            said = {"error": str(error)}
        except Exception as error:  # any error of an image or a network
            said = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(said), file=answers, flush=True)


class _LineReader:
    """Reads a pipe in a thread, because Windows cannot wait for a pipe with a time limit."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def next_line(self, seconds: float) -> bytes | None:
        """Return the next line, b'' if the pipe has ended, or None after the time limit."""
        try:
            return self._lines.get(timeout=seconds)
        except queue.Empty:
            return None

    def close(self) -> None:
        """Close the pipe after its other end was closed."""
        self._thread.join()
        self._pipe.close()

    def _read(self) -> None:
        # Not `readline`: it holds a lock for which the interpreter would wait at its end.
        parts: list[bytes] = []  # of a line, which may hold an image
        while more := os.read(self._pipe.fileno(), 65536):
            first, *others = more.split(b"\n")
            parts.append(first)
            for other in others:
                self._lines.put(b"".join(parts) + b"\n")
                parts = [other]
        rest = b"".join(parts)
        self._lines.put(rest)  # cut short, or nothing
        if rest:
            self._lines.put(b"")
