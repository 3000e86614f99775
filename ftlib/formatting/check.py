"""Is a training file good at its destination? One streaming pass says so before anything leaves the machine."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ftlib.catalogue import Model, find_model
from ftlib.errors import DataError
from ftlib.formatting.destinations import Destination, find_destination, for_provider
from ftlib.formatting.rules import Finding, check_row
from ftlib.formatting.tokens import example_tokens

BOM = b"\xef\xbb\xbf"
OVERHEAD = 16  # bytes that a message's frame stands for when only an upper bound of its tokens is needed
SHOWN = 5  # findings of one rule that check_text prints
Counter_ = Callable[[Any], int]  # tokens of a parsed row


class Checker:
    """The state of one pass over a file: what was found, and what has been seen."""

    def __init__(self, destination: Destination, *, file: str = "training", family: str | None = None, context: int | None = None,
                 tokens: Counter_ | None = None, others: dict[bytes, int] | None = None) -> None:
        self.destination, self.file, self.family = destination, file, family
        self.context, self.tokens = context, tokens
        self.others = others or {}
        self.seen: dict[bytes, int] = {}
        self.findings: list[Finding] = []
        self.rows = 0

    def add(self, line: int, rule: str, severity: Any, field: str, message: str, remedy: str) -> None:
        """Note one finding."""
        self.findings.append(Finding(line, rule, severity, field, message, remedy, self.file))

    def row(self, line: int, row: Any, size: int) -> list[Finding]:
        """Check one parsed row of ``size`` bytes; returns what was found in it."""
        before = len(self.findings)
        self.rows += 1
        for wrong in check_row(row, self.destination, self.family):
            self.add(line, *wrong)
        well = not any(found.severity == "error" for found in self.findings[before:])
        if well:
            self._length(line, row, size)
            self._seen(line, row)
        return self.findings[before:]

    def _length(self, line: int, row: Any, size: int) -> None:
        """A token is at least one byte, so only rows of more bytes than the context has tokens need counting."""
        if self.context is None or size + OVERHEAD * len(row.get("messages", "....")) <= self.context:
            return
        if self.tokens is None:
            self.add(line, "context", "warning", "", f"the example has {size} bytes and the context {self.context} tokens; without the model's tokenizer "
                     "nobody can tell whether it fits", "name the model (--model), or install what its tokenizer needs")
            return
        tokens = self.tokens(row)
        if tokens > self.context:
            self.add(line, "context", "error", "", f"the example has {tokens} tokens, more than the {self.context} that fit",
                     "shorten it, or leave the row out")

    def _seen(self, line: int, row: Any) -> None:
        key = hashlib.blake2b(json.dumps(row, sort_keys=True).encode(), digest_size=16).digest()
        if key in self.seen:
            self.add(line, "duplicate", "warning", "", f"the same example as line {self.seen[key]}", "leave one of them out: it weighs double")
        else:
            self.seen[key] = line
        if key in self.others:
            self.add(line, "overlap", "warning", "", f"the same example as line {self.others[key]} of the validation file",
                     "split again: a validation loss over rows that were trained on says nothing")

    def whole(self, size: int, *, minimum: int) -> None:
        """What can only be said of the file as a whole."""
        limit = self.destination.max_bytes
        if limit and size > limit:
            self.add(0, "size", "error", "", f"the file has {size} bytes, more than the {limit} that {self.destination.name} takes", "train on fewer rows")
        if self.rows < minimum:
            self.add(0, "min_examples", "error", "", f"the file has {self.rows} examples and {self.destination.name} asks for at least {minimum}",
                     "curate more rows (data.train)")


def check_file(
    file: Path | str,
    *,
    destination: str,
    validation: Path | str | None = None,
    model: str | Model | None = None,
    suffix: str | None = None,
    tokenizer: Any = None,
    name: str | None = None,
) -> dict[str, Any]:
    """Check a training file against every rule of a destination, in one pass.

    Args:
        file: JSON lines. A name that begins with ``valid`` is held to a validation file's rules (one example is enough).
        destination: openai, azure, nebius, together, sandbox, local, local:MODEL, or a provider of one's own.
        validation: the validation file that goes with it; it is checked too, and rows that stand in both are found.
        model: its context length, its special tokens and, where it is a hosted one, its tokenizer are used.
        suffix: the suffix of the job that is meant to follow.
        tokenizer: a Hugging Face tokenizer, for the context length of a local model.
        name: the name that the file is going to have, where it is not its own.

    Returns {file, destination, model, ok, rows, tokens_counted_by, counts, findings: [{line, rule, severity, field, message, remedy, file}]}; ok is
    false when any finding is an error. Raises DataError for a file that cannot be read as text at all.
    """
    rules, named = find_destination(destination) if destination.partition(":")[0] in ("local",) else (for_provider(destination), None)
    wanted = model or named
    entry = find_model(wanted) if isinstance(wanted, str) else wanted
    settings = settings_for(rules, entry, tokenizer)
    findings: list[Finding] = []
    others: dict[bytes, int] = {}
    if validation is not None:
        checker = Checker(rules, file="validation", **settings)
        _pass(Path(validation), checker, minimum=1, name=Path(validation).name)
        findings, others = checker.findings, checker.seen
    checker = Checker(rules, others=others, **settings)
    name = name or Path(file).name
    _pass(Path(file), checker, minimum=1 if name.startswith("valid") else rules.min_examples, name=name)
    _suffix(checker, suffix)
    findings = sorted(checker.findings, key=lambda found: found.line) + findings
    counts = Counter(f"{found.rule} ({found.severity})" for found in findings)
    return {
        "file": str(file),
        "destination": destination,
        "model": entry.name if entry else None,
        "rules": rules.source,
        "ok": not any(found.severity == "error" for found in findings),
        "rows": checker.rows,
        "counts": dict(counts),
        "findings": [found.data() for found in findings],
    }


def settings_for(rules: Destination, entry: Model | None, tokenizer: Any = None) -> dict[str, Any]:
    """Family, context and token counter for a model at a destination."""
    offer = entry.at(rules.name) if entry else None
    family = (entry.family if entry else None) or ("gpt" if rules.suffix_max else None)
    context = (offer.context if offer else None) or rules.context or (entry.context if entry else None)
    encoding = (entry.encoding if entry else None) or rules.encoding
    counter: Counter_ | None = None
    if tokenizer is not None:
        from ftlib.formatting.rendering import rendered
        from ftlib.formatting.rows import question_of
        from ftlib.formatting.task import Task

        def by_tokenizer(row: Any) -> int:
            prompt, answer = question_of(row, Task(name="check"))
            return len(rendered(tokenizer, prompt, answer).ids)

        counter = by_tokenizer
    elif encoding and rules.format == "chat":
        name = encoding
        counter = lambda row: example_tokens(row, name)  # noqa: E731
    return {"family": family, "context": context, "tokens": counter}


def _pass(path: Path, checker: Checker, *, minimum: int, name: str) -> None:
    """One pass over a file."""
    size = _readable(path)
    if not name.endswith(".jsonl"):
        checker.add(0, "extension", "error" if checker.destination.format == "chat" else "warning", "", f"the file is named {name}",
                    "name it with .jsonl at the end")
    for number, raw in _lines(path, checker):
        _line(number, raw, checker)
    checker.whole(size, minimum=minimum)


def _readable(path: Path) -> int:
    """The file's size. Raises DataError where it is no readable text file."""
    try:
        with path.open("rb") as handle:
            head = handle.read(4)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); give a file of JSON lines.") from error
    for magic, what in ((b"\x1f\x8b", "gzip"), (b"PK\x03\x04", "a zip archive"), (b"\x28\xb5\x2f\xfd", "zstandard"), (b"PAR1", "Parquet"),
                        (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16")):
        if head.startswith(magic):
            raise DataError(f"{path} is {what}, not UTF-8 text; unpack or convert it to JSON lines first.")
    return path.stat().st_size


def _lines(path: Path, checker: Checker) -> Iterator[tuple[int, bytes]]:
    """The lines of a file from 1, without a byte-order mark, which is judged here."""
    rule = checker.destination.bom
    with path.open("rb") as handle:
        for number, line in enumerate(handle, 1):
            if number == 1:
                has = line.startswith(BOM)
                line = line.removeprefix(BOM)
                if has and rule == "forbidden":
                    checker.add(1, "bom", "error", "", "the file begins with a byte-order mark", "save it as UTF-8 without BOM")
                if not has and rule == "required":
                    checker.add(1, "bom", "error", "", "the file has no byte-order mark", f"save it as UTF-8 with BOM, which {checker.destination.name} asks for")
            yield number, line


def _line(number: int, raw: bytes, checker: Checker) -> None:
    text = raw.strip(b" \t\r\n")
    if not text:
        if raw:
            checker.add(number, "blank_line", "warning", "", "an empty line", "remove it")
        return
    try:
        row = json.loads(text.decode("utf-8"), parse_constant=_constant)
    except UnicodeDecodeError as error:
        checker.rows += 1
        checker.add(number, "utf8", "error", "", f"not UTF-8 at byte {error.start} of the line", "save the file as UTF-8")
        return
    except (ValueError, RecursionError) as error:
        checker.rows += 1
        checker.add(number, "json", "error", "", f"not valid JSON: {error}", "write one JSON object a line")
        return
    checker.row(number, row, len(text))


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


def _suffix(checker: Checker, suffix: str | None) -> None:
    """The job's suffix, which names the tuned model."""
    limit = checker.destination.suffix_max
    if suffix is None or limit is None:
        return
    if len(suffix) > limit:
        checker.add(0, "suffix", "error", "suffix", f"the suffix has {len(suffix)} characters and {checker.destination.name} takes {limit}", "shorten it")
    if "." in suffix and not checker.destination.suffix_dots:
        checker.add(0, "suffix", "error", "suffix", f"the suffix {suffix!r} holds a dot, which {checker.destination.name} refuses", "write a hyphen instead")


def check_text(found: dict[str, Any]) -> str:
    """A check's result for a reader: the verdict, then the first findings of each rule."""
    verdict = "good" if found["ok"] else "would be refused"
    lines = [f"{found['file']}: {found['rows']} examples, {verdict} at {found['destination']}" + (f" ({found['model']})" if found["model"] else "")]
    shown: Counter[str] = Counter()
    for item in found["findings"]:
        kind = f"{item['rule']} ({item['severity']})"
        shown[kind] += 1
        if shown[kind] <= SHOWN:
            place = f"line {item['line']}" if item["line"] else "file"
            where = ("validation " if item["file"] == "validation" else "") + place + (f", {item['field']}" if item["field"] else "")
            lines.append(f"  {item['severity']:7} {where}: {item['message']}; {item['remedy']}. [{item['rule']}]")
    lines += [f"  ... and {count - SHOWN} more of {kind}" for kind, count in found["counts"].items() if count > SHOWN]
    return "\n".join(lines)
