"""Each augmentation keeps its law, and all of them together are the paper's."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from stemsplit.evaluation import limiter
from stemsplit.evaluation.limiter import limited
from stemsplit.training.augment import Draws, augmented, flipped, remixed, shifted, swapped
from stemsplit.training.recipe import Augment
from stemsplit.training.repitch import repitched

RATE = 44_100
NONE = Augment(repitch=0, shift_seconds=0, swap=0, flip=0, gain=0, remix=0)


def _draws(augment: Augment, excerpts: int = 8, sources: int = 4, seed: int = 0) -> Draws:
    return Draws.of(augment, excerpts, sources, torch.Generator().manual_seed(seed))


def _noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def _hertz(x: Tensor) -> float:
    spectrum = torch.fft.rfft(x * torch.hann_window(len(x)), 1 << 20).abs()
    return float(spectrum.argmax()) * RATE / (1 << 20)


@pytest.mark.parametrize("semitones", [-2, -1, 0, 1, 2])
@pytest.mark.parametrize("tempo", [0.88, 1.0, 1.12])
def test_repitching_moves_pitch_and_tempo_and_each_alone(semitones: int, tempo: float) -> None:
    time = torch.arange(2 * RATE) / RATE
    tone = torch.sin(2 * math.pi * 440 * time).expand(2, 1, -1)
    moved = repitched(tone, semitones, tempo)
    assert moved.shape[:2] == (2, 1)
    assert moved.shape[-1] == pytest.approx(2 * RATE / tempo, rel=1e-4)
    middle = moved[0, 0, RATE // 2 : RATE]
    assert 1200 * math.log2(_hertz(middle) / 440) == pytest.approx(100 * semitones, abs=2)
    assert float(middle.std()) == pytest.approx(float(tone.std()), rel=0.05)


def test_not_repitched_is_the_same_tensor() -> None:
    x = _noise(2, 1000)
    assert repitched(x, 0, 1.0) is x


def test_the_start_of_a_note_stays_where_the_tempo_puts_it() -> None:
    click = torch.zeros(1, 1, 2 * RATE)
    click[..., RATE] = 1
    for semitones, tempo in ((2, 1.0), (-2, 1.1), (0, 0.9)):
        peak = int(repitched(click, semitones, tempo).abs().argmax())
        assert peak == pytest.approx(RATE / tempo, abs=1024)  # half a window


def test_shifts_are_stretches_of_the_source() -> None:
    x = torch.arange(20.0).expand(1, 2, 1, 20)
    moved = shifted(x, torch.tensor([[0, 7]]), 5)
    assert moved[0, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert moved[0, 1, 0].tolist() == [7, 8, 9, 10, 11]


def test_swapping_and_flipping_twice_change_nothing() -> None:
    x = _noise(3, 2, 2, 10)
    mask = torch.tensor([[True, False], [False, False], [True, True]])
    for change in (swapped, flipped):
        assert torch.equal(change(change(x, mask), mask), x)
        assert torch.equal(change(x, mask)[1], x[1])
    assert torch.equal(swapped(x, mask)[0, 0, 0], x[0, 0, 1])
    assert torch.equal(flipped(x, mask)[0, 0], -x[0, 0])


def test_remixing_loses_no_stem_and_stays_within_groups() -> None:
    x = _noise(10, 4, 2, 5)
    partner = _draws(Augment(), excerpts=10).partner
    mixed = remixed(x, partner)
    for source in range(4):
        for first in (0, 4, 8):
            assert sorted(partner[first : first + 4, source].tolist()) == list(range(first, min(first + 4, 10)))
        for item in range(10):
            assert torch.equal(mixed[item, source], x[partner[item, source], source])
    assert any(len(set(row.tolist())) > 1 for row in partner)


def test_limiting() -> None:
    x = 0.1 * _noise(2, 3, 2, 20_000)
    x[:, 0, :, 9000:9100] += 2.0
    loud = limited(x, torch.tensor([6.0, 0.0]))
    assert torch.equal(loud[1], x[1])
    before, after = x[0].sum(0).abs(), loud[0].sum(0).abs()
    assert float(after.max()) <= float(before.max()) * 10 ** (-6 / 20) * (1 + 1e-5)
    gain = loud[0] / x[0]
    torch.testing.assert_close(gain, gain[:1, :1].expand_as(gain), rtol=1e-3, atol=1e-3)  # one for all stems
    assert float(gain[0, 0].diff().abs().max()) < 1.5 / (limiter.WINDOW_SECONDS * RATE)  # smooth
    torch.testing.assert_close(loud[0, ..., :5000], x[0, ..., :5000])  # far from the peak


def test_nothing_drawn_changes_nothing() -> None:
    x = _noise(4, 4, 2, 100)
    assert torch.equal(augmented(x, _draws(NONE, 4), 100, 100), x)


def test_a_seed_gives_one_batch_and_parts_of_it() -> None:
    x = _noise(8, 4, 2, 3000)
    augment = replace(Augment(), repitch=0)
    whole = augmented(x, _draws(augment), 3000, 2500)
    assert torch.equal(whole, augmented(x, _draws(augment), 3000, 2500))
    assert not torch.equal(whole, augmented(x, _draws(augment, seed=1), 3000, 2500))
    halves = [augmented(x[i : i + 4], _draws(augment).part(i, 4), 3000, 2500) for i in (0, 4)]
    assert torch.equal(whole, torch.cat(halves))


def test_switching_one_kind_off_moves_no_other() -> None:
    with_all, without = _draws(Augment()), _draws(replace(Augment(), repitch=0, remix=0))
    for name in ("shift", "swap", "flip", "gain"):
        assert torch.equal(getattr(with_all, name), getattr(without, name))


def test_what_is_drawn_is_the_papers() -> None:
    draws = _draws(Augment(), excerpts=20_000)
    changed = (draws.tempo != 1) | (draws.semitones != 0)
    assert float(changed.float().mean()) == pytest.approx(0.2, abs=0.01)
    assert set(draws.semitones.tolist()) == {-2, -1, 0, 1, 2}
    tempo = draws.tempo[changed]
    assert float(tempo.std()) == pytest.approx(0.05, abs=0.003)
    assert 0.88 <= float(tempo.min()) < float(tempo.max()) <= 1.12
    for name in ("swap", "flip"):
        assert float(getattr(draws, name).float().mean()) == pytest.approx(0.5, abs=0.01)
    assert 0.25 <= float(draws.gain.min()) < 0.26
    assert 1.24 < float(draws.gain.max()) <= 1.25
    assert float(draws.gain.mean()) == pytest.approx(0.75, abs=0.01)
    assert 0 <= float(draws.shift.min()) < float(draws.shift.max()) < 1
    assert not draws.limit_db.any()


def test_shifted_together() -> None:
    shift = _draws(Augment(shift_together=True)).shift
    assert torch.equal(shift, shift[:, :1].expand_as(shift))
    assert len(set(shift[:, 0].tolist())) == len(shift)
