"""The labels of a run that are suspected to be wrong, the most suspicious first."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


_REPEATS = re.compile(
    r"In \w+, (?:the same file as|nearly the same as) (.+) in (train|valid|test)"
    r"(?:, labelled .* there)?(?: and \d+ more)?\.",
    re.DOTALL,
)


def counterpart(reason: str) -> tuple[str, str] | None:
    """Return path and split of the other image named in a reason, None if there is none.

    Reasons of leaks and near-duplicates name one; see `engine.analysis.suspect_ranking.repeated`.
    """
    found = _REPEATS.fullmatch(reason)
    return (found[1], found[2]) if found else None


@dataclass(frozen=True)
class Suspect:
    """An image whose label should be looked at again.

    Attributes
    ----------
    id, path, split, label : of the image
    suggested : the class that it seems to show, "" where none is suggested
    kind : label, both-or-neither, near-duplicate or leak
    score : higher is more suspicious, comparable within a kind
    reason : in words
    sha256 : of the file
    """

    id: str
    path: str
    split: str
    label: str
    suggested: str
    kind: str
    score: float
    reason: str
    sha256: str


@dataclass(frozen=True, repr=False)
class Triage:
    """Suspected labels of a run.

    Attributes
    ----------
    run : name of the run
    suspects : the most suspicious first
    """

    run: str
    suspects: tuple[Suspect, ...]

    @classmethod
    def from_table(cls, run: str, table: pd.DataFrame) -> Triage:
        """Return the suspects of a stored table."""
        columns = (table[name].tolist() for name in Suspect.__dataclass_fields__)
        return cls(run, tuple(Suspect(*row) for row in zip(*columns, strict=True)))

    def __repr__(self) -> str:
        """Return the counts by kind."""
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in self.kinds.items())
        return f"<{len(self.suspects):,} suspects{': ' if kinds else ''}{kinds}>"

    @property
    def kinds(self) -> dict[str, int]:
        """Return how many suspects there are of each kind, the most frequent first."""
        return dict(Counter(suspect.kind for suspect in self.suspects).most_common())

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per suspect, the most suspicious first."""
        import pandas as pd

        columns = list(Suspect.__dataclass_fields__)
        return pd.DataFrame([asdict(suspect) for suspect in self.suspects], columns=columns)

    def as_json(self, n: int) -> dict[str, Any]:
        """Return the first ``n`` as `second-look triage --json` prints them."""
        return {
            "run": self.run,
            "n": len(self.suspects),
            "kinds": self.kinds,
            "suspects": [asdict(suspect) for suspect in self.suspects[:n]],
        }
