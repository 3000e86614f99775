"""A run: one comparison, one folder with everything that went in and came out.

A step names its inputs, settings and outputs; it is skipped when none of them has changed since it was last finished,
and says why it runs when one has. The manifest is written last, so its being there means that the run is whole.
"""

from __future__ import annotations

import logging
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

import ftlib
from ftlib.drive import pull_run, push, there
from ftlib.errors import DataError, ProfileError
from ftlib.files import read_json, sha256_file, write_atomic, write_json
from ftlib.lock import lock
from ftlib.profile import Contestant, Profile, dump_profile, load_profile

log = logging.getLogger("ftlib")
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass
class Step:
    """One step of a run, as ``Run.step`` yields it.

    ``needed`` says whether to do the work, ``reason`` why; ``note`` takes small facts for the record.
    """

    name: str
    needed: bool
    reason: str
    note: dict[str, Any] = field(default_factory=dict)


class StepNeeded(Exception):
    """Raised by ``Run.step`` while the run is only being looked at: this step is not up to date."""


class Run:
    """A run folder and the profile it holds.

    With ``only_look`` true nothing is done: a step that would run raises StepNeeded instead, so that a caller can learn
    whether a room is up to date without starting it.
    """

    def __init__(self, path: Path, profile: Profile) -> None:
        self.path = path
        self.profile = profile
        self.only_look = False
        self._skipped: list[str] | None = None  # collected, not told one by one

    @classmethod
    def create(cls, path: Path | str, profile: Profile, *, take_over: bool = False) -> Run:
        """Open the folder for a profile, writing ``profile.yaml`` where it is new or has changed.

        Raises DataError where the folder holds the run of a profile of another name, RunLocked where the profile would change and another
        process holds the folder (``take_over`` as for ``lock``).
        """
        path = Path(path).expanduser().resolve()
        if path.exists() and not path.is_dir():
            raise DataError(f"{path} is a file; give a folder with --out.")
        _refuse_links_out(path)
        if path.is_dir() and any(path.iterdir()) and not (path / "profile.yaml").exists() and not (path / ".lock").exists():
            raise DataError(f"{path} holds other files and no run; give an empty or new folder with --out.")
        run, text = cls(path, profile), dump_profile(profile)
        target, copy = path / "profile.yaml", there(run, path)  # a drive that is not mounted is known before anything begins
        for place in (path, copy):
            _refuse_another(place, profile) if place else None
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            with lock(path, take_over=take_over):
                if not target.exists():
                    pull_run(run)
                elif changed := _difference(_settings(_stored(path)), _settings(yaml.safe_load(text))):
                    log.info("profile %s changed since this run was last begun: %s", profile.name, changed)
                write_atomic(target, text)
                (path / "manifest.json").unlink(missing_ok=True)
        return run

    @classmethod
    def open(cls, path: Path | str) -> Run:
        """Open a folder that holds a run already. Raises DataError where it does not."""
        path = Path(path).expanduser().resolve()
        if not (path / "profile.yaml").exists():
            raise DataError(f"{path} is not a run folder (it has no profile.yaml); `ftlib run PROFILE --out {path}` makes one.")
        _refuse_links_out(path)
        return cls(path, load_profile(path / "profile.yaml"))

    # -- where things are ----------------------------------------------------------------------------------------
    @property
    def curated(self) -> Path:
        """Folder of the shared ``test.jsonl`` and of the first recipe's ``train.jsonl`` and ``valid.jsonl``."""
        return self.path / "curated"

    def curated_for(self, contestant: Contestant) -> Path:
        """Folder of the ``train.jsonl`` and ``valid.jsonl`` that a contestant learns from."""
        return self.recipe_folder(self.profile.recipe_of(contestant))

    def recipe_folder(self, recipe: str) -> Path:
        """Folder of a recipe's ``train.jsonl`` and ``valid.jsonl``; a recipe that is a file is named after it."""
        return self.curated if len(self.profile.recipes()) == 1 else self.curated / Path(recipe).stem

    @property
    def test_file(self) -> Path:
        """The one test set of the run."""
        return self.curated / "test.jsonl"

    def folder(self, contestant: Contestant | str) -> Path:
        """A contestant's folder: its training files, training.json, adapter or job."""
        return self.path / (contestant if isinstance(contestant, str) else contestant.name)

    def answers_file(self, system: str, item_set: str = "test") -> Path:
        """Where a system's answers to a set (``test`` or a probe's name) are kept."""
        return self.path / "answers" / system / f"{item_set}.jsonl"

    def contestant(self, name: str) -> Contestant:
        """The contestant of that name. Raises ProfileError naming those there are."""
        for contestant in self.profile.contestants:
            if contestant.name == name:
                return contestant
        names = ", ".join(c.name for c in self.profile.contestants)
        raise ProfileError(f"There is no contestant {name!r} in {self.profile.name}; there are: {names}.")

    # -- steps ---------------------------------------------------------------------------------------------------
    @contextmanager
    def lock(self, *, take_over: bool = False) -> Iterator[None]:
        """Hold the folder (see ``ftlib.lock``)."""
        with lock(self.path, take_over=take_over):
            yield

    @contextmanager
    def step(
        self,
        name: str,
        *,
        inputs: Mapping[str, Path | str | None],
        settings: Mapping[str, Any],
        outputs: Sequence[Path],
    ) -> Iterator[Step]:
        """Do a step once.

        Args:
            name: unique within the run, such as ``curate`` or ``train:tiny-llama``.
            inputs: name -> file or folder (its bytes are hashed), or a hash or id given as a string.
            settings: JSON-like values that the outcome depends on (settings, versions of libraries, prices).
            outputs: files or folders inside the run; they are hashed when the step ends well.

        Yields a Step. The body does its work only where ``step.needed``; when it ends without an exception the
        record is written to ``steps/<name>.json``.
        """
        record_path = self.path / "steps" / f"{name.replace(':', '__')}.json"
        now = {
            "step": name,
            "ftlib": ftlib.__version__,
            "inputs": {key: _fingerprint(value) for key, value in inputs.items()},
            "settings": _plain(settings),
        }
        reason = self._why(record_path, now, outputs)
        step = Step(name, reason is not None, reason or "nothing it depends on has changed")
        if step.needed and self.only_look:
            raise StepNeeded(f"{name}: {step.reason}")
        if self._skipped is not None and not step.needed:
            self._skipped.append(name)
        elif not self.only_look:
            log.info("%s: %s (%s)", name, "running" if step.needed else "skipped", step.reason)
        if not step.needed:
            yield step
            return
        with lock(self.path):
            (self.path / "manifest.json").unlink(missing_ok=True)
            started = time.perf_counter()
            yield step
            if not (self.path / "profile.yaml").exists():
                raise DataError(
                    f"{self.path} has gone while {name} was running (is its disk still mounted?); bring it back and run the same command again."
                )
            seconds = time.perf_counter() - started
            made = {self.relative(path): sha256_file(path) for path in outputs if path.exists()}
            write_json(record_path, {**now, "outputs": made, "seconds": round(seconds, 3), "note": _plain(step.note)})
            copied = sum(push(self, path) for path in (self.path / "profile.yaml", self.path / "ledger.jsonl", *outputs, record_path))
            if copied:
                log.info("%s: %d files copied to the drive and verified", name, copied)
            log.info("%s: done in %.1f s", name, seconds)

    @contextmanager
    def briefly(self) -> Iterator[None]:
        """Tell of all steps that are skipped within in one line; those that run are told as ever."""
        skipped: list[str] = []
        self._skipped = skipped
        try:
            yield
        finally:
            self._skipped = None
            if skipped:
                log.info("earlier steps skipped: %d (nothing they depend on has changed)", len(skipped))

    def _why(self, record_path: Path, now: dict[str, Any], outputs: Sequence[Path]) -> str | None:
        """Why a step must run, or None when its record still holds."""
        if not record_path.exists():
            return "not done yet"
        try:
            before = read_json(record_path)
        except DataError:
            return "its record is damaged"
        if not isinstance(before, dict) or not isinstance(before.get("outputs"), dict):
            return "its record is damaged"
        if before.get("ftlib") != now["ftlib"]:
            return f"ftlib {before.get('ftlib')} -> {now['ftlib']}"
        for kind in ("inputs", "settings"):
            change = _difference(before.get(kind), now[kind])
            if change:
                return f"{kind} changed: {change}"
        for path in outputs:
            known = before["outputs"].get(self.relative(path))
            if not path.exists():
                if known is not None:
                    return f"{self.relative(path)} is missing"
            elif sha256_file(path) != known:
                return f"{self.relative(path)} is not what the step wrote"
        return None

    def relative(self, path: Path) -> str:
        """A path as it is named inside the run folder."""
        return path.relative_to(self.path).as_posix()

    # -- the end -------------------------------------------------------------------------------------------------
    def finish(self) -> Path:
        """Write the manifest: every file with its hash, every step with what it was made from."""
        skip = {"manifest.json", ".lock"}
        files = {
            self.relative(path): sha256_file(path)
            for path in sorted(self.path.rglob("*"))
            if path.is_file() and path.name not in skip and "checkpoints" not in path.relative_to(self.path).parts
        }
        steps = {record["step"]: record for record in map(read_json, sorted((self.path / "steps").glob("*.json")))}
        write_json(
            self.path / "manifest.json",
            {"name": self.profile.name, "ftlib": ftlib.__version__, "versions": versions(), "machine": machine(), "files": files, "steps": steps},
        )
        push(self, self.path, mirror=False)
        return self.path / "manifest.json"

    @property
    def whole(self) -> bool:
        """Whether the run ended and nothing was begun since."""
        return (self.path / "manifest.json").exists()


def _refuse_links_out(folder: Path) -> None:
    """Raises DataError where a symbolic link inside a run leads out of it: writing there would change what is not the run's."""
    for path in folder.rglob("*"):
        if path.is_symlink() and not path.resolve().is_relative_to(folder):
            raise DataError(f"{path} is a link that leads out of the run; remove it, or put there what it names.")


def _stored(folder: Path) -> Any:
    """What a folder's profile says; None where there is none that can be read."""
    try:
        return yaml.safe_load((folder / "profile.yaml").read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return None


def _refuse_another(folder: Path, profile: Profile) -> None:
    """Raises DataError where a folder holds the run of a profile of another name: its results would be replaced."""
    stored = _stored(folder)
    name = stored.get("name") if isinstance(stored, dict) else None
    if name is not None and name != profile.name:
        raise DataError(
            f"{folder} holds the run of a profile named {name}, and this one is named {profile.name}; "
            f"give another folder (--out, in a notebook RUN), or the profile {name} to go on with that run."
        )


def _settings(profile: Any) -> dict[str, Any]:
    """A profile's plain values with its contestants by name, so that what differs has a name; empty where it is none."""
    if not isinstance(profile, dict):
        return {}
    named = {str(one.get("name")): one for one in profile.get("contestants") or [] if isinstance(one, dict)}
    return {**profile, "contestants": named}


def _fingerprint(value: Path | str | None) -> str | None:
    return sha256_file(value) if isinstance(value, Path) else value


def _plain(value: Any) -> Any:
    """A value as it will be when read back from JSON, so that comparing with a stored one is fair."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def _difference(before: Any, now: Any, where: str = "") -> str:
    """The first few differences between two JSON values, in words; empty where there is none."""
    if isinstance(before, dict) and isinstance(now, dict):
        parts = [
            _difference(before.get(key), now.get(key), f"{where}.{key}" if where else str(key))
            for key in sorted({*before, *now}, key=str)
            if before.get(key) != now.get(key)
        ]
        return "; ".join(parts[:3]) + (f"; and {len(parts) - 3} more" if len(parts) > 3 else "")
    if before == now:
        return ""
    if all(value is None or _HASH.fullmatch(str(value)) for value in (before, now)):
        return where + (" is new" if before is None else " is gone" if now is None else "")  # a hash tells a reader nothing
    return f"{where or 'value'} {_short(before)} -> {_short(now)}"


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text[:12] + "…" if len(text) > 24 else text


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that a result may depend on, where installed."""
    names = (
        "torch",
        "transformers",
        "trl",
        "peft",
        "datasets",
        "accelerate",
        "unsloth",
        "bitsandbytes",
        "tokenizers",
        "tiktoken",
        "gigatoken",
        "openai",
        "pandas",
        "numpy",
        "matplotlib",
        "papermill",
        "sacrebleu",
        "rapidfuzz",
        "regex",
        "nltk",
        "xlsxwriter",
        "jinja2",
    )
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """What this machine is, without its name: system, processor, cores, memory in bytes, free disk in bytes."""
    memory = None
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "memory_bytes": memory,
        "free_disk_bytes": shutil.disk_usage(Path.cwd()).free,
    }
