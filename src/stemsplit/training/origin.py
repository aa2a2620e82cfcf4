"""What decides about a run beside its recipe: the songs, and the model that it starts from."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True)
class StartNote:
    """The model that a run starts from, and whose heads new sources take."""

    model: str
    revision: str | None
    heads: Mapping[str, str]


@dataclass(frozen=True)
class Origin:
    """
    Where a run comes from, as its folder notes it.

    Attributes:
        data: the fingerprint of the songs.
        start: the model; None for fresh weights.
        folders: names of the folders of songs, and how often they are drawn.
        songs: how many, by split.
        hours: how long each source is heard, by split.
    """

    data: str
    start: StartNote | None
    folders: tuple[tuple[str, float], ...]
    songs: Mapping[str, int]
    hours: Mapping[str, tuple[float, ...]]

    def differences(self, other: "Origin") -> list[str]:
        """What of it makes another run, in words."""
        differs = {"the data": self.data != other.data, "the model to start from": self.start != other.start}
        return [what for what, is_other in differs.items() if is_other]

    def to_json(self) -> str:
        """As the folder keeps it."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises ValueError for what `to_json` has not written."""
        try:
            table = json.loads(text)
            start = table["start"]
            return cls(
                data=table["data"],
                start=None if start is None else StartNote(**start),
                folders=tuple((name, weight) for name, weight in table["folders"]),
                songs=dict(table["songs"]),
                hours={split: tuple(hours) for split, hours in table["hours"].items()},
            )
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"no note of a run: {error}") from error
