"""A separator that is loaded where it is needed: each process that does some of the work has its own."""

from typing import Any

from stemsplit.errors import UsageError
from stemsplit.events import Event, Listener, ignore
from stemsplit.separation.jobs import Loader
from stemsplit.separation.separator import Separator


class OnDemand:
    """
    A separator to be. Sent to another process, it is loaded there.

    Args:
        load: makes it.
    """

    def __init__(self, load: Loader) -> None:
        self._load = load
        self._separator: Separator | None = None
        self._device = "auto"
        self._listener: Listener = ignore

    def begin(self, device: str, listener: Listener) -> None:
        """Be told where to compute, and who hears of it."""
        self._device, self._listener = device, listener

    @property
    def separator(self) -> Separator:
        """Loaded. Raises as `Separator.load`."""
        if self._separator is None:
            separator = self._load(device=self._device, listener=self.tell)
            if separator.audio_channels != 2:
                raise UsageError(
                    f"The model {separator.bag.name} separates {separator.audio_channels} channel(s); songs are "
                    "scored by models of two."
                )
            self._separator = separator
        return self._separator

    @property
    def identity(self) -> str:
        """Model and settings: what results depend on."""
        bag, options = self.separator.bag, self.separator.options
        segments = bag.segments if options.segment is None else f"of {options.segment:g} s"
        precision = self.separator.engine.compute.precision
        return f"{bag.name} {bag.revision}, overlap {options.overlap:g}, segments {segments}, {precision}"

    def let_go(self) -> None:
        """Free its memory, where other processes do the work."""
        self._separator = None

    def tell(self, event: Event) -> None:
        """To whoever listens."""
        self._listener(event)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_separator": None, "_listener": ignore}
