"""What a user may ask for: sources, an instrumental, songs without something, mixes, the residual."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from stemsplit.audio.quantise import MIXTURE
from stemsplit.errors import UnknownSourceError, UsageError
from stemsplit.separation.mixdown import Mixdown, Stem
from stemsplit.weights.definition import SOURCE_NAME

VOCALS, INSTRUMENTAL, RESIDUAL, WITHOUT = "vocals", "instrumental", "residual", "no_"

_MAX_FACTOR = 1000.0  # 60 dB
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
_TERM = re.compile(
    rf"""\s*(?P<sign>[+-])?\s*
    (?:"(?P<quoted>[^"]+)"|(?P<plain>\w+))\s*
    (?:\*\s*(?P<factor>{_NUMBER})|@\s*(?P<decibels>{_NUMBER})\s*dB)?\s*""",
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True)
class Mix:
    """A stem of the user's own making: its name, and the gains of sources and "mixture" in it."""

    name: str
    gains: Mapping[str, float]


def parse_mix(text: str) -> Mix:
    """
    Read "NAME=vocals*0.5+bass@-3dB": sources or "mixture", added or subtracted, with gains as factors or in dB.

    A source whose name is more than letters, digits and _ stands in double quotes.

    Raises:
        UsageError: for what is no such expression, or a name that is reserved or no file could have.
    """
    name, _, expression = (part.strip() for part in text.partition("="))
    if not SOURCE_NAME.fullmatch(name):
        raise UsageError(
            f"--mix {text!r}: a mix is NAME=SOURCE*FACTOR+SOURCE@GAINdB, such as practice=drums+bass*0.5+vocals@-6dB, "
            "and its name has letters, digits, spaces, _ and -."
        )
    if is_reserved(name):
        raise UsageError(f"--mix {text!r}: the name {name} is reserved{_remedy(name)}. Choose another name.")
    if not expression:
        raise UsageError(
            f"--mix {text!r}: nothing is in it. Write terms such as bass or bass*0.5, and quotes around the whole: "
            f'--mix "{name}=drums+bass*0.5".'
        )
    gains: dict[str, float] = {}
    position = 0
    while position < len(expression):
        term = _TERM.match(expression, position)
        if term is None or (position and not term["sign"]):
            raise UsageError(
                f"--mix {text!r}: cannot read {expression[position:]!r}. Write terms such as bass, bass*0.5 or "
                'bass@-3dB with + or - between them, and names with spaces or - in double quotes ("lead vocals").'
            )
        source = term["quoted"] or term["plain"]
        gains[source] = gains.get(source, 0.0) + _gain(term)
        position = term.end()
    for source, gain in gains.items():
        if not abs(gain) <= _MAX_FACTOR:  # so that no number is refused as well
            raise UsageError(f"--mix {text!r}: {source} is louder than {_MAX_FACTOR:.0f} times (60 dB).")
    return Mix(name, {source: gain for source, gain in gains.items() if gain})


def _gain(term: re.Match[str]) -> float:
    gain = 10 ** (min(float(term["decibels"]), 999) / 20) if term["decibels"] else float(term["factor"] or 1)
    return -gain if term["sign"] == "-" else gain


def is_reserved(name: str) -> bool:
    """Whether a stem of this name means something of its own."""
    return name in (MIXTURE, RESIDUAL, INSTRUMENTAL) or name.startswith(WITHOUT)


def _remedy(name: str) -> str:
    """The option that makes a reserved stem."""
    if name == INSTRUMENTAL:
        return " (--karaoke writes it)"
    if name == RESIDUAL:
        return " (--residual writes it)"
    if name.startswith(WITHOUT):
        return f" (--drop {name.removeprefix(WITHOUT) or 'STEM'} writes it)"
    return " (it is the song itself, a term of --mix)"


@dataclass(frozen=True)
class Selection:
    """
    The stems that are wanted of every song; with nothing said, all sources.

    Attributes:
        stems: these sources.
        karaoke: instrumental and vocals.
        two_stems: this source, and all the rest as no_SOURCE.
        drop: one stem without any of these sources.
        mixes: see `parse_mix`.
        sum: make instrumental and no_SOURCE by adding the other sources, not by subtracting from the mixture.
        residual: also what is in the mixture but in none of the sources written.

    Raises:
        UsageError: for what does not go together.
    """

    stems: tuple[str, ...] = ()
    karaoke: bool = False
    two_stems: str | None = None
    drop: tuple[str, ...] = ()
    mixes: tuple[Mix, ...] = ()
    sum: bool = False
    residual: bool = False

    def __post_init__(self) -> None:
        derived = self.karaoke or self.two_stems is not None or bool(self.drop)
        if self.residual and (derived or self.mixes):
            raise UsageError(
                "--residual is the mixture less the sources written: it goes with --stems or alone, not with "
                "--karaoke, --two-stems, --drop or --mix."
            )
        if self.sum and not derived:
            raise UsageError("--sum says how --karaoke, --two-stems or --drop are made: name one of them.")
        if self.two_stems is not None and not self.two_stems.strip():
            raise UsageError("--two-stems names no stem: write one, such as --two-stems vocals.")
        names = [mix.name for mix in self.mixes]
        for name in names:
            if names.count(name) > 1:
                raise UsageError(f"--mix: two mixes are called {name}. Give each its own name.")

    @property
    def is_everything(self) -> bool:
        """Whether nothing is said but perhaps `residual`: all sources."""
        return not (self.stems or self.karaoke or self.two_stems is not None or self.drop or self.mixes)

    def mixdown(self, sources: Sequence[str], separated: Sequence[str] | None = None) -> Mixdown:
        """
        The stems, for a model of `sources`; all of them, where nothing else is said, are those `separated`.

        Raises:
            UnknownSourceError: for a source that the model does not have.
            UsageError: for a stem that would have the name of another.
        """
        sums = self._derived(sources)
        everything = sources if separated is None else separated
        wanted = set(everything) if self.is_everything else {*self.stems, *self._beside()}
        _check_known([*self.stems, *self._beside()], sources)
        plain = [Stem(source, {source: 1.0}) for source in sources if source in wanted]
        if self.residual:
            sums.append(Stem(RESIDUAL, {MIXTURE: 1.0, **{stem.name: -1.0 for stem in plain}}))
        stems = {stem.name: stem for stem in plain}
        for stem in sums:
            if stem.name in sources:
                raise UsageError(f"The model has a source {stem.name} of its own: use --stems {stem.name} for that.")
            if stems.setdefault(stem.name, stem) != stem:
                raise UsageError(
                    f"Two stems would be called {stem.name}: make them in two runs, with another --output."
                )
        used = {name for stem in stems.values() for name in stem.gains}
        return Mixdown(tuple(stems.values()), tuple(source for source in sources if source in used))

    def _beside(self) -> list[str]:
        """Sources that are written beside what is made with them."""
        return [*([VOCALS] if self.karaoke else []), *([] if self.two_stems is None else [self.two_stems])]

    def _derived(self, sources: Sequence[str]) -> list[Stem]:
        stems = []
        if self.karaoke:
            stems.append(self._without([VOCALS], INSTRUMENTAL, sources))
        if self.two_stems is not None:
            stems.append(self._without([self.two_stems], f"{WITHOUT}{self.two_stems}", sources))
        if self.drop:
            _check_known(self.drop, sources)
            dropped = [source for source in sources if source in self.drop]
            stems.append(self._without(dropped, WITHOUT + "_".join(dropped), sources))
        for mix in self.mixes:
            _check_known([name for name in mix.gains if name != MIXTURE], sources)
            if not any(name != MIXTURE for name in mix.gains):
                raise UsageError(f"--mix {mix.name}: has no source in it, so there is nothing to separate.")
            stems.append(Stem(mix.name, mix.gains))
        return stems

    def _without(self, taken: Sequence[str], name: str, sources: Sequence[str]) -> Stem:
        _check_known(taken, sources)
        if not self.sum:
            return Stem(name, {MIXTURE: 1.0, **dict.fromkeys(taken, -1.0)})
        others = [source for source in sources if source not in taken]
        if not others:
            raise UsageError(f"{name}: nothing is left to add up. Leave --sum out, or drop fewer sources.")
        return Stem(name, dict.fromkeys(others, 1.0))


ALL = Selection()


def bundled(sources: Sequence[str]) -> Mixdown:
    """
    What `stem.mp4` holds: the mixture, drums, bass, other, vocals; further sources are added into other.

    Raises:
        UsageError: for a model that does not separate these four.
    """
    four = ("drums", "bass", "other", "vocals")
    if not set(four) <= set(sources):
        raise UsageError(
            f"stem.mp4 holds {', '.join(four)}, and the model has {', '.join(sources)}. Choose another model or format."
        )
    gains = {name: {name: 1.0} for name in four}
    gains["other"] |= {source: 1.0 for source in sources if source not in four}
    stems = [Stem(MIXTURE, {MIXTURE: 1.0}), *(Stem(name, gains[name]) for name in four)]
    return Mixdown(tuple(stems), tuple(sources))


def _check_known(wanted: Sequence[str], sources: Sequence[str]) -> None:
    unknown = [name for name in wanted if name not in sources]
    if unknown:
        told = ", ".join(name + (_remedy(name) if is_reserved(name) else "") for name in unknown)
        near = get_close_matches(unknown[0].lower(), sources, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        if re.fullmatch(r"\d+dB", unknown[0], re.IGNORECASE):
            hint = f" A gain in dB stands behind @, such as {sources[0]}@-{unknown[0]}."
        raise UnknownSourceError(f"The model does not separate {told}; it has {', '.join(sources)}.{hint}")
