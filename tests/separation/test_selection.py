"""What may be asked for, as tables: every choice's stems and what they are made of, and every refusal's remedy."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import permutations
from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemsplit.errors import UnknownSourceError, UsageError
from stemsplit.separation.selection import Mix, Selection, bundled, parse_mix

FOUR = ("drums", "bass", "other", "vocals")
SIX = (*FOUR, "guitar", "piano")
TWO = ("vocals", "instrumental")
KARAOKE = {"vocals": {"vocals": 1}, "instrumental": {"mixture": 1, "vocals": -1}}


def alone(*sources: str) -> dict[str, dict[str, float]]:
    """Stems that are a source each."""
    return {source: {source: 1.0} for source in sources}


def rest(*taken: str) -> dict[str, float]:
    """The mixture without some sources."""
    return {"mixture": 1.0, **dict.fromkeys(taken, -1.0)}


def added(*sources: str) -> dict[str, float]:
    return dict.fromkeys(sources, 1.0)


@dataclass(frozen=True)
class Row:
    """A choice, and what comes of it: stems in order, sources that are separated, stems taken in integers."""

    selection: Selection
    stems: Mapping[str, Mapping[str, float]]
    needed: Sequence[str]
    remainders: Mapping[str, Sequence[str]]
    sources: Sequence[str] = FOUR


CHOICES = [
    Row(Selection(), alone(*FOUR), FOUR, {}),
    Row(Selection(), alone(*SIX), SIX, {}, SIX),
    Row(Selection(), alone("voice"), ["voice"], {}, ["voice"]),
    Row(Selection(stems=("vocals", "drums", "vocals")), alone("drums", "vocals"), ["drums", "vocals"], {}),
    Row(Selection(karaoke=True), KARAOKE, ["vocals"], {"instrumental": ["vocals"]}),
    Row(Selection(karaoke=True), KARAOKE, ["vocals"], {"instrumental": ["vocals"]}, SIX),
    Row(Selection(karaoke=True), KARAOKE, ["vocals"], {"instrumental": ["vocals"]}, ["vocals"]),
    Row(
        Selection(karaoke=True, sum=True),
        {**alone("vocals"), "instrumental": added("drums", "bass", "other")},
        FOUR,
        {},
    ),
    Row(
        Selection(two_stems="drums"),
        {**alone("drums"), "no_drums": rest("drums")},
        ["drums"],
        {"no_drums": ["drums"]},
    ),
    Row(
        Selection(two_stems="piano", sum=True),
        {**alone("piano"), "no_piano": added("drums", "bass", "other", "vocals", "guitar")},
        SIX,
        {},
        SIX,
    ),
    # Nothing is left to be exact with: the vocals are not written.
    Row(Selection(drop=("vocals",)), {"no_vocals": rest("vocals")}, ["vocals"], {}),
    Row(Selection(drop=("bass", "drums")), {"no_drums_bass": rest("drums", "bass")}, ["drums", "bass"], {}),
    Row(Selection(drop=FOUR), {"no_drums_bass_other_vocals": rest(*FOUR)}, FOUR, {}),
    Row(
        Selection(drop=("vocals",), sum=True),
        {"no_vocals": added("drums", "bass", "other")},
        ["drums", "bass", "other"],
        {},
    ),
    Row(
        Selection(drop=("drums", "vocals"), sum=True),
        {"no_drums_vocals": added("bass", "other")},
        ["bass", "other"],
        {},
    ),
    Row(
        Selection(stems=("drums", "bass"), drop=("drums", "bass")),
        {**alone("drums", "bass"), "no_drums_bass": rest("drums", "bass")},
        ["drums", "bass"],
        {"no_drums_bass": ["drums", "bass"]},
    ),
    Row(
        Selection(stems=("drums",), drop=("drums", "bass")),
        {**alone("drums"), "no_drums_bass": rest("drums", "bass")},
        ["drums", "bass"],
        {},
    ),
    Row(Selection(residual=True), {**alone(*FOUR), "residual": rest(*FOUR)}, FOUR, {"residual": FOUR}),
    Row(
        Selection(stems=("vocals", "bass"), residual=True),
        {**alone("bass", "vocals"), "residual": rest("bass", "vocals")},
        ["bass", "vocals"],
        {"residual": ["bass", "vocals"]},
    ),
    Row(
        Selection(mixes=(Mix("practice", {"vocals": 0.5, "bass": 1.0}),)),
        {"practice": {"vocals": 0.5, "bass": 1.0}},
        ["bass", "vocals"],
        {},
    ),
    Row(
        Selection(stems=("vocals",), mixes=(Mix("rest", {"mixture": 1.0, "vocals": -1.0}),)),
        {**alone("vocals"), "rest": rest("vocals")},
        ["vocals"],
        {"rest": ["vocals"]},
    ),
    Row(
        Selection(stems=("vocals",), mixes=(Mix("quieter", {"mixture": 1.0, "vocals": -0.5}),)),
        {**alone("vocals"), "quieter": {"mixture": 1.0, "vocals": -0.5}},
        ["vocals"],
        {},
    ),
    # Together they say what they say alone, and what two of them say is written once.
    Row(
        Selection(stems=("bass",), karaoke=True, two_stems="vocals", drop=("vocals",), mixes=(Mix("x", {"other": 2}),)),
        {**alone("bass"), **KARAOKE, "no_vocals": rest("vocals"), "x": {"other": 2}},
        ["bass", "other", "vocals"],
        {"instrumental": ["vocals"], "no_vocals": ["vocals"]},
    ),
    Row(Selection(stems=("instrumental",)), alone("instrumental"), ["instrumental"], {}, TWO),
    Row(Selection(), alone(*TWO), TWO, {}, TWO),
    Row(
        Selection(two_stems="vocals"),
        {**alone("vocals"), "no_vocals": rest("vocals")},
        ["vocals"],
        {"no_vocals": ["vocals"]},
        TWO,
    ),
    Row(
        Selection(mixes=(Mix("half", {"instrumental": 0.5}),)),
        {"half": {"instrumental": 0.5}},
        ["instrumental"],
        {},
        TWO,
    ),
]


@pytest.mark.parametrize("row", CHOICES, ids=lambda row: ",".join(row.stems))
def test_a_choice_gives_these_stems(row: Row) -> None:
    mixdown = row.selection.mixdown(row.sources)
    assert {stem.name: dict(stem.gains) for stem in mixdown.stems} == row.stems
    assert mixdown.sources == tuple(row.needed)
    assert {name: sorted(parts) for name, parts in mixdown.remainders.items()} == {
        name: sorted(parts) for name, parts in row.remainders.items()
    }
    assert mixdown.needs_mixture == any("mixture" in gains for gains in row.stems.values())


@pytest.mark.parametrize("row", CHOICES, ids=lambda row: ",".join(row.stems))
def test_sources_come_first_and_in_the_order_of_the_model(row: Row) -> None:
    names = row.selection.mixdown(row.sources).names
    plain = [name for name in names if name in row.sources]
    assert list(names[: len(plain)]) == sorted(plain, key=list(row.sources).index)


@pytest.mark.parametrize("order", list(permutations(["vocals", "drums", "other"])))
@pytest.mark.parametrize("options", [{}, {"sum": True}], ids=str)
def test_the_order_of_what_is_dropped_does_not_matter(order: tuple[str, ...], options: dict[str, bool]) -> None:
    mixdown = Selection(drop=order, **options).mixdown(FOUR)  # type: ignore[arg-type]
    assert mixdown == Selection(drop=("drums", "other", "vocals"), **options).mixdown(FOUR)  # type: ignore[arg-type]
    assert mixdown.names == ("no_drums_other_vocals",)


# Refusals.


@pytest.mark.parametrize(
    "other",
    [{"karaoke": True}, {"two_stems": "bass"}, {"drop": ("bass",)}, {"mixes": (Mix("x", {"bass": 1.0}),)}],
    ids=str,
)
@pytest.mark.parametrize("stems", [(), ("vocals",)])
def test_a_residual_goes_with_sources_alone(other: dict[str, object], stems: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="it goes with --stems or alone"):
        Selection(stems=stems, residual=True, **other)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "other", [{}, {"stems": ("bass",)}, {"residual": True}, {"mixes": (Mix("x", {"bass": 1.0}),)}], ids=str
)
def test_a_sum_needs_something_to_be_the_sum_of(other: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="name one of them"):
        Selection(sum=True, **other)  # type: ignore[arg-type]


def test_two_mixes_of_one_name() -> None:
    with pytest.raises(UsageError, match=r"two mixes are called x\. Give each its own name"):
        Selection(mixes=(Mix("x", {"bass": 1.0}), Mix("y", {"bass": 1.0}), Mix("x", {"drums": 1.0})))


@pytest.mark.parametrize(
    ("selection", "sources", "message"),
    [
        (Selection(stems=("piano",)), FOUR, "does not separate piano; it has drums, bass, other, vocals"),
        (Selection(stems=("Vocals", "bass", "piano")), FOUR, "does not separate Vocals, piano; it has"),
        (Selection(two_stems="piano"), FOUR, "does not separate piano; it has drums"),
        (Selection(drop=("vocals", "piano")), FOUR, "does not separate piano; it has drums"),
        (Selection(drop=("vocals", "piano"), sum=True), FOUR, "does not separate piano; it has drums"),
        (Selection(mixes=(Mix("x", {"bass": 1, "piano": 1}),)), FOUR, "does not separate piano; it has drums"),
        (Selection(karaoke=True), ("drums", "bass"), "does not separate vocals; it has drums, bass"),
        (Selection(karaoke=True, sum=True), ("drums", "bass"), "does not separate vocals; it has drums, bass"),
        # What has a meaning of its own says which option makes it.
        (Selection(stems=("instrumental",)), FOUR, "instrumental (--karaoke writes it); it has drums"),
        (Selection(stems=("residual",)), FOUR, "residual (--residual writes it); it has drums"),
        (Selection(stems=("no_vocals",)), FOUR, "no_vocals (--drop vocals writes it); it has drums"),
        (Selection(stems=("mixture",)), FOUR, "mixture (it is the song itself, a term of --mix); it has drums"),
        (Selection(two_stems="no_vocals"), FOUR, "no_vocals (--drop vocals writes it); it has drums"),
        (Selection(drop=("mixture",)), FOUR, "mixture (it is the song itself, a term of --mix); it has drums"),
        (Selection(mixes=(Mix("x", {"instrumental": 1}),)), FOUR, "instrumental (--karaoke writes it); it has drums"),
    ],
    ids=str,
)
def test_what_the_model_does_not_separate(selection: Selection, sources: Sequence[str], message: str) -> None:
    with pytest.raises(UnknownSourceError) as refused:
        selection.mixdown(sources)
    assert message in str(refused.value)
    with pytest.raises(UnknownSourceError):
        selection.mixdown(sources)


@pytest.mark.parametrize(
    ("selection", "sources", "message"),
    [
        (Selection(karaoke=True), TWO, "has a source instrumental of its own: use --stems instrumental"),
        (Selection(karaoke=True, sum=True), TWO, "has a source instrumental of its own: use --stems instrumental"),
        (Selection(drop=("vocals",)), ("vocals", "no_vocals"), "use --stems no_vocals"),
        (Selection(two_stems="vocals"), ("vocals", "no_vocals"), "use --stems no_vocals"),
        (Selection(residual=True), ("vocals", "residual"), "use --stems residual"),
        (Selection(mixes=(Mix("vocals", {"bass": 1.0}),)), FOUR, "use --stems vocals"),
        (Selection(drop=FOUR, sum=True), FOUR, "Leave --sum out, or drop fewer sources"),
        (Selection(karaoke=True, sum=True), ("vocals",), "Leave --sum out"),
        (Selection(two_stems="voice", sum=True), ("voice",), "Leave --sum out"),
        (Selection(mixes=(Mix("x", {"mixture": 1.0}),)), FOUR, "--mix x: has no source in it"),
        (Selection(mixes=(Mix("x", {}),)), FOUR, "--mix x: has no source in it"),
    ],
    ids=str,
)
def test_a_stem_that_cannot_be(selection: Selection, sources: Sequence[str], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        selection.mixdown(sources)
    assert message in str(refused.value)


# stem.mp4.


@pytest.mark.parametrize(
    ("sources", "other"),
    [
        (FOUR, ["other"]),
        (("vocals", "other", "bass", "drums"), ["other"]),
        (SIX, ["other", "guitar", "piano"]),
        (("piano", *FOUR), ["other", "piano"]),
    ],
)
def test_a_bundle_holds_the_mixture_and_four(sources: tuple[str, ...], other: list[str]) -> None:
    mixdown = bundled(sources)
    assert mixdown.names == ("mixture", *FOUR)
    assert {stem.name: dict(stem.gains) for stem in mixdown.stems} == {
        "mixture": {"mixture": 1},
        **alone("drums", "bass", "vocals"),
        "other": added(*other),
    }
    assert mixdown.sources == sources
    assert mixdown.remainders == {}
    assert mixdown.needs_mixture


@pytest.mark.parametrize("sources", [TWO, FOUR[:3], ("vocals",)])
def test_a_bundle_needs_all_four(sources: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=f"the model has {', '.join(sources)}. Choose another model or format"):
        bundled(sources)


# Mixes.


@pytest.mark.parametrize(
    ("expression", "gains"),
    [
        ("vocals", {"vocals": 1}),
        ("+vocals", {"vocals": 1}),
        ("-vocals", {"vocals": -1}),
        ("drums+bass-other", {"drums": 1, "bass": 1, "other": -1}),
        ("vocals*0.5", {"vocals": 0.5}),
        ("vocals*.5+bass*2.", {"vocals": 0.5, "bass": 2}),
        ("vocals*-0.5", {"vocals": -0.5}),
        ("vocals*+0.5", {"vocals": 0.5}),
        ("-vocals*-0.5", {"vocals": 0.5}),
        ("bass-vocals*-0.5", {"bass": 1, "vocals": 0.5}),
        ("vocals@20dB", {"vocals": 10}),
        ("vocals@+20dB", {"vocals": 10}),
        ("vocals@-20dB", {"vocals": 0.1}),
        ("-vocals@-20dB", {"vocals": -0.1}),
        ("vocals@-3dB", {"vocals": 10**-0.15}),
        ("vocals@-6.5DB+bass@0db", {"vocals": 10 ** (-6.5 / 20), "bass": 1}),
        ("  vocals *  0.5\t+ bass @ -20 dB  ", {"vocals": 0.5, "bass": 0.1}),
        ("- vocals", {"vocals": -1}),
        ("vocals*1000", {"vocals": 1000}),
        ("vocals@60dB", {"vocals": 1000}),
        # What is said more than once adds up, and what comes to nothing is not there.
        ("vocals+vocals*0.5", {"vocals": 1.5}),
        ("vocals+bass-vocals", {"bass": 1}),
        ("bass+vocals*0", {"bass": 1}),
        ("mixture", {"mixture": 1}),
        ("mixture-vocals*0.7", {"mixture": 1, "vocals": -0.7}),
        ('"lead vocals"*0.5+"back-up"', {"lead vocals": 0.5, "back-up": 1}),
        ('"vocals"+vocals', {"vocals": 2}),
        ('"a+b=c"', {"a+b=c": 1}),
        ("voix_féminine+2nd", {"voix_féminine": 1, "2nd": 1}),
    ],
)
def test_an_expression(expression: str, gains: dict[str, float]) -> None:
    mix = parse_mix(f"practice={expression}")
    assert mix.name == "practice"
    assert mix.gains == pytest.approx(gains, rel=1e-12)


@pytest.mark.parametrize("name", ["x", "my mix-2_b", "2nd", "Über", "a" * 64, "no", "nothing", "instrumental2"])
def test_a_name(name: str) -> None:
    assert parse_mix(f" {name} = vocals") == Mix(name, {"vocals": 1.0})


@pytest.mark.parametrize(
    ("expression", "unread"),
    [
        ("+", "+"),
        ("vocals+", "+"),
        ("vocals++bass", "++bass"),
        ("vocals--bass", "--bass"),
        ("vocals bass", "bass"),
        ("vocals,bass", ",bass"),
        ("vocals*", "*"),
        ("vocals*x", "*x"),
        ("vocals*1e3", "e3"),
        ("vocals*nan", "*nan"),
        ("vocals*inf", "*inf"),
        ("vocals*0.5*0.5", "*0.5"),
        ("0.5*vocals", ".5*vocals"),
        ("vocals@-3", "@-3"),
        ("vocals@dB", "@dB"),
        ("vocals@-3dB@-3dB", "@-3dB"),
        ("vocals/2", "/2"),
        ("lead-vocals*0.5.1", ".1"),
        ("(vocals+bass)*0.5", "(vocals+bass)*0.5"),
        ('"lead vocals', '"lead vocals'),
        ('""', '""'),
        ("vocals=bass", "=bass"),
        ("../../etc", "../../etc"),
    ],
)
def test_what_is_no_expression(expression: str, unread: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_mix(f"practice={expression}")
    told = str(refused.value)
    assert f"cannot read {unread!r}. Write terms such as bass, bass*0.5 or bass@-3dB" in told
    assert "double quotes" in told


@pytest.mark.parametrize(
    "text", ["", "=vocals", " =vocals", "-x=vocals", "a/b=vocals", "../x=vocals", "x.y=vocals", f"{'a' * 65}=vocals"]
)
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(UsageError, match="such as practice=drums") as refused:
        parse_mix(text)
    assert "its name has letters, digits, spaces, _ and -." in str(refused.value)


@pytest.mark.parametrize("text", ["practice", "practice=", "practice=   "])
def test_a_mix_without_an_expression(text: str) -> None:
    with pytest.raises(UsageError, match=r"nothing is in it. Write terms such as .* and quotes around the whole"):
        parse_mix(text)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("mixture", "it is the song itself, a term of --mix"),
        ("residual", "--residual writes it"),
        ("instrumental", "--karaoke writes it"),
        ("no_vocals", "--drop vocals writes it"),
        ("no_", "--drop"),
    ],
)
def test_a_reserved_name(name: str, remedy: str) -> None:
    with pytest.raises(UsageError, match="is reserved") as refused:
        parse_mix(f"{name}=vocals")
    assert remedy in str(refused.value)
    assert "Choose another name" in str(refused.value)


@pytest.mark.parametrize(
    "term", ["vocals*1000.1", "vocals*-1001", "vocals@60.1dB", "vocals@999999dB", f"vocals*{'9' * 400}"]
)
@pytest.mark.parametrize("before", ["", "bass+", "bass-"])
def test_a_huge_gain(before: str, term: str) -> None:
    with pytest.raises(UsageError, match=r"louder than 1000 times \(60 dB\)"):
        parse_mix(f"x={before}{term}")


def test_a_gain_far_below_hearing_is_none() -> None:
    assert parse_mix("x=bass+vocals@-99999dB").gains == {"bass": 1.0}


@dataclass(frozen=True)
class Term:
    """One term: as it may be written, and what it counts."""

    source: str
    gain: float
    text: str


@st.composite
def _terms(draw: st.DrawFn) -> Term:
    source = draw(st.sampled_from(["drums", "bass", "other", "vocals", "mixture", "lead vocals", "back-up", "Ünï_1"]))
    quoted = draw(st.booleans()) or not source.replace("_", "").isalnum()
    space = st.sampled_from(["", " ", "  "])
    sign = draw(st.sampled_from(["+", "-"]))
    name = f'"{source}"' if quoted else source
    hundredths = draw(st.integers(-9_999, 9_999)) / 100
    match draw(st.sampled_from(["plain", "factor", "decibels"])):
        case "factor":
            gain, text = hundredths, f"*{draw(space)}{hundredths:.2f}"
        case "decibels":
            decibels = hundredths / 3  # -33 to 33
            gain, text = 10 ** (round(decibels, 3) / 20), f"@{draw(space)}{decibels:+.3f}{draw(space)}dB"
        case _:
            gain, text = 1.0, ""
    gap = draw(space)
    return Term(source, -gain if sign == "-" else gain, f"{sign}{draw(space)}{name}{gap}{text}{draw(space)}")


@given(
    name=st.from_regex(r"[A-Z][A-Za-z0-9 _-]{0,20}[a-z]", fullmatch=True),
    terms=st.lists(_terms(), min_size=1, max_size=10),
)
def test_any_expression_is_read_as_it_was_written(name: str, terms: list[Term]) -> None:
    gains: dict[str, float] = {}
    for term in terms:
        gains[term.source] = gains.get(term.source, 0.0) + term.gain
    mix = parse_mix(f"{name}={''.join(term.text for term in terms)}")
    assert mix.name == name
    assert {source: mix.gains.get(source, 0.0) for source in gains} == pytest.approx(gains, rel=1e-9, abs=1e-9)
    assert mix.gains.keys() <= gains.keys()
    assert all(mix.gains.values())


@given(text=st.text(alphabet='ab"*+-@.=1dB \t\n', max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(UsageError):
        mix = parse_mix(text)
        assert mix.name
        assert all(isfinite(gain) and gain for gain in mix.gains.values())
