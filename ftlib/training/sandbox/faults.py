"""Bad days on request: what can go wrong with a hosted service, each reproducible by its name."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass

from ftlib.configuration import nearest
from ftlib.errors import ProfileError

# name -> what happens. Those of a reply happen to one request unless `*N` or `*all` says otherwise.
BEFORE = {
    "reset": "the connection is reset before the request is looked at",
    "500": "an internal error; nothing was done",
    "502-html": "a proxy's error page instead of JSON; nothing was done",
    "503-retry-after": "overloaded, with Retry-After: 1",
    "429": "too many requests, with Retry-After: 1",
    "429-ms": "too many requests, with retry-after-ms: 200",
    "429-date": "too many requests, with Retry-After as a date",
    "429-long": "too many requests, with Retry-After: 3600",
    "429-bare": "too many requests, with no word on when",
    "quota": "429 insufficient_quota: the account is empty, no retry helps",
    "balance": "402: the account must be topped up",
    "401": "the key is not known; the reply quotes the key",
    "403": "this organisation may not do this",
    "region": "403: not served in this country",
    "model-gone": "404: the model was shut down",
    "not-deployed": "400: nobody has deployed this model (Together's spelling)",
    "400": "this request is wrong",
    "filter-400": "the provider's filter stopped the prompt (Azure's spelling)",
    "stall-first": "nothing for some seconds, then the request is carried out",
}
AFTER = {
    "reset-after-commit": "carried out, then the connection is reset: the reply is lost",
    "close-after-commit": "carried out, then the connection is closed without a reply",
    "500-after-commit": "carried out, and answered with an internal error",
    "stall": "carried out, then silence",
    "drip": "carried out, the reply's body comes byte by byte",
    "drip-head": "carried out, the reply's head comes byte by byte",
    "truncated": "carried out, the reply breaks off in the middle",
    "html": "carried out, answered with a web page and status 200",
    "empty-object": "carried out, answered with {}",
    "empty-body": "carried out, answered with nothing and status 200",
    "malformed": "carried out, answered with broken JSON",
    "json-list": "carried out, answered with a JSON list",
    "not-utf8": "carried out, answered with bytes that are no text",
}
SHAPE = {
    "no-choices": "an answer whose choices are an empty list",
    "null-choices": "an answer whose choices are null",
    "no-message": "a choice without a message",
    "null-content": "an answer whose content is null",
    "wrong-type": "an answer whose content is a number",
    "refusal": "the model refuses",
    "filtered": "the answer was cut by a content filter",
    "no-usage": "an answer without token counts",
    "null-usage": "token counts that are null",
    "unknown-finish": "a finish reason that nobody has heard of",
    "no-finish": "an answer without a finish reason",
}
JOB = {
    "unknown-status": "the job's state is one that no client knows",
    "status-none": "the job's state is null",
    "missing-fields": "the job has only its id and state",
    "base64-result": "the result file comes base64-encoded",
    "endless-pages": "the events' last page says there is more and repeats itself",
    "fail-validating": "the job fails while its files are validated, naming a line",
    "fail-queued": "the job fails in the queue",
    "fail-running": "the job fails after some steps",
    "cancel-running": "somebody else cancels the job",
}
KINDS = {"before": BEFORE, "after": AFTER, "shape": SHAPE, "job": JOB}
DEFAULT_PLACE = {"shape": "chat", "job": "jobs", "before": "any", "after": "any"}
ENDPOINTS = {
    "files": ("create", "list", "get", "content", "delete"),
    "jobs": ("create", "list", "get", "events", "checkpoints", "act"),
    "models": ("list", "get"),
    "chat": (),
    "batches": ("create", "list", "get"),
}
PLACES = ["any", *ENDPOINTS, *(f"{group}.{verb}" for group, verbs in ENDPOINTS.items() for verb in verbs)]
_SPEC = re.compile(r"(?P<name>[a-z0-9-]+)(@(?P<place>[a-z.]+))?(\*(?P<times>\d+|all))?")


@dataclass
class Fault:
    """One fault: what, at which endpoint, and how many more times (None: always)."""

    name: str
    place: str
    left: int | None

    @property
    def kind(self) -> str:
        """``before``, ``after``, ``shape`` or ``job``."""
        return next(kind for kind, names in KINDS.items() if self.name in names)


def fault_list() -> str:
    """All faults, for ``--fault list``."""
    lines = [
        "--fault NAME[@ENDPOINT][*TIMES], given as often as wanted. Without *TIMES a fault happens once, one of a job always; *all is always.",
        "ENDPOINT: any, "
        + ", ".join(f"{group} ({' '.join(f'.{verb}' for verb in verbs)})" if verbs else group for group, verbs in ENDPOINTS.items()),
    ]
    for kind, names in KINDS.items():
        lines.append(f"\n{kind} (at {DEFAULT_PLACE[kind]} where no endpoint is given)")
        lines += [f"  {name:20} {what}" for name, what in names.items()]
    return "\n".join(lines)


def parse_fault(spec: str) -> Fault:
    """A Fault from ``NAME[@ENDPOINT][*TIMES]``. Raises ProfileError with the nearest known one."""
    match = _SPEC.fullmatch(spec)
    names = [name for group in KINDS.values() for name in group]
    if not match or match["name"] not in names:
        raise ProfileError(f"--fault {spec}: there is no such fault{nearest(spec.partition('@')[0], names)}; `--fault list` explains them.")
    fault = Fault(match["name"], match["place"] or "", None if match["times"] == "all" else int(match["times"] or 1))
    if fault.kind == "job" and not match["times"]:
        fault.left = None
    usual = DEFAULT_PLACE[fault.kind]
    fault.place = fault.place or usual
    if fault.place not in PLACES:
        raise ProfileError(f"--fault {spec}: there is no endpoint {fault.place}{nearest(fault.place, PLACES)}; `--fault list` has them.")
    if usual != "any" and fault.place.partition(".")[0] not in ("any", usual):
        raise ProfileError(f"--fault {spec}: {fault.name} happens at {usual} alone; leave @{fault.place} out.")
    return fault


class Faults:
    """The faults still to come; safe to ask from many threads."""

    def __init__(self, specs: list[str] | None = None) -> None:
        self.pending = [parse_fault(spec) for spec in specs or []]
        self._lock = threading.Lock()

    def add(self, spec: str) -> None:
        """Plan one more."""
        with self._lock:
            self.pending.append(parse_fault(spec))

    def clear(self) -> None:
        """Plan none."""
        with self._lock:
            self.pending = []

    def take(self, endpoint: str, *kinds: str, among: tuple[str, ...] = ()) -> str | None:
        """The next fault of one of these kinds (and, where given, names) for an endpoint, used up; None where there is none."""
        with self._lock:
            for fault in self.pending:
                fits = fault.place == "any" or endpoint == fault.place or endpoint.startswith(fault.place + ".")
                if fits and fault.kind in kinds and fault.left != 0 and (not among or fault.name in among):
                    if fault.left is not None:
                        fault.left -= 1
                    return fault.name
        return None

    def has(self, name: str) -> bool:
        """Whether a job fault is on, without using it up."""
        with self._lock:
            return any(fault.name == name and fault.left != 0 for fault in self.pending)
