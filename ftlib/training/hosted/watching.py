"""Watching a job for as long as it takes: hours, lost connections, states that nobody has heard of."""

from __future__ import annotations

import datetime
import json
import logging
import re
import shlex
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from ftlib.errors import Refused, ServiceDown, TrainingFailed
from ftlib.files import hash_json, read_json, write_json
from ftlib.progress import bar
from ftlib.terminal import printable
from ftlib.training.hosted.link import Link
from ftlib.training.hosted.metrics import progress_of
from ftlib.training.hosted.service import Json

log = logging.getLogger("ftlib")
OVER = ("succeeded", "failed", "cancelled")
WAITING = ("validating_files", "queued", "paused", "unknown")
TOLD = (
    "model", "fine_tuned_model", "created_at", "finished_at", "trained_tokens", "trained_seconds", "billed_usd", "result_files", "hyperparameters",
    "error", "estimated_finish",
)  # fmt: skip
NUMBERS = ("created_at", "finished_at", "estimated_finish", "trained_tokens", "trained_seconds", "billed_usd")  # or not believed
ROW_SHOWN = 100  # letters of a row's question; its end, where the title stands
SILENCE_S = 300.0  # of a job that waits, before a line says that it still does; then twice as long, up to an hour
PATIENCE_S = 6 * 3600.0  # of an unbroken outage, before the watch is given up (the job goes on)


class JobFile:
    """``job.json``: the job as it was last seen, with its events; what a person reads, and what a restart goes on from."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content: Json = dict(read_json(path)) if path.exists() else {}
        self._written = ""

    def begin(self, job_id: str, **fields: Any) -> None:
        """Start a record, or go on with that of the same job."""
        if self.content.get("id") != job_id:
            self.content = {"id": job_id, **fields, "first_seen": {}, "events": []}
        self.save()

    def update(self, job: Json, state: str, now: float) -> None:
        """Take in what the provider says of the job now; what it does not say stays as it was."""
        told = {name: job[name] for name in TOLD if job.get(name) is not None}
        self.content.update({name: value for name, value in told.items() if name not in NUMBERS or isinstance(value, int | float)})
        self.content["status"] = state
        self.content["first_seen"].setdefault(state, now)

    def add_events(self, events: list[Json]) -> list[Json]:
        """Keep events (oldest first) that are new; returns those."""
        known = {event["id"] for event in self.content["events"]}
        fresh = [event for event in events if event["id"] not in known]
        self.content["events"] += [
            {name: event.get(name) for name in ("id", "created_at", "level", "message", "data") if event.get(name)} for event in fresh
        ]
        return fresh

    def save(self) -> None:
        """Write it where it has changed, whole or not at all."""
        now = hash_json(self.content)
        if now != self._written:
            write_json(self.path, self.content)
            self._written = now


def watch(link: Link, record: JobFile, *, say: Callable[[str], None] | None = None, own: bool = False) -> Json:
    """Wait for the end of the job in ``record`` and return the record; ``own`` where the service ends with us.

    Raises TrainingFailed with the provider's reason when it fails or is cancelled, ServiceDown after an outage of six hours.
    On an interrupt the message says whether the job goes on, how to take it up and how to cancel it for real.
    """
    say = say or (lambda text: log.info("%s", text))
    progress = bar(desc=f"{link.provider.name} job", total=None, unit="step")
    try:
        return _watch(link, record, say, progress)
    except KeyboardInterrupt:
        log.warning("%s", farewell(record.path, own=own))
        raise
    finally:
        progress.close()


def farewell(path: Path, *, own: bool = False) -> str:
    """What a reader must know who interrupted while the job of a job.json was not over; empty where it is, or there is none."""
    record = dict(read_json(path)) if path.exists() else {}
    if not record.get("id") or record.get("status") in OVER:
        return ""
    where = " ".join(shlex.quote(str(part)) for part in (path.parent.parent, path.parent.name))
    cancel = f"To cancel it for real: ftlib cancel {where}"
    if own:
        return f"Job {record['id']} stops with the sandbox that this run started. Run the same command and both go on. {cancel}"
    return f"Job {record['id']} goes on at {record.get('provider')}, and costs what it costs. Run the same command to take it up again. {cancel}"


def _watch(link: Link, record: JobFile, say: Callable[[str], None], progress: Any) -> Json:
    job_id = str(record.content["id"])
    last, out_since = record.content.get("status"), None
    spoke, silence = link.clock.elapsed(), SILENCE_S
    while True:
        try:
            job = link.patiently("the state of the job", lambda: link.service.job(job_id), tries=3)
        except Refused as error:
            raise TrainingFailed(f"{error} The job {job_id} goes on there, and costs what it costs; run again once that is mended.") from None
        except ServiceDown as error:
            out_since = link.clock.elapsed() if out_since is None else out_since
            if link.clock.elapsed() - out_since > PATIENCE_S:
                raise ServiceDown(f"{error} It has not answered for {PATIENCE_S / 3600:.0f} hours; the job {job_id} goes on there.") from None
            link.clock.sleep(4 * link.provider.poll_s)
            continue
        out_since = None
        state = link.provider.state(job.get("status") if isinstance(job.get("status"), str) else None)
        record.update(job, state, link.clock.now())
        for event in _new_events(link, record):
            spoke = link.clock.elapsed()
            if progress_of([event]) is None:  # steps are the bar's to show
                say(f"{_clock_time(event)}{event.get('message', '')}")
        if state in WAITING and link.clock.elapsed() - spoke >= silence:
            spoke, silence = link.clock.elapsed(), min(2 * silence, 3600.0)
            waited = max(0.0, link.clock.now() - min(record.content["first_seen"].values()))
            say(f"still {state} after {waited / 60:.0f} minutes")
        _advance(progress, record)
        if state != last:
            log.debug("job %s: %s -> %s", job_id, last, state)
            if state not in (*OVER, *WAITING, "running"):
                log.warning("%s says that job %s is %r, a state that is not known here; it is watched on", link.provider.name, job_id, state)
            last = state
        record.save()
        if state in OVER:
            return _end(link, record, state)
        link.clock.sleep(_pause(link, record))


def _new_events(link: Link, record: JobFile) -> list[Json]:
    """Events since the last look, oldest first, in whichever order the provider lists them.

    They are for the reader: where they cannot be had, watching goes on, and a later look takes in what this one missed.
    """
    if not link.provider.can.events:
        return []
    known, job_id = {event["id"] for event in record.content["events"]}, str(record.content["id"])

    def enough(page: list[Json]) -> bool:
        return _newest_first(page) and any(event["id"] in known for event in page)

    try:
        told = list(link.pages("the job's events", lambda after: link.service.events(job_id, after), enough=enough))
    except (Refused, ServiceDown) as error:
        log.info("%s", error)
        return []
    return record.add_events(told[::-1] if _newest_first(told) else told)


def _newest_first(events: list[Json]) -> bool:
    """Whether events are listed as OpenAI does; Nebius begins with the oldest."""
    times = [event["created_at"] for event in events if isinstance(event.get("created_at"), int | float)]
    return not times or times[0] >= times[-1]


def _advance(progress: Any, record: JobFile) -> None:
    found = progress_of(record.content["events"])
    if found:
        if progress.total is None:
            progress.reset(found[1])  # what it waited in the queue says nothing about its steps
        progress.total = found[1]
    finish = record.content.get("estimated_finish")
    if isinstance(finish, int | float):
        progress.set_postfix_str(f"done about {datetime.datetime.fromtimestamp(finish).strftime('%H:%M')}", refresh=False)
    if found and found[0] > progress.n:  # a look that finds nothing new is no news: a log would get a line for each
        progress.update(found[0] - progress.n)


def _pause(link: Link, record: JobFile) -> float:
    """Longer between looks the longer it has taken, up to eight times the provider's usual."""
    begun = record.content.get("created_at") or min(record.content["first_seen"].values())
    hours = max(0.0, link.clock.now() - float(begun)) / 3600
    return float(link.provider.poll_s * min(8.0, 1.0 + hours))


def _clock_time(event: Json) -> str:
    at = event.get("created_at")
    return datetime.datetime.fromtimestamp(at).strftime("%H:%M:%S  ") if isinstance(at, int | float) else ""


def _end(link: Link, record: JobFile, state: str) -> Json:
    """The record of a job that is over. Raises TrainingFailed where it did not succeed."""
    job_id = record.content["id"]
    if state == "succeeded":
        _note_checkpoints(link, record)
        return record.content
    error = record.content.get("error")
    reason = error.get("message") if isinstance(error, dict) else error
    told = next((event["message"] for event in reversed(record.content["events"]) if event.get("level") == "error"), None)
    again = f"To start anew, change a setting or the rows, or remove {record.path.parent / 'intent.json'}."
    if state == "cancelled":
        raise TrainingFailed(f"Job {job_id} was cancelled at {link.provider.name}. {again}")
    said = str(reason or told or "no reason was given").rstrip(". ")
    raise TrainingFailed(f"Job {job_id} failed at {link.provider.name}: {said}.{_row_named(said, record.path.parent)} {again}")


def _row_named(reason: str, folder: Path) -> str:
    """The question of the row whose line a failure's reason names, so that nobody has to count; empty where it names none of ours."""
    named = re.search(r"\bline (\d+)", reason, re.IGNORECASE)
    path = folder / ("valid.jsonl" if "validation" in reason.lower() else "train.jsonl")
    if not named or not path.exists():
        return ""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        line = next(islice(file, max(0, int(named[1]) - 1), None), "")
    try:
        said = next(str(message["content"]) for message in json.loads(line)["messages"] if message["role"] == "user")
    except (ValueError, LookupError, TypeError, StopIteration):
        said = line
    return f" That line of {path.name} asks: {printable(said.strip()[-ROW_SHOWN:])!r}." if line.strip() else ""


def _note_checkpoints(link: Link, record: JobFile) -> None:
    """Keep the models of earlier steps that the job left, where the provider keeps any; without them the job is as good."""
    if not link.provider.can.checkpoints:
        return
    job_id = str(record.content["id"])
    try:
        found = link.patiently("the job's checkpoints", lambda: link.service.checkpoints(job_id), tries=3).get("data")
    except (Refused, ServiceDown) as error:
        log.warning("the job's checkpoints are not known: %s", error)
        return
    kept = ("id", "fine_tuned_model_checkpoint", "step_number", "metrics")
    rows = found if isinstance(found, list) else []
    record.content["checkpoints"] = [{name: row.get(name) for name in kept} for row in rows if isinstance(row, dict)]
    record.save()


def times(record: Json) -> dict[str, float | None]:
    """Seconds in the queue, in training and in all, from events where they say it, else from what the watcher saw.

    A service that tells in how many seconds it trained, as the sandbox does, is believed: from its start to its end it may have stood still.
    None where that is not known, as where a clock that was set anew has the end before the beginning.
    """
    created, finished = record.get("created_at"), record.get("finished_at") or record["first_seen"].get("succeeded")
    begun = next((event.get("created_at") for event in record["events"] if "started" in str(event.get("message", "")).lower()), None)
    started = begun if isinstance(begun, int | float) else record["first_seen"].get("running")
    queue, trained = _between(created, started), record.get("trained_seconds")
    if trained is not None:
        return {"queue": queue, "train": float(trained), "total": None if queue is None else queue + trained}
    return {"queue": queue, "train": _between(started, finished), "total": _between(created, finished)}


def _between(first: Any, last: Any) -> float | None:
    return float(last) - float(first) if first and last and first <= last else None
