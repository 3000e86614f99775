"""A source of rows: a file of any of the formats, a hub dataset, or the sample. Looked at before anything is written."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import IO, Any

from ftlib.curation.jsonlines import blocks, chunks, read_jsonl
from ftlib.curation.records import Batches, Fields
from ftlib.curation.streams import DATA_SUFFIXES, PACKED, looks_like_html, open_bytes, peek
from ftlib.curation.tables import csv_header, open_parquet, read_csv, read_parquet
from ftlib.errors import DataError, MissingExtra
from ftlib.files import hash_json, sha256_file

HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
LOOKED_AT = 200  # rows whose keys tell what fields there are
LISTED, WIDTH = 8, 40  # of a file's fields in a message: how many, and characters of each
TEXT_COLUMN = re.compile(r"title|name|content|text|descri|body|summary|label|caption|headline", re.I)  # in the name of a column that may be ours


class Source:
    """Where rows come from. ``batches()`` may be called again and gives the same rows.

    Raises DataError where there is no such file, or it cannot hold rows with the fields asked for.
    """

    def __init__(self, name: str | Path, fields: Fields | None = None) -> None:
        self.name = str(name)
        self.files, self.member = find_files(self.name)
        self.fields = fields or Fields()
        self._kinds = [self._look(path) for path in self.files]

    @property
    def paths(self) -> list[Path]:
        """The files on this machine."""
        return self.files

    def sha256(self) -> str:
        """Hash of the file's bytes; of several files, over their hashes in order."""
        hashes = [sha256_file(path) for path in self.files]
        return hashes[0] if len(hashes) == 1 else hash_json(hashes)

    def batches(self) -> Batches:
        """All rows, in order, good and bad."""
        for path, kind in zip(self.files, self._kinds, strict=True):
            if kind == "parquet":
                yield from read_parquet(path, self.fields)
                continue
            with open_bytes(path, self.member) as (stream, _):
                if peek(stream).startswith(b"\xef\xbb\xbf"):
                    stream.read(3)
                yield from read_jsonl(stream, self.fields) if kind == "jsonl" else read_csv(stream, self.fields, path)

    def size(self) -> int:
        """Bytes of all files, packed as they are."""
        return sum(path.stat().st_size for path in self.files)

    def blocks(self) -> Iterator[tuple[int, int, bytes, bytes | None]] | None:
        """The lines of all files as ``jsonlines.blocks`` gives them, for parsing elsewhere; None where not all are JSON lines."""
        return self._blocks() if set(self._kinds) == {"jsonl"} else None

    def _blocks(self) -> Iterator[tuple[int, int, bytes, bytes | None]]:
        for path in self.files:
            with open_bytes(path, self.member) as (stream, _):
                if peek(stream).startswith(b"\xef\xbb\xbf"):
                    stream.read(3)
                yield from blocks(stream, 1)

    # -- looking ---------------------------------------------------------------------------------------------------
    def _look(self, path: Path) -> str:
        """What a file is, once it is sure that it can be one and has our fields."""
        with path.open("rb") as handle:
            if handle.read(4) == b"PAR1":
                self._check(path, open_parquet(path).schema_arrow.names)
                return "parquet"
        with open_bytes(path, self.member) as (stream, name):
            head = peek(stream)
            if looks_like_html(head):
                raise DataError(f"{path} is a web page (HTML), not data; a download link gave an error or a consent page. Get the file again.")
            if head.startswith(b"PAR1"):
                raise DataError(f"{path} holds a Parquet file; unpack it first (Parquet is packed in itself).")
            if head.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise DataError(f"{path} is UTF-16; save it as UTF-8.")
            if Path(name).suffix.lower() in (".csv", ".tsv"):
                self._check(path, csv_header(stream), header=True)
                return "csv"
            if Path(name).suffix.lower() not in (".jsonl", ".json", ".ndjson") and not head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
                begins = f" (it begins {head[:20].decode()!r})" if head[:20].isascii() and b"\0" not in head else ""
                raise DataError(f"{path} is neither JSON lines, CSV nor Parquet{begins}; give one of these.")
            if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[") and self._is_array(stream):
                raise DataError(f"{path} is one JSON array; make it JSON lines (one object a line): jq -c '.[]' {path.name} > rows.jsonl.")
            self._check(path, self._keys(stream))
            return "jsonl"

    def _is_array(self, stream: IO[bytes]) -> bool:
        """Whether a file that begins with [ is one array over many lines, and not lines of which one is an array."""
        line = stream.readline(1 << 20)
        stream.seek(0)
        try:
            json.loads(line)
        except (ValueError, RecursionError):
            return True
        more = stream.read(1 << 20)[len(line) :].strip()
        stream.seek(0)
        return not more

    def _keys(self, stream: IO[bytes]) -> list[str]:
        """Keys of the first rows that parse; all of ours where none does (the share of bad rows will say it better)."""
        start = stream.tell()
        found: dict[str, None] = {}
        for line in _first_lines(stream):
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(row, dict):
                found |= dict.fromkeys(row)
        stream.seek(start)
        return list(found) or [self.fields.title, self.fields.content]

    def _check(self, path: Path, names: list[str], *, header: bool = False) -> None:
        """Whether the fields are there; also finds the id's. ``header``: the names are the first line of a table."""
        asked = {what: name for what in ("title", "content", "id") if (name := getattr(self.fields, what)) is not None}
        if missing := {what: name for what, name in asked.items() if name not in names}:
            raise DataError(f"{path} {_lacks(missing, names, header=header)}")
        for name in asked.values():
            if names.count(name) > 1:
                raise DataError(f"{path} has {names.count(name)} columns named {name!r}, and one is asked for; rename the others.")
        if self.fields.title == self.fields.content:
            raise DataError(f"{path}: title and content are both {self.fields.title!r}; name two fields.")
        if self.fields.id in (self.fields.title, self.fields.content):
            raise DataError(f"{path}: {self.fields.id!r} is named for the id and for a text; name another for the id, or none (the row's number).")
        if self.fields.id is None:
            self.fields = replace(self.fields, id=next((name for name in ("uid", "id") if name in names), None))


def _lacks(missing: Mapping[str, str], names: Sequence[str], *, header: bool) -> str:
    """What is said of a file without some of our fields: those it has, and how to name them to a command that has options, or a profile."""
    if any("\udc80" <= letter <= "\udcff" for name in names for letter in name):
        return "is not UTF-8 (its column names are not); save it as UTF-8."
    wanted = []
    for what, name in missing.items():
        close = difflib.get_close_matches(name, names, n=1)
        wanted.append(f"{name!r} for the {what}" + (f" (did you mean {_short(close[0])!r}?)" if close else ""))
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    listed = ", ".join(map(_short, names[:LISTED])) + more if names else "none"
    bare = header and not any(len(name) <= WIDTH and len(name.split()) <= 2 and TEXT_COLUMN.search(name) for name in names)
    first = "The first line is taken as the header, and the file seems to have none: put one above, such as title,content. Or name"
    options, keys = (" ".join(form.format(what) for what in missing) for form in ("--{}-field NAME", "data.{}_field=NAME"))
    how = f"{options} (curate, leaks), or --set {keys} (run, estimate, train; under data: in a profile)"
    return f"has no field {' or '.join(wanted)}, only these: {listed}. {first if bare else 'Name'} yours with {how}."


def _short(name: str) -> str:
    """A field's name on one line, cut where it is rather a text."""
    text = " ".join(name[: 2 * WIDTH].split())
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"


def looked_for(name: str | Path) -> str:
    """A tail for an error message: where a file that is not there was looked for."""
    path = Path(name).expanduser()
    begins = "" if path.is_absolute() else "; a relative path, in a profile too, is taken from the current folder"
    return f" (looked for at {os.path.abspath(path)}{begins})"


def open_rows(path: Path | str) -> Iterator[tuple[int, Any]]:
    """(line, value) of each line of JSON of a file, whatever its rows are; nothing at all where it is another format.

    Raises DataError for a missing or damaged file or line.
    """
    (file,), member = find_files(str(path))
    with open_bytes(file, member) as (stream, name):
        head = peek(stream)
        if looks_like_html(head):
            raise DataError(f"{path} is a web page (HTML), not data; get the file again.")
        if head[:4] == b"PAR1" or Path(name).suffix.lower() in (".csv", ".tsv"):
            return
        for number, lines, too_long in chunks(stream, 1):
            if too_long is not None:
                raise DataError(f"{path}, line {number}: longer than any row; mend the file.")
            for line_number, line in enumerate(lines, number):
                if line.strip():
                    try:
                        yield line_number, json.loads(line.removeprefix(b"\xef\xbb\xbf"))
                    except (ValueError, RecursionError) as error:
                        raise DataError(f"{path}, line {line_number}: not valid JSON ({error}); mend the file.") from None


def _first_lines(stream: IO[bytes]) -> Iterator[bytes]:
    """The first whole lines of a stream, none longer than 1 MiB."""
    block = stream.read(1 << 20)
    if block.startswith(b"\xef\xbb\xbf"):
        block = block[3:]
    lines = block.split(b"\n")
    yield from lines[: LOOKED_AT if len(lines) > LOOKED_AT else len(lines)]


def find_files(name: str) -> tuple[list[Path], str | None]:
    """The files of a source, and the member of a zip archive that ``FILE.zip!MEMBER`` names.

    Raises DataError where there is none.
    """
    if name == "sample":
        return [Path(str(resources.files("ftlib").joinpath("sample", "sample.jsonl.gz")))], None
    text, _, member = name.partition("!")
    path = Path(name).expanduser()
    if not path.exists() and member:
        path = Path(text).expanduser()
    else:
        member = ""
    if path.is_dir():
        raise DataError(f"{path} is a folder; give one file of rows.")
    if path.is_file():
        return [path], member or None
    repo = name.removeprefix("hf://")
    named_like_a_file = any(suffix in name.lower() for suffix in (*DATA_SUFFIXES, *PACKED, ".txt"))
    if name.startswith("hf://") or (HUB_ID.fullmatch(repo) and not named_like_a_file and not path.parent.is_dir()):
        return hub_files(repo), None
    raise DataError(f"{name} does not exist{looked_for(path)}; give a file, a hub dataset as hf://OWNER/NAME, or `sample`.")


def hub_files(repo: str) -> list[Path]:
    """Download the training files of a Hugging Face dataset and return them; they are then read like any other file.

    Not through ``datasets``: it turns texts that look like dates into dates, and loses a whole file to one bad row.
    """
    try:
        from huggingface_hub import HfApi, hf_hub_download
    except ImportError:
        raise MissingExtra("A hub dataset needs the library huggingface_hub: pip install huggingface_hub.") from None
    try:
        names = HfApi().list_repo_files(repo, repo_type="dataset")
        chosen = train_files(names)
        if not chosen:
            raise DataError(f"The hub dataset {repo} has no JSON lines, CSV or Parquet file; it holds: {', '.join(names[:10])}.")
        return [Path(hf_hub_download(repo, name, repo_type="dataset")) for name in chosen]
    except DataError:
        raise
    except Exception as error:
        if kept := kept_files(repo):
            return kept
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"The hub dataset {repo} could not be had ({why}); check its name, your network and your token.") from error


def kept_files(repo: str) -> list[Path]:
    """The training files of a hub dataset that an earlier download left on this machine, for when the hub cannot be reached."""
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(repo, repo_type="dataset", local_files_only=True))
    except Exception:  # nothing is kept: the error of the hub itself says what is wrong
        return []
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return [folder / name for name in train_files(names)]


def train_files(names: list[str]) -> list[str]:
    """Of a dataset's files, those that hold its training rows: of one format, the files named for train if any are."""

    def base(name: str) -> str:
        return name.lower().removesuffix(".gz").removesuffix(".zst")

    data = [n for n in sorted(names) if base(n).endswith((*DATA_SUFFIXES, ".zip")) and not Path(n).name.startswith(("dataset_info", "."))]
    train = [n for n in data if re.search(r"(^|[/_.-])(train|trn)([/_.-]|\d|$)", n.lower())] or data
    return [n for n in train if Path(base(n)).suffix == Path(base(train[0])).suffix] if train else []
