"""Answers through a provider's batch endpoint: hours later, at a share of the price.

A batch is created like a job: its intent is on disk first, it carries a key, it is looked up after a loss. Its output is
on disk before the first answer is handed on, so that nothing in it is asked, or paid for, again.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ftlib.errors import Refused, ServiceDown, TrainingFailed
from ftlib.files import dump_line, hash_json, read_json, read_jsonl, write_atomic
from ftlib.progress import bar
from ftlib.training.hosted.chat import Json, limit_of, read_completion, rendered_hash
from ftlib.training.hosted.creation import Intent, create_once
from ftlib.training.hosted.failures import Failure
from ftlib.training.hosted.ledger import Ledger
from ftlib.training.hosted.link import Link
from ftlib.training.hosted.rates import Rates
from ftlib.training.hosted.starting import upload
from ftlib.training.trainer import Answer

log = logging.getLogger("ftlib")
ENDPOINT = "/v1/chat/completions"
OVER = ("completed", "failed", "expired", "cancelled")
MOST = 50_000  # requests in one batch, OpenAI's limit


class BatchAsker:
    """Asks one model of one provider in batches, kept in a folder of the run."""

    def __init__(self, link: Link, rates: Rates, ledger: Ledger, folder: Path, on_save: Callable[[], None] | None = None) -> None:
        self.link, self.ledger, self.folder, self.on_save = link, ledger, folder, on_save
        self.rates = rates.times(link.provider.batch_discount)

    def ask(self, requests: Sequence[Json]) -> Iterator[tuple[int, Answer]]:
        """Every request's answer: from an output that is on disk, from a batch under way, from a new one.

        Raises Refused, BudgetExceeded, Unclear or ServiceDown; a later call goes on where this one ended.
        """
        ids = custom_ids(requests)
        wanted = dict(zip(ids, requests, strict=True))
        for path in sorted(self.folder.glob("*.intent.json")):
            if not self._output(path).exists() and not self._forgotten(path, wanted):
                self._fetch(path)
        known = self._known()
        missing = [name for name in wanted if name not in known]
        for begin in range(0, len(missing), MOST):
            self._fetch(self._begin({name: wanted[name] for name in missing[begin : begin + MOST]}))
        known = self._known(errors=set(missing))
        for place, (name, request) in enumerate(wanted.items()):
            yield place, self._answer(request, known.get(name))

    def _output(self, intent: Path) -> Path:
        return intent.with_name(intent.name.replace(".intent.json", ".jsonl"))

    def _known(self, errors: set[str] | None = None) -> dict[str, Json]:
        """Rows of all outputs on disk by custom id; failed ones only where they are of the batch that was just made."""
        rows = [row for path in sorted(self.folder.glob("*.jsonl")) for row in read_jsonl(path) if not path.name.endswith(".input.jsonl")]
        return {str(row["custom_id"]): row for row in rows if _body(row) is not None or str(row["custom_id"]) in (errors or set())}

    def _forgotten(self, path: Path, wanted: Mapping[str, Json]) -> bool:
        """Whether a batch of which nothing was sent, and which asks what nobody asks any more, was given up, its money given back."""
        intent = Intent(path, dict(read_json(path)), self.on_save)
        if intent.part("batch")["state"] != "intended" or self._bodies(path).keys() <= wanted.keys():
            return False
        self.ledger.release(f"batch {intent.key}", "not sent")
        path.unlink()
        return True

    def _bodies(self, intent: Path) -> dict[str, Json]:
        """The requests of a batch by custom id."""
        source = intent.with_name(intent.name.replace(".intent.json", ".input.jsonl"))
        return {str(row["custom_id"]): row["body"] for row in read_jsonl(source)}

    def _begin(self, missing: dict[str, Json]) -> Path:
        """Write down a new batch and its input; returns the intent's path."""
        lines = [dump_line({"custom_id": name, "method": "POST", "url": ENDPOINT, "body": request}) for name, request in missing.items()]
        data = "\n".join(lines) + "\n"
        name = f"{1 + max((int(path.name.partition('.')[0]) for path in self.folder.glob('*.intent.json')), default=-1):04d}"
        write_atomic(self.folder / f"{name}.input.jsonl", data)
        path = self.folder / f"{name}.intent.json"
        Intent.open(path, {"input": hash_json(data)}, self.on_save)
        return path

    def _fetch(self, path: Path) -> None:
        """Bring a batch to its end, from wherever it stands, its cost to the ledger and its output to disk."""
        intent, bodies = Intent(path, dict(read_json(path)), self.on_save), self._bodies(path)
        source = path.with_name(path.name.replace(".intent.json", ".input.jsonl"))
        key, worst = f"batch {intent.key}", sum(map(self._worst, bodies.values()))
        reservation = self.ledger.reserve(worst, f"a batch of {len(bodies)} answers", key=key) if worst else None
        try:
            batch_id = self._create(intent, source)
        except (Refused, TrainingFailed):
            if intent.part("batch")["state"] == "intended":  # else there may be one
                self.ledger.release(key, "not created")
            raise
        batch = self._watch(batch_id, len(bodies))
        if not batch.get("output_file_id") and not batch.get("error_file_id"):
            self.ledger.release(key, "it answered nothing")
            why = batch.get("errors") or "no reason was given"
            raise TrainingFailed(
                f"Batch {batch_id} is {batch.get('status')} at {self.link.provider.name}: {why}. To ask anew, remove {path}; to ask one by one, "
                "take batch_api out of the contestant."
            )
        rows = self._rows(batch)
        if reservation is not None:
            answered = [(str(row["custom_id"]), body) for row in rows if (body := _body(row)) is not None]
            reservation.settle(sum(self._cost(body, bodies.get(name)) for name, body in answered))
        write_atomic(self._output(path), "".join(dump_line(row) + "\n" for row in rows))

    def _worst(self, request: Json) -> float:
        return self.rates.worst(request["messages"], limit_of(request))

    def _cost(self, completion: Json, request: Json | None) -> float:
        """What an answer cost; its worst case where it tells no usage."""
        usd = self.rates.cost(completion.get("usage") or {})
        return usd if usd is not None else self._worst(request) if request else 0.0

    def _create(self, intent: Intent, source: Path) -> str:
        link = self.link

        def request() -> Json:
            file_id = upload(link, intent, "input", source, purpose="batch")
            return {"input_file_id": file_id, "endpoint": ENDPOINT, "completion_window": "24h", "metadata": {"ftlib_key": intent.key}}

        def look() -> str | None:
            batches, file_id = link.pages("its list of batches", link.service.batches), intent.part("input").get("id")
            return next((str(batch["id"]) for batch in batches if batch.get("input_file_id") == file_id), None)

        def call(sent: Json) -> Coroutine[Any, Any, Json]:
            return link.service.batch(sent, None)

        return create_once(link, intent, "batch", what="the creation of a batch", request=request, call=call, look=look, fence="input")

    def _watch(self, batch_id: str, count: int) -> Json:
        """Wait for a batch's end."""
        with bar(desc=f"{self.link.provider.name} batch", total=count, unit="answer") as progress:
            while True:
                batch = self.link.patiently("the state of a batch", lambda: self.link.service.batch(None, batch_id))
                counts = batch.get("request_counts") or {}
                done = counts.get("completed") if isinstance(counts, dict) else None
                progress.update(max(0, done - progress.n) if isinstance(done, int) else 0)
                if batch.get("status") in OVER:
                    return batch
                self.link.clock.sleep(4 * self.link.provider.poll_s)

    def _rows(self, batch: Json) -> list[Json]:
        """Rows of the output and of the error file. Raises ServiceDown where one cannot be read."""
        rows: list[Json] = []
        for file_id in (batch.get("output_file_id"), batch.get("error_file_id")):
            if file_id:
                name = str(file_id)
                raw = self.link.patiently("a batch's output", lambda: self.link.service.content(name))  # noqa: B023  called at once
                try:
                    rows += [json.loads(line) for line in raw.decode("utf-8").split("\n") if line.strip()]
                except ValueError as error:
                    raise ServiceDown(f"The output {name} of a batch cannot be read ({error}); run again later, nothing is lost.") from None
        return rows

    def _answer(self, request: Json, row: Json | None) -> Answer:
        hashed = rendered_hash(request["messages"])
        body = _body(row) if row else None
        if body is None:
            said = (row or {}).get("error") or ((row or {}).get("response") or {}).get("body") or "the batch holds no answer"
            return Answer(None, "error", hashed, error=f"batch: {said}"[:500])
        try:
            reading = read_completion(body)
        except Failure as failure:
            return Answer(None, "error", hashed, error=f"{failure.kind}: {failure}")
        counts = [reading.usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
        tokens = [count if isinstance(count, int) else None for count in counts]
        return Answer(reading.text, reading.finish, hashed, tokens[0], tokens[1], None, self._cost(body, request), reading.fingerprint)


def custom_ids(requests: Sequence[Json]) -> list[str]:
    """An id for each request, made of what it asks; the same request asked twice gets two."""
    seen: Counter[str] = Counter()
    ids = []
    for request in requests:
        name = hash_json(request)[:32]
        ids.append(f"{name}-{seen[name]}")
        seen[name] += 1
    return ids


def _body(row: Json) -> Json | None:
    """The completion in a row of an output; None where that request failed."""
    response = row.get("response")
    if not isinstance(response, dict) or response.get("status_code") != 200 or not isinstance(response.get("body"), dict):
        return None
    return dict(response["body"])
