"""
Augmentation of excerpts, in the order of the paper (Rouard et al. 2022, section 3; Défossez 2021, section 4.1).

    repitch -> shift -> swap -> flip -> gain -> remix -> limit

All chance is in `Draws`, which is drawn on the CPU for a whole batch before anything is computed: the same seed gives
the same batch on any device, and processes that share a batch each take their part of one draw. What is done with it
are plain functions.

Shapes: B excerpts, S sources, C channels, T frames.
"""

from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor

from stemsplit.evaluation.limiter import limited
from stemsplit.training.recipe import Augment
from stemsplit.training.repitch import repitched


@dataclass(frozen=True)
class Draws:
    """
    What chance decides about a batch.

    Attributes:
        semitones: [B], up or down; 0 for none.
        tempo: [B], over the original one; 1 for none.
        shift: [B, S], from 0 to 1, of the longest shift.
        swap: [B, S], whether left and right change places.
        flip: [B, S], whether the sign changes.
        gain: [B, S], factors.
        partner: [B, S], of the batch the excerpt that gives the source.
        limit_db: [B], by how much the loudest peak is brought down; 0 for none.
    """

    semitones: Tensor
    tempo: Tensor
    shift: Tensor
    swap: Tensor
    flip: Tensor
    gain: Tensor
    partner: Tensor
    limit_db: Tensor

    @classmethod
    def of(cls, augment: Augment, excerpts: int, sources: int, generator: torch.Generator) -> Self:
        """Draw for a batch. Every kind of chance is drawn whether it is used or not, so that none moves another."""

        def uniform(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=generator)

        is_repitched = uniform(excerpts) < augment.repitch
        semitones = torch.floor(uniform(excerpts) * (2 * augment.semitones + 1)) - augment.semitones
        tempo = 1 + augment.tempo_std * torch.randn(excerpts, generator=generator)
        tempo = tempo.double().clamp(1 - augment.tempo_max, 1 + augment.tempo_max)
        shift = uniform(excerpts, sources)
        if augment.shift_together:
            shift = shift[:, :1].expand(excerpts, sources)
        swap, flip = uniform(excerpts, sources) < augment.swap, uniform(excerpts, sources) < augment.flip
        gain = augment.gain_min + (augment.gain_max - augment.gain_min) * uniform(excerpts, sources)
        is_changed = uniform(excerpts, sources) < augment.gain
        is_limited = uniform(excerpts) < augment.limiter
        partner = _partners(excerpts, sources, augment.remix_group, generator)
        if not bool(uniform(1) < augment.remix):
            partner = torch.arange(excerpts)[:, None].expand(excerpts, sources)
        return cls(
            semitones=torch.where(is_repitched, semitones, 0).to(torch.int64),
            tempo=torch.where(is_repitched, tempo, 1),
            shift=shift,
            swap=swap,
            flip=flip,
            gain=torch.where(is_changed, gain, 1),
            partner=partner,
            limit_db=torch.where(is_limited, augment.limiter_db * uniform(excerpts), 0),
        )

    def part(self, first: int, count: int) -> Self:
        """Those of some consecutive excerpts, none of which has a partner outside of them."""
        taken = {entry.name: getattr(self, entry.name)[first : first + count] for entry in fields(self)}
        taken["partner"] = taken["partner"] - first
        return type(self)(**taken)


def _partners(excerpts: int, sources: int, group: int, generator: torch.Generator) -> Tensor:
    """Within groups of excerpts, for every source another order. Shape: [B, S]."""
    keys = torch.rand(excerpts, sources, generator=generator)
    groups = torch.arange(excerpts)[:, None] // group
    return torch.argsort(groups + keys, dim=0)  # keys are below 1, so nobody leaves the group


def augmented(
    excerpts: Tensor, draws: Draws, kept_frames: int, segment_frames: int, sample_rate: int = 44_100
) -> Tensor:
    """
    The sources of a batch of mixtures. The mixture is their sum.

    Args:
        excerpts: sources as they were recorded.
        draws: what chance decides.
        kept_frames: what is left after repitching, of every excerpt.
        segment_frames: what is left after shifting.
        sample_rate: Hz.

    Shape:
        excerpts: [B, S, C, T]; result: [B, S, C, segment_frames]
    """
    x = torch.stack(
        [
            repitched(excerpt, int(semitones), float(tempo))[..., :kept_frames]
            for excerpt, semitones, tempo in zip(excerpts, draws.semitones, draws.tempo, strict=True)
        ]
    )
    x = shifted(x, (draws.shift * (kept_frames - segment_frames + 1)).long(), segment_frames)
    x = swapped(x, draws.swap.to(x.device))
    x = flipped(x, draws.flip.to(x.device))
    x = x * draws.gain.to(x)[..., None, None]
    x = remixed(x, draws.partner.to(x.device))
    return limited(x, draws.limit_db.to(x), sample_rate) if draws.limit_db.any() else x


def shifted(x: Tensor, starts: Tensor, frames: int) -> Tensor:
    """Of each source another stretch. Shape: [B, S, C, T], starts [B, S] -> [B, S, C, frames]."""
    rows = [
        torch.stack([source[:, start : start + frames] for source, start in zip(item, item_starts, strict=True)])
        for item, item_starts in zip(x, starts.tolist(), strict=True)
    ]
    return torch.stack(rows)


def swapped(x: Tensor, mask: Tensor) -> Tensor:
    """Left and right change places where the mask is true. Shape: [B, S, C, T], [B, S] -> [B, S, C, T]."""
    return torch.where(mask[..., None, None], x.flip(2), x)


def flipped(x: Tensor, mask: Tensor) -> Tensor:
    """The sign changes where the mask is true. Shape: [B, S, C, T], [B, S] -> [B, S, C, T]."""
    return torch.where(mask[..., None, None], -x, x)


def remixed(x: Tensor, partner: Tensor) -> Tensor:
    """Every source from the excerpt that is its partner. Shape: [B, S, C, T], [B, S] -> [B, S, C, T]."""
    return x[partner, torch.arange(x.shape[1], device=x.device)]
