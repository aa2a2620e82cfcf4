"""
Names of outputs: `--name` templates, and names that every file system takes.

Which input gets which name is decided in plan.py. A name is safe on Linux, macOS, Windows and exFAT alike, so that a
folder of stems can be moved between them: see `_tidy` for what is replaced, and the constants for how long it may be.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from string import Formatter

from stemsplit.errors import UsageError

FIELDS = ("track", "stem", "model", "artist", "title", "album", "folder")

_STEM = "\0"  # stands where the stem's name goes; no safe text holds it
_FORBIDDEN = frozenset('<>:"/\\|?*')
_JOINERS = frozenset("\u200c\u200d")  # invisible, but Persian words and many emoji are written with them
# What Windows takes for a device, whatever follows the first dot (Python's ntpath.isreserved has the same list).
_DEVICES = frozenset(
    ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", *(kind + n for kind in ("COM", "LPT") for n in "123456789¹²³")]
)

# Bytes of UTF-8, which are at least as many as Windows's units of UTF-16.
_COMPONENT = 255
_NAME = 240  # leaves 15 for an extension, so that ".wav", ".stem.mp4" or ".json" cut no name short
_STEM_SHARE = 64  # kept free for the stem's name, so that all stems of a track show the same part of a long name
_LITERAL = 100  # a template's own text, so that there is room for what tells tracks apart

_EMPTIED_BRACKETS = re.compile(rf"\( *{_STEM} *\)|\[ *{_STEM} *\]|\{{ *{_STEM} *\}}")
_GAP_AT_END = re.compile(rf"[ _{_STEM}-]*{_STEM}[ _{_STEM}-]*$")
_GAP = re.compile(rf"{_STEM}[ _{_STEM}-]*")


@dataclass(frozen=True)
class NameTemplate:
    """
    What `--name` says: a path below the output folder, with fields in braces; `{{` and `}}` are braces themselves.

    Raises:
        UsageError: for text that is no such path.
    """

    text: str = "{track}/{stem}"

    def __post_init__(self) -> None:
        if not self.text.strip(" /"):
            raise UsageError(f"--name is empty. Write a template such as {NameTemplate.text}.")
        if self.text.startswith("/"):
            raise UsageError(f"--name {self.text!r} starts with a slash. Leave it out, and say with -o where to write.")
        for component in self._components:
            self._check(component)

    @property
    def fields(self) -> frozenset[str]:
        """The fields that are used: whether tags are needed, and whether stems get files of their own."""
        return frozenset(field for component in self._components for _, field in _parsed(component) if field)

    def expand(
        self, values: Mapping[str, str], *, tree: Sequence[str] = (), distinct: bool = False, ending: str = ""
    ) -> "TrackName":
        """
        Fill in everything but the stem.

        Args:
            values: the text of every other field that is used, and of "track".
            tree: folders that go before the component with {track}; a template without it is a tree of its own.
            distinct: add the track to a template that does not name it.
            ending: put behind every {track}, and there even where a long name is cut.
        """
        components = self._components_with_track if distinct else self._components
        clean = {field: _clean(value) for field, value in values.items()}
        filled = [_filled(component, clean, ending) for component in components]
        named = [at for at, component in enumerate(self._components) if "track" in _fields(component)]
        if named:
            filled[named[0] : named[0]] = [_fitted("", _clean(folder), _NAME) for folder in tree]
        track = _fitted(clean["track"], ending, _NAME)
        return TrackName(tuple(filter(None, filled)) or (track,), track)

    @property
    def _components(self) -> list[str]:
        return [component for component in self.text.split("/") if component]

    @property
    def _components_with_track(self) -> list[str]:
        """Where the track is added: to the folder around the stems if there is one, else to the file."""
        components = self._components
        if "track" not in self.fields:
            files = [at for at, component in enumerate(components) if "stem" in _fields(component)]
            components[max(files[-1] - 1, 0) if files else -1] += " {track}"
        return components

    def _check(self, component: str) -> None:
        if component in (".", ".."):
            raise UsageError(f"--name {self.text!r} has a folder {component!r}. Leave it out: names go below -o.")
        try:
            parts = list(Formatter().parse(component))
        except ValueError as error:
            raise UsageError(
                f"--name {self.text!r} has braces that enclose no field. Write fields as {{track}}, and {{{{ or }}}} "
                "for a brace itself."
            ) from error
        for _, field, form, conversion in parts:
            if field is not None and field not in FIELDS:
                known = ", ".join(f"{{{name}}}" for name in FIELDS)
                raise UsageError(f"--name {self.text!r}: {{{field}}} is no field. Use {known}.")
            if form or conversion:
                raise UsageError(f"--name {self.text!r}: a field is its name alone. Write {{{field}}}.")
        if sum(_size(literal) for literal, _ in _parsed(component)) > _LITERAL:
            raise UsageError(
                f"--name {self.text!r} has more than {_LITERAL} bytes of its own text between two slashes. Shorten it."
            )


@dataclass(frozen=True)
class TrackName:
    """
    A template in which everything but the stem is filled in; all paths are relative to the output folder.

    Attributes:
        components: of the path, safe, with a mark where the stem's name goes.
        track: the track, safe: its name where the template has nothing but the stem.
    """

    components: tuple[str, ...]
    track: str

    @cached_property
    def place(self) -> str:
        """What the track has for itself: its path without the stem; empty where tracks share the folder they are in."""
        return "/".join(filter(None, map(_without_stem, self.components)))

    @cached_property
    def name(self) -> str:
        """The track's name: "song", "htdemucs/song", "Artist - Title"."""
        return self.place or self.track

    def path(self, stem: str, extension: str) -> Path:
        """Where a stem goes; `extension` is one like ".wav"."""
        *folders, file = self.components
        return Path(*(_with_stem(folder, stem) for folder in folders), _with_stem(file, stem, extension))

    def file(self, extension: str) -> Path:
        """Where the one file goes that there is per track: "song.stem.mp4"."""
        *folders, file = self.name.split("/")
        return Path(*folders, _with_stem(file, "", extension))


def folded(name: str) -> str:
    """The same for names that differ in case or Unicode form only, which many file systems do not tell apart."""
    return unicodedata.normalize("NFC", name).casefold()


def _parsed(component: str) -> list[tuple[str, str | None]]:
    """Literal text, safe, and the field that follows it if one does."""
    return [(_clean(literal), field) for literal, field, _, _ in Formatter().parse(component)]


def _fields(component: str) -> list[str]:
    return [field for _, field in _parsed(component) if field]


def _filled(component: str, values: Mapping[str, str], ending: str) -> str:
    """A component with its values, of which the longest are cut where they do not fit."""
    fields = _fields(component)
    room = _NAME - sum(_size(literal) for literal, _ in _parsed(component)) - fields.count("track") * _size(ending)
    if "stem" in fields:
        room -= _STEM_SHARE
    sizes = [_size(values[field]) for field in fields if field != "stem"]
    most = next((most for most in range(_NAME, 0, -1) if sum(min(size, most) for size in sizes) <= room), 0)
    kept = {field: _cut(value, most) for field, value in values.items()} | {"stem": _STEM}
    kept["track"] += ending
    text = "".join(literal + (kept[field] if field else "") for literal, field in _parsed(component))
    return _fitted("", text, _NAME) if text else ""


def _with_stem(component: str, stem: str, extension: str = "") -> str:
    """What stands before the stem's name is cut first if it is too long, then what follows it."""
    before, mark, after = component.rpartition(_STEM)
    stem = _clean(stem)
    room = _COMPONENT - _size(extension)
    return _fitted(before.replace(_STEM, stem), (stem if mark else "") + after, room) + extension


def _without_stem(component: str) -> str:
    """The component without what only made sense around the stem's name: "Title" for "Title (…)"."""
    if _STEM not in component:
        return component
    text = _EMPTIED_BRACKETS.sub(_STEM, component)
    text = _GAP.sub("", _GAP_AT_END.sub("", text))
    return _tidy(text) if text else ""


def _clean(text: str) -> str:
    """The text with every character replaced that some file system refuses, or that nobody can see."""
    return "".join(character if _is_safe(character) else "_" for character in text)


def _is_safe(character: str) -> bool:
    if character.isprintable():
        return character not in _FORBIDDEN
    return character in _JOINERS or unicodedata.category(character) == "Zs"  # no-break, ideographic and other spaces


def _tidy(text: str) -> str:
    """
    A whole component, safe as such.

    Windows drops dots and spaces at the end, and opens a device where a file has its name; spaces at the start are
    not seen; a dot at the start hides a file, and `.stemsplit` is ours.
    """
    text = text.lstrip(" ").rstrip(". ")
    if text.startswith("."):
        text = "_" + text[1:]
    device, dot, rest = text.partition(".")
    if device.rstrip(" ").upper() in _DEVICES:
        text = f"{device.rstrip(' ')}_{dot}{rest}"
    return text or "_"


def _fitted(before: str, after: str, room: int) -> str:
    """The component `before + after`, tidy, in at most `room` bytes; `before` gives way first."""

    def tidy(room: int) -> str:
        kept = _cut(after, room)
        return _tidy(_cut(before, room - _size(kept)) + kept)

    text = tidy(room)
    return text if _size(text) <= room else tidy(room - 1)  # a device's name has become longer by one


def _cut(text: str, most: int) -> str:
    """As many of the first characters as fit into `most` bytes."""
    return text.encode()[:most].decode(errors="ignore")


def _size(text: str) -> int:
    return len(text.encode())


DEFAULT_TEMPLATE = NameTemplate()
