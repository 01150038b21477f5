"""The exception for input that cannot be used, with a one-sentence message for the user."""

from __future__ import annotations

import re
from collections.abc import Callable

_OPTION = re.compile(r"(?<![\w-])--(?!nproc)([a-z]+(?:-[a-z]+)*)(?:[ =](FILE|DIR|COLUMN|C\b))?")


class UserError(Exception):
    """Input, a file or an option that cannot be used.

    The message is one sentence that names the file or the argument and says what to do. A script
    sees the argument as Python writes it (``lower=2.0``), the command line as an option
    (``--lower 2.0``).

    Parameters
    ----------
    sentence : str
        What is wrong and what to do; the rest of a sentence where ``option`` is given. Other
        options in it are spelled as on the command line.
    option : str, optional
        The argument that the sentence is about, as Python names it, such as ``"batch_size"``.
    value : object, optional
        The value that the argument had.

    Examples
    --------
    >>> import engine
    >>> try:
    ...     engine.open_run("no such run")
    ... except engine.UserError as error:
    ...     print(error)
    'no such run' is not the name of a run; `second-look runs` lists them.
    """

    def __init__(self, sentence: str, *, option: str = "", value: object = None) -> None:
        super().__init__(sentence)
        self.option = option
        self.value = value

    def __str__(self) -> str:
        """Return the sentence with the arguments as Python writes them."""
        sentence = rename_options(
            self.sentence, lambda name, value: f"{name}{value and '='}{value}"
        )
        if not self.option:
            return sentence
        plain = isinstance(self.value, (int, float))
        value = "" if self.value is None else f"={self.value if plain else repr(str(self.value))}"
        return f"{self.option}{value} {sentence}"

    @property
    def sentence(self) -> str:
        """Return the sentence as it was written, without the argument that it is about."""
        return super().__str__()

    @property
    def on_command_line(self) -> str:
        """Return the sentence with the arguments as options of the command line."""
        return self._with_name(f"--{self.option.replace('_', '-')}", self.sentence)

    def on_form(self, label: Callable[[str], str]) -> str:
        """Return the sentence with the arguments by their labels in a form.

        Parameters
        ----------
        label : returns the label of an argument, as Python names it
        """
        sentence = rename_options(self.sentence, lambda name, _: f"“{label(name)}”")
        return self._with_name(label(self.option) if self.option else "", sentence)

    def _with_name(self, name: str, sentence: str) -> str:
        if not self.option:
            return sentence
        value = self.value
        if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
            value = int(value)  # as it was typed
        said = "" if value is None else f" {value}"
        return f"{name}{said} {sentence}"


class Echo(UserError):
    """An error that the first of several processes reports for all of them."""


def rename_options(text: str, rename: Callable[[str, str], str]) -> str:
    """Rewrite the options in a text, such as ``--label-column C``; commands in backticks stay.

    Parameters
    ----------
    rename : returns the new words for an argument's name in Python and what stands for its value

    Examples
    --------
    >>> rename_options("choose one with --labels FILE.", lambda name, value: f"{name}={value}")
    'choose one with labels=FILE.'
    """
    parts = text.split("`")
    parts[::2] = [
        _OPTION.sub(lambda found: rename(found[1].replace("-", "_"), found[2] or ""), part)
        for part in parts[::2]
    ]
    return "`".join(parts)


def first_ten(names: list[str]) -> str:
    """Join names for a message: the first ten, then the number of further names."""
    shown = ", ".join(repr(name) for name in names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10:,} more"


class Cancelled(Exception):
    """A run was asked to stop."""
