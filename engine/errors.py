"""The one exception a user meets: input that cannot be used, said in one sentence."""


class UserError(Exception):
    """Input, a file or an option that cannot be used.

    The message is one sentence that names the file or option and says what to do; the command
    line prints it alone and exits with 1, the dashboard shows it in place of the page.
    """


class Echo(UserError):
    """A refusal that the first of many processes says for all of them."""


def first_ten(names: list[str]) -> str:
    """Join names for a message: the first ten, then how many more there are."""
    shown = ", ".join(repr(name) for name in names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10:,} more"
