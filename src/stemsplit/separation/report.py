"""What became of one track, as the API returns it and `--json` prints it."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from stemsplit.errors import TrackError

SCHEMA = 1


@dataclass(frozen=True)
class TrackReport:
    """
    The outcome of one input file; what does not apply is None.

    Attributes:
        input: the file as given.
        track: its name below the output folder.
        status: "done", "skipped" or "failed".
        outputs: absolute path of every stem written.
        model, model_revision: the model's name, and its commit or hash.
        device, precision: where and in which precision it ran.
        networks: how many networks were run.
        audio_seconds: length of the track.
        seconds: wall time from opening the input, or from the end of the track before, to the last stem's final name.
        gain_db: common gain put on all stems so that none clips, 0 for none.
        warnings: sentences about this track.
        failure: why it failed; `error` is its sentence.
    """

    input: Path
    track: str
    status: Literal["done", "skipped", "failed"]
    outputs: dict[str, Path]
    model: str | None = None
    model_revision: str | None = None
    device: str | None = None
    precision: str | None = None
    networks: int | None = None
    audio_seconds: float | None = None
    seconds: float | None = None
    gain_db: float | None = None
    warnings: tuple[str, ...] = ()
    failure: TrackError | None = None

    @property
    def error(self) -> str | None:
        """The sentence that says why it failed."""
        return None if self.failure is None else str(self.failure)

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`, the schema's number first."""
        values = asdict(replace(self, failure=None))
        del values["failure"]
        values["input"] = str(self.input)
        values["outputs"] = {stem: str(path) for stem, path in self.outputs.items()}
        return {"schema": SCHEMA, **values, "error": self.error}
