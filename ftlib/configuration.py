"""YAML files to checked objects: built-in ones by name or a user's own by path, with errors that say the place and the nearest valid word."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar, get_origin, get_type_hints

import msgspec
import yaml

from ftlib.errors import ProfileError

T = TypeVar("T")


class Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A part of a YAML file: unknown keys and wrong types are errors."""


def builtin_names(folder: str) -> list[str]:
    """Names of the YAML files that ftlib brings in one of its data folders (profiles, recipes, tasks, prices)."""
    return sorted(p.name.removesuffix(".yaml") for p in resources.files("ftlib").joinpath(folder).iterdir() if p.name.endswith(".yaml"))


def read_yaml(name: str, folder: str, kind: str) -> tuple[Any, str]:
    """Read a built-in YAML file by name, or a user's by path; returns its content and where it came from.

    Raises ProfileError naming the nearest built-in where there is no such file, and the line where it does not parse.
    """
    if name in builtin_names(folder):
        text, where = resources.files("ftlib").joinpath(folder, f"{name}.yaml").read_text("utf-8"), f"{kind} {name}"
    elif is_file(name):
        try:
            text, where = Path(name).read_text("utf-8"), name
        except UnicodeDecodeError as error:
            raise ProfileError(f"{name} is not UTF-8 text ({error}).") from error
    else:
        other = next((f" (did you mean {path!r}?)" for path in _spelt_otherwise(name) if is_file(path)), "")
        raise ProfileError(f"There is no {kind} {name!r}: no file of that name{other}, and not built in{nearest(name, builtin_names(folder))}.")
    try:
        return yaml.safe_load(text), where
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that is none
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ProfileError(f"{where}{line}: not valid YAML ({getattr(error, 'problem', error)}).") from error


def _spelt_otherwise(name: str) -> list[str]:
    """A file's name with each of YAML's two endings."""
    stem = re.sub(r"\.ya?ml$", "", name)
    return [f"{stem}.yaml", f"{stem}.yml"]


def is_file(name: str) -> bool:
    """Whether a text names a file; one that no system takes for a path (too long, a NUL in it) does not."""
    try:
        return Path(name).is_file()
    except (OSError, ValueError):
        return False


def nearest(word: str, choices: Sequence[str]) -> str:
    """A tail for an error message: the nearest valid word, and all there are."""
    close = difflib.get_close_matches(word, choices, n=1)
    return f" ({f'did you mean {close[0]!r}? ' if close else ''}there are: {', '.join(choices)})"


def convert(value: Any, kind: type[T], where: str) -> T:
    """A checked object from plain YAML values. Raises ProfileError with the place, the key and the nearest valid one."""
    try:
        return msgspec.convert(numbers(value), kind)
    except msgspec.ValidationError as error:
        raise ProfileError(f"{where}: {_explain(str(error), kind)}.") from None


def numbers(value: Any) -> Any:
    """YAML 1.1 reads ``2e-4`` as a text; make such texts the numbers that everybody means."""
    if isinstance(value, dict):
        return {str(key): numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [numbers(item) for item in value]
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+", value):
        return float(value)
    return value


def _explain(message: str, kind: type[Any]) -> str:
    """msgspec's sentence with the place as a user writes it, and the nearest valid key."""
    text, _, place = message.partition(" - at ")
    place = place.strip("`").removeprefix("$").lstrip(".")
    unknown = re.search(r"unknown field `([^`]*)`", text)
    if unknown:
        inside = f"{place}." if place else ""
        return f"unknown key {inside}{unknown[1]}{nearest(unknown[1], _keys_at(kind, place))}"
    text = text.replace("`", "").replace("Object missing required field", "missing key")
    words = {"array": "a list", "object": "a mapping", "str": "a text", "int": "a whole number", "float": "a number", "bool": "true or false"}
    for theirs, ours in words.items():
        text = re.sub(rf"\b{theirs}\b", ours, text)
    text = text.replace(" | ", " or ").replace(" or null", " or nothing").replace("a whole number or a number", "a number")
    if text.startswith("Invalid enum value"):
        hint = get_type_hints(_struct_at(kind, place.rpartition(".")[0]))[place.rpartition(".")[2].partition("[")[0]]
        allowed = [str(word) for word in getattr(hint.__args__[0] if get_origin(hint) is list else hint, "__args__", ())]
        return f"{place}: {text[0].lower() + text[1:]} (there are: {', '.join(allowed)})"
    return f"{place}: {text[0].lower() + text[1:]}" if place else text[0].lower() + text[1:]


def _keys_at(kind: Any, place: str) -> list[str]:
    return [f.name for f in msgspec.structs.fields(_struct_at(kind, place))]


def _struct_at(kind: Any, place: str) -> Any:
    """The part of ``kind`` that a msgspec path such as ``contestants[...].lora`` names."""
    for part in [p for p in re.sub(r"\[[^\]]*\]", "", place).split(".") if p]:
        hints = {f.name: f.type for f in msgspec.structs.fields(kind)}
        inner = hints.get(part)
        candidates = [inner, *getattr(inner, "__args__", ())]
        kind = next((c for c in candidates if isinstance(c, type) and issubclass(c, msgspec.Struct)), kind)
    return kind
