"""The exception for input that cannot be used, with a one-sentence message for the user."""

from __future__ import annotations


class UserError(Exception):
    """Input, a file or an option that cannot be used.

    The message is one sentence that names the file or the argument and says what to do. A script
    sees the argument as Python writes it (``lower=2.0``), the command line as an option
    (``--lower 2.0``).

    Parameters
    ----------
    sentence : str
        What is wrong and what to do; the rest of a sentence where ``option`` is given.
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
        """Return the sentence with the argument as Python writes it."""
        if not self.option:
            return super().__str__()
        plain = isinstance(self.value, (int, float))
        value = "" if self.value is None else f"={self.value if plain else repr(str(self.value))}"
        return f"{self.option}{value} {super().__str__()}"

    @property
    def on_command_line(self) -> str:
        """Return the sentence with the argument as an option of the command line."""
        return self.with_name(f"--{self.option.replace('_', '-')}")

    def with_name(self, name: str) -> str:
        """Return the sentence with the argument under another name, such as a form's label."""
        if not self.option:
            return str(self)
        value = self.value
        if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
            value = int(value)  # as it was typed
        said = "" if value is None else f" {value}"
        return f"{name}{said} {super().__str__()}"


class Echo(UserError):
    """An error that the first of several processes reports for all of them."""


def first_ten(names: list[str]) -> str:
    """Join names for a message: the first ten, then the number of further names."""
    shown = ", ".join(repr(name) for name in names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10:,} more"
