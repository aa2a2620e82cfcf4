"""What is known of an epoch that is done: a line of `metrics.jsonl`."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from stemsplit.training.validation import Validation


@dataclass(frozen=True)
class Epoch:
    """
    The metrics of one epoch.

    Attributes:
        epoch: its number, from 1.
        step: steps that were done at its end.
        train_loss: mean over its steps.
        valid: how good the weights and all averages of them were, by name.
        best: which of them was best.
        is_best: whether no epoch before was as good.
        seconds: how long it took, from where the process began with it; `waited_for_data`: the share of them.
    """

    epoch: int
    step: int
    train_loss: float
    valid: Mapping[str, Validation]
    best: str
    is_best: bool
    seconds: float
    waited_for_data: float

    @property
    def validation(self) -> Validation:
        """Of the best weights."""
        return self.valid[self.best]

    def to_json(self) -> str:
        """A line, without its end."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Self:
        """Raises ValueError, TypeError or AttributeError for what `to_json` has not written."""
        table = json.loads(line)
        valid = {name: Validation(**values) for name, values in table.pop("valid").items()}
        return cls(valid=valid, **table)


def read_epochs(run: Path) -> list[Epoch]:
    """
    The epochs of a run's folder, none if none is done.

    Raises:
        ValueError: for a file that is no such list.
    """
    try:
        lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        return [Epoch.from_json(line) for line in lines]
    except FileNotFoundError:
        return []
    except (TypeError, AttributeError, KeyError) as error:
        raise ValueError(str(error)) from error


def best_epoch(epochs: Iterable[Epoch]) -> Epoch:
    """The one whose weights are the run's model."""
    return [epoch for epoch in epochs if epoch.is_best][-1]
