"""
The most memory that the tensors of one segment take at once: what `--batch-size auto` counts with.

    python tests/benchmarks/tensors.py

Counted on the CPU with nothing computed in pieces, as on a GPU; without what libraries take for themselves.
"""

from collections.abc import Iterator
from typing import Any

import torch
from measure import machine

from stemsplit.model import layers
from stemsplit.model.config import HTDemucsConfig
from stemsplit.model.htdemucs import HTDemucs


def most_at_once(network: HTDemucs, mixture: torch.Tensor) -> int:
    """Peak of the bytes allocated and not yet freed, during one forward pass."""
    with torch.inference_mode(), torch.profiler.profile(profile_memory=True) as profile:
        network(mixture)
    assert profile.profiler is not None
    results: Any = profile.profiler.kineto_results
    allocations = [
        (event.start_time_ns, event.extra_fields.alloc_size)
        for event in _events(results.experimental_event_tree())
        if event.tag == torch._C._profiler._EventType.Allocation
    ]
    now = most = 0
    for _, size in sorted(allocations):
        now += size
        most = max(most, now)
    return most


def _events(roots: list[Any]) -> Iterator[Any]:
    for event in roots:
        yield event
        yield from _events(event.children)


def main() -> None:
    """Print a line per precision."""
    print(machine())
    layers._CACHED_NUMBERS = 2**62
    network = HTDemucs(HTDemucsConfig(("drums", "bass", "other", "vocals"))).eval()
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        mixture = torch.randn(2, 2, network.config.segment_frames)
        one, two = (most_at_once(network.to(dtype), mixture[:items]) for items in (1, 2))
        print(f"{name}: {one / 2**20:.0f} MiB for a segment, {(two - one) / 2**20:.0f} MiB for one more in the batch")


if __name__ == "__main__":
    main()
