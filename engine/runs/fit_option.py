"""One option of a fit: its name, help and range, for the command line and the Train page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.errors import UserError


@dataclass(frozen=True)
class FitOption:
    """One option of a fit: a row of the table.

    Attributes
    ----------
    label : its name on the Train page
    help : what it does, for ``--help`` and the Train page
    choices : the values that it may have, () for any
    least, most : smallest and largest value of a number
    in_key : whether fits that differ in it are different fits, so that one cannot resume another
    about_data : whether it says how the data are read (``inspect`` has these options too)
    on_page : whether the Train page offers it
    repeated : whether it may be given several times; its value is then a tuple
    name, kind, default : as in :class:`FitOptions`; kind is str, int, float, bool or Path
    """

    label: str
    help: str
    choices: tuple[str | int, ...] = ()
    least: float | None = None
    most: float | None = None
    in_key: bool = True
    about_data: bool = False
    on_page: bool = True
    repeated: bool = False
    name: str = ""
    kind: type = str
    default: Any = None

    @property
    def flag(self) -> str:
        """Return the option's name on the command line, such as ``--batch-size``."""
        return f"--{self.name.replace('_', '-')}"

    def check(self, value: Any) -> None:
        """Raise an error if a value is not one of the choices, or out of range.

        Raises
        ------
        UserError
            When it is.
        """
        if value is None:
            return
        if self.choices and value not in self.choices:
            first, last = self.choices[:-1], self.choices[-1]
            known = f"{', '.join(map(str, first))} or {last}"
            raise UserError(f"is unknown; choose {known}.", option=self.name, value=value)
        least, most = self.least, self.most
        if least is not None and most is not None and not least <= value <= most:
            raise UserError(
                f"must lie between {least:,} and {most:,}.", option=self.name, value=value
            )
