"""
Recipes in files: TOML with the sections of `recipe.py`, read from the package or from the user's own.

`extends = "htdemucs"` takes over another recipe, by its name in the package or its file.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from difflib import get_close_matches
from importlib.resources import files
from itertools import takewhile
from math import isfinite
from pathlib import Path
from typing import Any

from stemsplit.errors import UsageError
from stemsplit.training.recipe import Augment, Averages, Data, Network, Optimizer, Recipe, Training

_SECTIONS: Mapping[str, type[Any]] = {
    "data": Data,
    "network": Network,
    "augment": Augment,
    "optimizer": Optimizer,
    "training": Training,
    "averages": Averages,
}


def read_recipe(name: str, settings: Iterable[str] = ()) -> Recipe:
    """
    A recipe of the package by its name, or one from a file.

    Args:
        name: such as "htdemucs", or a path that ends in .toml.
        settings: "key=value", or "section.key=value" where several sections have the key; values as in TOML, quotes
            left out where that is clear.

    Raises:
        UsageError: for a recipe that is not there or does not read, and for unknown keys or unfitting values.
    """
    path = Path(name)
    table = _tables(name, ())
    called = table.pop("name", path.stem if path.suffix == ".toml" else name)
    if not isinstance(called, str) or not called:
        raise UsageError(f"The recipe {name}: its name must be a word, not {called!r}.")
    for section, content in table.items():
        if not isinstance(content, dict):
            raise UsageError(f"The recipe {name}: {section} must be a section, [{section}].")
    for setting in settings:
        section, key, value = _setting(setting)
        table.setdefault(section, {})[key] = value
    return _recipe(called, table)


def to_toml(recipe: Recipe) -> str:
    """The whole recipe, which reads back as an equal one."""
    lines = [f"name = {_toml(recipe.name)}"]
    for section in _SECTIONS:
        lines += ["", f"[{section}]"]
        lines += [f"{key} = {_toml(value)}" for key, value in asdict(getattr(recipe, section)).items()]
    lines += ["", "[loss]", *(f"{_toml(source)} = {_toml(weight)}" for source, weight in recipe.loss.items())]
    return "\n".join(lines) + "\n"


def preset_names() -> list[str]:
    """The recipes of the package."""
    return sorted(entry.name.removesuffix(".toml") for entry in _presets().iterdir() if entry.name.endswith(".toml"))


def _recipe(name: str, table: Mapping[str, Any]) -> Recipe:
    sections: dict[str, Any] = {}
    for section, content in table.items():
        if section not in (*_SECTIONS, "loss") or not isinstance(content, Mapping):
            raise UsageError(_unknown(name, section, [*_SECTIONS, "loss"]))
        sections[section] = _loss(name, content) if section == "loss" else _section(name, section, content)
    return Recipe(name=name, **sections)


def _presets() -> Any:
    return files("stemsplit.training") / "recipes"


def _tables(name: str, seen: tuple[str, ...]) -> dict[str, Any]:
    """What a recipe says, laid over what the one says that it extends."""
    place = str(Path(name).resolve()) if name.endswith(".toml") else name
    if place in seen:
        raise UsageError(f"The recipe {name} extends itself.")
    try:
        if name.endswith(".toml"):
            text = Path(name).read_text(encoding="utf-8-sig")
        elif name in preset_names():
            text = (_presets() / f"{name}.toml").read_text(encoding="utf-8")
        else:
            close = get_close_matches(name, preset_names(), n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            raise UsageError(
                f"There is no recipe {name!r}: it is none of {', '.join(preset_names())}, and no file.toml.{hint}"
            )
        table = tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"The recipe {name} cannot be read: {reason}.") from error
    parent = table.pop("extends", None)
    if parent is None:
        return table
    below = str(parent)
    if below.endswith(".toml") and name.endswith(".toml"):
        below = str(Path(name).parent / below)
    merged = _tables(below, (*seen, place))
    merged.pop("name", None)
    for section, content in table.items():
        is_table = isinstance(content, dict) and isinstance(merged.get(section), dict)
        merged[section] = merged[section] | content if is_table else content
    return merged


def _setting(text: str) -> tuple[str, str, Any]:
    key, equals, given = text.partition("=")
    key, given = key.strip(), given.strip()
    if not equals or not key:
        raise UsageError(f"--set {text}: write key=value, such as batch_size=8.")
    section, dot, name = key.rpartition(".")
    # `epoch` alone is rather meant for `epochs` than for the averages of that name.
    plain = {home: kind for home, kind in _SECTIONS.items() if dot or kind is not Averages}
    homes = [home for home, kind in plain.items() if any(entry.name == name for entry in fields(kind))]
    if dot and section not in (*_SECTIONS, "loss"):
        raise UsageError(_unknown("--set", key, [*_SECTIONS, "loss"]))
    if not dot and len(homes) > 1:
        raise UsageError(f"--set {text}: {key} is in {' and '.join(homes)}. Write {homes[0]}.{key}.")
    if not dot and not homes:
        known = [entry.name for kind in plain.values() for entry in fields(kind)]
        raise UsageError(_unknown("--set", key, known))
    return section or homes[0], name, _value(given)


def _value(text: str) -> Any:
    """As TOML reads it, and where that fails as a word."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def _section(recipe: str, section: str, content: Mapping[str, Any]) -> Any:
    kind = _SECTIONS[section]
    known = {entry.name: entry.default for entry in fields(kind)}
    values = {}
    for key, value in content.items():
        if key not in known:
            raise UsageError(_unknown(recipe, f"{section}.{key}", [f"{section}.{name}" for name in known]))
        values[key] = _fitting(f"{recipe}: {section}.{key}", value, known[key])
    return kind(**values)


def _loss(recipe: str, content: Mapping[str, Any]) -> dict[str, float]:
    return {source: _fitting(f"{recipe}: loss.{source}", weight, 1.0) for source, weight in content.items()}


def _fitting(what: str, value: Any, example: Any) -> Any:
    """The value, if it is of the kind of the default."""
    if isinstance(example, tuple) and isinstance(value, str):
        value = [_value(part.strip()) for part in value.split(",")]
    if isinstance(example, tuple) and isinstance(value, list):
        return tuple(_fitting(what, part, example[0]) for part in value)
    if isinstance(example, tuple):
        return (_fitting(what, value, example[0]),)
    if isinstance(example, float) and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1e300:
        return float(value)
    if type(value) is not type(example) or (isinstance(value, float) and not isfinite(value)):
        kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "a word", tuple: "a list"}
        raise UsageError(f"{what} must be {kinds[type(example)]}, not {value!r}.")
    return value


def _unknown(recipe: str, key: str, known: Iterable[str]) -> str:
    names = list(known)
    close = get_close_matches(key, names, n=1, cutoff=0.5)
    return f"{recipe}: {key} is unknown. " + (f"Did you mean {close[0]}?" if close else f"Known: {', '.join(names)}.")


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(part) for part in value)}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # the one sign JSON leaves as it is


def settings_of(settings: Iterable[str], section: str) -> dict[str, Any]:
    """What `--set` says about a section, by key."""
    return {key: value for home, key, value in map(_setting, settings) if home == section}


def describe_presets() -> dict[str, str]:
    """What each recipe of the package is for: the comment at its head."""
    described = {}
    for name in preset_names():
        lines = (_presets() / f"{name}.toml").read_text(encoding="utf-8").splitlines()
        described[name] = " ".join(line.lstrip("# ") for line in takewhile(lambda line: line.startswith("#"), lines))
    return described
