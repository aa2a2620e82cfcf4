"""The table of formats, and choices that do not go together."""

import pytest

from stemsplit.audio.formats import DEPTHS, FORMATS, Encoding
from stemsplit.errors import UsageError


def test_default_is_24_bit_wav() -> None:
    encoding = Encoding()
    assert (encoding.extension, encoding.subtype, encoding.bits) == (".wav", "PCM_24", 24)


@pytest.mark.parametrize(
    ("format_", "depth", "told"),
    [
        ("flac", "32f", "flac cannot hold bit depth 32f. Choose 16 or 24"),
        ("xyz", "24", "'xyz' is unknown. Choose one of wav, flac"),
        ("wav", "20", "'20' is unknown. Choose one of 16, 24, 32f"),
        ("mp3", "16", "mp3 has no bit depth. Leave --bit-depth out"),
        ("stem.mp4", "24", "stem.mp4 has no bit depth"),
    ],
)
def test_what_does_not_go_together_is_refused_with_the_choices(format_: str, depth: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Encoding(format_, depth)


@pytest.mark.parametrize(
    ("format_", "bitrate", "told"),
    [
        ("wav", 320, "wav is not asked for a bitrate.*choose mp3, opus, m4a"),
        ("ogg", 192, "ogg is not asked for a bitrate"),
        ("mp3", 321, "of mp3 must be from 64 to 320 kbit/s, not 321"),
        ("m4a", 0, "of m4a must be from 32 to 512"),
        ("opus", -1, "of opus must be from"),
    ],
)
def test_bitrates_are_for_formats_that_have_them(format_: str, bitrate: int, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Encoding(format_, bitrate=bitrate)


@pytest.mark.parametrize(
    ("format_", "kilobits"), [("mp3", 320), ("m4a", 256), ("opus", 160), ("ogg", None), ("wav", None)]
)
def test_usual_bitrates(format_: str, kilobits: int | None) -> None:
    assert Encoding(format_).kilobits == kilobits


@pytest.mark.parametrize(
    ("format_", "rate", "fitting"),
    [
        ("wav", 44_056, 44_056),
        ("mp3", 44_100, 44_100),
        ("mp3", 96_000, 48_000),
        ("mp3", 44_056, 44_100),
        ("mp3", 1_000, 8_000),
        ("opus", 44_100, 48_000),
        ("opus", 22_050, 24_000),
        ("m4a", 192_000, 96_000),
        ("m4a", 88_200, 88_200),
        ("ogg", 384_000, 192_000),
        ("flac", 768_000, 655_350),
        ("flac", 96_001, 96_010),
        ("flac", 65_535, 65_535),
        ("stem.mp4", 22_050, 44_100),
        ("stem.mp4", 96_000, 48_000),
    ],
)
def test_a_rate_that_an_encoder_refuses_gives_way_to_the_next_higher(format_: str, rate: int, fitting: int) -> None:
    assert FORMATS[format_].fitting_rate(rate) == fitting


def test_every_row_names_known_depths() -> None:
    assert all(set(row.subtypes) <= set(DEPTHS) for row in FORMATS.values())


def test_every_row_of_libsndfile_has_a_subtype_and_only_lossy_ones_a_bitrate() -> None:
    for name, row in FORMATS.items():
        assert (row.container is None) == (Encoding(name).subtype is None)
        assert row.is_lossy or row.bitrates is None
