"""Laws of the STFT and its inverse."""

import pytest
import torch

from stemsplit.model.spectrogram import BINS, HOP, N_FFT, inverse_spectrogram, spectrogram

LENGTHS = [4096, 44_100, 343_980, 10 * HOP, 10 * HOP + 1, 10 * HOP - 1]


@pytest.mark.parametrize("length", LENGTHS)
def test_the_inverse_is_torch_s_with_two_silent_frames_at_either_end(length: int) -> None:
    spectrum = torch.randn(1, BINS, -(-length // HOP), 2)
    z = torch.view_as_complex(spectrum)[0]
    z = torch.nn.functional.pad(z, (2, 2, 0, 1))
    margin = 3 * HOP // 2
    whole = torch.istft(z, N_FFT, HOP, window=torch.hann_window(N_FFT), normalized=True)
    expected = torch.nn.functional.pad(whole, (0, length))[margin : margin + length]
    torch.testing.assert_close(inverse_spectrogram(spectrum, length)[0, 0], expected, atol=1e-5, rtol=0)


def test_the_inverse_returns_the_signal_but_for_its_ends() -> None:
    """And but for the topmost bin, which is dropped: so for a signal without it."""
    signal = torch.nn.functional.avg_pool1d(torch.randn(1, 2, 44_101), 2, 1)
    restored = inverse_spectrogram(spectrogram(signal), 44_100)
    inner = slice(2 * HOP, -2 * HOP)
    torch.testing.assert_close(restored[..., inner], signal[..., inner], atol=2e-3, rtol=0)


@pytest.mark.parametrize("length", LENGTHS)
def test_there_is_one_frame_per_hop(length: int) -> None:
    assert spectrogram(torch.randn(2, 2, length)).shape == (2, BINS, -(-length // HOP), 4)


def test_a_tone_lies_in_its_bin_with_its_energy() -> None:
    """Orthonormal: a sine of amplitude 1 in bin k has magnitude sqrt(N) / 4 under a Hann window."""
    time = torch.arange(20 * HOP, dtype=torch.float64)
    tone = torch.sin(2 * torch.pi * 100 * time / N_FFT).float().expand(1, 2, -1)
    z = torch.view_as_complex(spectrogram(tone).unflatten(-1, (2, 2)).contiguous())
    magnitude = z[0, :, 10, 0].abs()
    assert magnitude.argmax() == 100
    assert magnitude[100].item() == pytest.approx(N_FFT**0.5 / 4, rel=1e-4)


def test_channels_are_left_real_left_imaginary_right_real_right_imaginary() -> None:
    left = torch.randn(1, 1, 8 * HOP)
    both = spectrogram(torch.cat([left, torch.zeros_like(left)], dim=1))
    assert both[..., :2].abs().max() > 0
    assert both[..., 2:].abs().max() == 0
    torch.testing.assert_close(both[..., :2], spectrogram(left))


def test_it_is_the_centred_transform_with_two_frames_off_either_end() -> None:
    signal = torch.randn(1, 1, 12 * HOP)
    padded = torch.nn.functional.pad(signal, (3 * HOP // 2, 3 * HOP // 2), mode="reflect")[0]
    window = torch.hann_window(N_FFT)
    z = torch.stft(padded, N_FFT, HOP, window=window, normalized=True, return_complex=True)[:, :-1, 2:-2]
    torch.testing.assert_close(spectrogram(signal)[0], torch.view_as_real(z[0]), atol=1e-5, rtol=1e-5)
