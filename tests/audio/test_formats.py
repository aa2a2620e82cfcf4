"""The table of formats, and choices that do not go together."""

import pytest

from stemsplit.audio.formats import DEPTHS, FORMATS, Encoding
from stemsplit.errors import UsageError


def test_default_is_24_bit_wav() -> None:
    encoding = Encoding()
    assert (encoding.extension, encoding.subtype, encoding.depth.bits) == (".wav", "PCM_24", 24)


@pytest.mark.parametrize(
    ("format_", "depth", "told"),
    [
        ("flac", "32f", "flac cannot hold bit depth 32f. Choose 16 or 24"),
        ("xyz", "24", "'xyz' is unknown. Choose one of wav, flac"),
        ("wav", "20", "'20' is unknown. Choose one of 16, 24, 32f"),
    ],
)
def test_what_does_not_go_together_is_refused_with_the_choices(format_: str, depth: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Encoding(format_, depth)


def test_every_row_names_known_depths() -> None:
    assert all(set(row.subtypes) <= set(DEPTHS) for row in FORMATS.values())
