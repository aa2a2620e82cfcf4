"""
Syllables to sing, in eSpeak NG's phoneme notation: consonants, a stress mark, a vowel, consonants.

A syllable needs no meaning here; what counts is that vowels, consonants and their order vary as they do in songs.
"""

from dataclasses import dataclass

from numpy.random import Generator

# Rime (vowel and what follows it) to the onsets (consonants before it) that it is sung with.
_OPEN = {
    "eI": "d g h l m p pl r s sk str st tS w b",
    "aI": "b f fl g h k kr l m s sk sl tr D w n sp S",
    "oU": "f fl g gr l n s sl sn S D w t k r #",
    "i:": "b f k m s S w t tr D fr n l p gl",
    "u:": "b bl d f gl k m n s sk T tr t w j",
    "O:": "d f fl l m p s S st w k b",
    "A:": "f k b st l n d m r h # w",
    "aU": "h n k b pl D v br w",
    "3:": "h f st b p w l T",
    "a:": "l n d m h # b w j p f t",
    "OI": "b dZ t k",
}
_CLOSED = {
    "aIt": "n f l r br s w b m",
    "aIm": "t m r kr kl",
    "aInd": "m f bl k b",
    "Vv": "l d gl S",
    "Vm": "s k dr n",
    "Vn": "s r w d g n",
    "eIn": "r p tS tr pl g",
    "eIk": "m t br S w f st",
    "Il": "f st w k sp tS",
    "iN": "r s br sw st k T",
    "i:l": "f h r st",
    "i:m": "dr s b g str",
    "i:p": "d k sl s w",
    "i:t": "b f h s str m sw",
    "oUn": "k l st f gr b",
    "oUld": "g h k s t #",
    "oUz": "r kl g tS D",
    "O:l": "k f t w b h #",
    "O:n": "d g l sp",
    "u:m": "r gl bl z",
    "u:n": "m s sp t dZ",
    "A:rt": "h st p",
    "A:r": "st k f b",
    "Ed": "b h r s tS",
    "El": "f h s t w b sp",
    "En": "D p w t",
    "Est": "b tS r w t",
    "and": "h l s st b gr",
    "an": "k m p r b",
    "ak": "b bl k l tr",
    "ast": "f l p",
    "aUn": "d t kr br",
    "aUnd": "s r gr f",
}
_LIGHT = ("D'@", "j'u:", "'aI", "m'aI", "'In", "'O:n", "'and", "'It", "t'u:", "'@", "w'I", "b'Vt", "'Iz", "f'O:", "'Vv")
_HOOKS = (
    ("l'a:",),
    ("n'a:",),
    ("'u:",),
    ("'A:",),
    ("w'oU",),
    ("'oU",),
    ("h'eI",),
    ("j'e:",),
    ("d'u:",),
    ("b'a:", "d'a:"),
    ("S'a:", "l'a:"),
    ("n'a:", "n'a:", "h'eI"),
    ("'u:", "l'a:"),
    ("d'u:", "w'A:"),
    ("h'eI", "j'e:"),
    ("'oU", "w'oU"),
)


_OWN = 12  # open syllables of a song, and as many closed ones: more take longer to analyse than to sing


def _joined(rimes: dict[str, str]) -> tuple[str, ...]:
    """Every onset with its rime, a stress mark between them; # stands for no onset."""
    return tuple(f"{onset.strip('#')}'{rime}" for rime, onsets in rimes.items() for onset in onsets.split())


OPEN_SYLLABLES = _joined(_OPEN)
CLOSED_SYLLABLES = _joined(_CLOSED)
SYLLABLES = tuple(dict.fromkeys((*OPEN_SYLLABLES, *CLOSED_SYLLABLES, *_LIGHT, *(s for hook in _HOOKS for s in hook))))


@dataclass(frozen=True, slots=True)
class Words:
    """The syllables of one song, few enough to come again: with an open vowel, and closed by a consonant."""

    open: tuple[str, ...]
    closed: tuple[str, ...]

    def phrase(self, random: Generator, count: int) -> tuple[str, ...]:
        """Syllables of one phrase: a repeated hook, or a mixture that mostly ends on an open vowel."""
        if random.random() < 0.18:
            hook = _HOOKS[random.integers(len(_HOOKS))]
            return tuple(hook[number % len(hook)] for number in range(count))
        syllables: list[str] = []
        for number in range(count):
            is_last = number == count - 1
            light = 0.0 if is_last or (syllables and syllables[-1] in _LIGHT) else 0.35
            closed = 0.25 if is_last else 0.5
            kind = _LIGHT if random.random() < light else self.closed if random.random() < closed else self.open
            syllables.append(kind[random.integers(len(kind))])
        return tuple(syllables)


def words(random: Generator) -> Words:
    """The syllables of a new song."""
    return Words(
        tuple(random.choice(OPEN_SYLLABLES, _OWN, replace=False).tolist()),
        tuple(random.choice(CLOSED_SYLLABLES, _OWN, replace=False).tolist()),
    )
