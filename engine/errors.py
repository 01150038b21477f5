"""The exception for input that cannot be used, with a one-sentence message for the user."""


class UserError(Exception):
    """Input, a file or an option that cannot be used.

    The message is one sentence that names the file or option and says what to do; the command
    line prints it alone and exits with 1, the dashboard shows it in place of the page.
    """


class Echo(UserError):
    """An error that the first of several processes reports for all of them."""


def first_ten(names: list[str]) -> str:
    """Join names for a message: the first ten, then the number of further names."""
    shown = ", ".join(repr(name) for name in names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10:,} more"
