"""The service's endpoints: a request in, a reply out, no sockets."""

from __future__ import annotations

import hmac
import json
import logging
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from ftlib.training.sandbox.batches import Batches
from ftlib.training.sandbox.batching import Batcher
from ftlib.training.sandbox.engine import Ask, Engine
from ftlib.training.sandbox.faults import Faults
from ftlib.training.sandbox.jobs import OVER, Jobs
from ftlib.training.sandbox.models import Models
from ftlib.training.sandbox.multipart import parse_form
from ftlib.training.sandbox.replies import ApiError, Reply, reshape
from ftlib.training.sandbox.rules import training_settings
from ftlib.training.sandbox.store import Store, public

log = logging.getLogger("ftlib")
Json = dict[str, Any]
MAX_FILE = 512 * 2**20


@dataclass
class Request:
    """One HTTP request, read whole."""

    method: str
    target: str
    headers: dict[str, str]  # names in lower case
    body: bytes = b""
    query: dict[str, str] = field(default_factory=dict)

    def json(self) -> Json:
        """The body as a JSON object. Raises ApiError."""
        try:
            value = json.loads(self.body)
        except ValueError:
            raise ApiError(400, "We could not parse the JSON body of your request.") from None
        if not isinstance(value, dict):
            raise ApiError(400, "The body must be a JSON object.")
        return value


Handler = Callable[..., Any]


class Api:
    """All endpoints over one store and one engine."""

    def __init__(self, store: Store, engine: Engine, faults: Faults, key: str) -> None:
        self.store, self.engine, self.faults, self._key = store, engine, faults, key
        self.models = Models(store, engine.name)
        self.batcher = Batcher(engine)
        self.jobs = Jobs(store, engine, faults)
        self.batches = Batches(store, self._complete)
        self.seen: list[str] = []  # endpoints asked, in order
        thing = r"([^/]+)"
        self._routes: list[tuple[str, str, str, Handler]] = [
            ("POST", "/v1/files", "files.create", self._file_create),
            ("GET", "/v1/files", "files.list", self._file_list),
            ("GET", f"/v1/files/{thing}", "files.get", lambda _, i: public(self._thing("files", i))),
            ("GET", f"/v1/files/{thing}/content", "files.content", lambda _, i: self.store.data(self._thing("files", i)["id"]).read_bytes()),
            ("DELETE", f"/v1/files/{thing}", "files.delete", self._file_delete),
            ("POST", "/v1/fine_tuning/jobs", "jobs.create", self._job_create),
            ("GET", "/v1/fine_tuning/jobs", "jobs.list", self._job_list),
            ("GET", f"/v1/fine_tuning/jobs/{thing}", "jobs.get", self._job_get),
            ("GET", f"/v1/fine_tuning/jobs/{thing}/events", "jobs.events", self._job_events),
            ("GET", f"/v1/fine_tuning/jobs/{thing}/checkpoints", "jobs.checkpoints", self._job_checkpoints),
            ("POST", f"/v1/fine_tuning/jobs/{thing}/(cancel|pause|resume)", "jobs.act", self._job_act),
            ("GET", "/v1/models", "models.list", lambda _: {"object": "list", "data": self.models.all()}),
            ("GET", "/v1/models/(.+)", "models.get", lambda _, name: self.models.shown(name)),
            ("POST", "/v1/chat/completions", "chat", lambda request: self._chat(request.json())),
            ("POST", "/v1/batches", "batches.create", lambda request: self.batches.create(request.json())),
            ("GET", "/v1/batches", "batches.list", lambda request: self._page(self.store.all("batches"), request.query)),
            ("GET", f"/v1/batches/{thing}", "batches.get", lambda _, i: public(self._thing("batches", i))),
        ]

    def route(self, request: Request) -> tuple[str, Handler, tuple[str, ...]]:
        """The endpoint's name, what handles it, and the parts of its path."""
        parts = urlsplit(request.target)
        request.query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        for method, pattern, name, handler in self._routes:
            match = re.fullmatch(pattern, parts.path)
            if match and method == request.method:
                return name, handler, tuple(map(unquote, match.groups()))
        raise ApiError(404, f"Invalid URL ({request.method} {parts.path})")

    def authorise(self, request: Request) -> None:
        """Raises ApiError 401 without the right key."""
        given = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if not hmac.compare_digest(given.encode(), self._key.encode()):
            raise ApiError(401, "Incorrect API key provided.", code="invalid_api_key")

    def handle(self, request: Request, handler: Handler, parts: tuple[str, ...]) -> Reply:
        """The reply of an endpoint."""
        try:
            value = handler(request, *parts)
        except ApiError as error:
            return error.reply
        except Exception as error:  # one request fails, the service goes on
            log.exception("%s %s", request.method, request.target)
            return ApiError(500, f"The server had an error while processing your request: {error}").reply
        return Reply(value, kind="application/octet-stream" if isinstance(value, bytes) else "application/json")

    def close(self) -> None:
        """Stop working; jobs under way are left for a later service."""
        self.jobs.close()
        self.batcher.close()

    def _thing(self, kind: str, thing_id: str) -> Json:
        thing = self.store.get(kind, thing_id)
        if thing is None:
            raise ApiError(404, f"No such {kind.removesuffix('s')} object: {thing_id}", code="not_found", param="id")
        return thing

    def _page(self, things: list[Json], query: dict[str, str]) -> Json:
        """One page of things that come newest first: at most ``limit`` after the one named ``after``."""
        try:
            limit = max(1, min(10_000, int(query.get("limit", "20"))))
        except ValueError:
            raise ApiError(400, "limit must be an integer.", param="limit") from None
        ids = [thing["id"] for thing in things]
        after = query.get("after")
        start = ids.index(after) + 1 if after in ids else 0
        page = [public(thing) for thing in things[start : start + limit]]
        first, last = (page[0]["id"], page[-1]["id"]) if page else (None, None)
        return {"object": "list", "data": page, "has_more": start + limit < len(things), "first_id": first, "last_id": last}

    # -- files ---------------------------------------------------------------------------------------------------
    def _file_create(self, request: Request) -> Json:
        form = parse_form(request.body, request.headers.get("content-type", ""))
        if "file" not in form or form["file"].filename is None:
            raise ApiError(400, "file is missing.", param="file")
        purpose = form["purpose"].data.decode("utf-8", "replace") if "purpose" in form else ""
        name, data = form["file"].filename or "", form["file"].data
        if purpose not in ("fine-tune", "batch"):
            raise ApiError(400, f"{purpose!r} is not one of ['fine-tune', 'batch'].", param="purpose")
        if not name.endswith(".jsonl"):
            raise ApiError(400, f"Invalid file format {name!r}: only .jsonl.", param="file")
        if not data or len(data) > MAX_FILE:
            raise ApiError(400, "The file is empty." if not data else "The file is larger than 512 MB.", param="file")
        return public(self.store.add_file(name, data, purpose))

    def _file_list(self, request: Request) -> Json:
        purpose = request.query.get("purpose")
        return self._page([file for file in self.store.all("files") if purpose in (None, file["purpose"])], request.query)

    def _file_delete(self, _: Request, file_id: str) -> Json:
        self.store.remove("files", self._thing("files", file_id)["id"])
        return {"id": file_id, "object": "file", "deleted": True}

    # -- jobs ----------------------------------------------------------------------------------------------------
    def _job_create(self, request: Request) -> Json:
        body = request.json()
        model = str(body.get("model"))
        self.models.require_tunable(model)
        for role in ("training_file", "validation_file"):
            file = self.store.get("files", str(body.get(role))) if body.get(role) else None
            if (role == "training_file" or body.get(role)) and (file is None or file["purpose"] != "fine-tune"):
                raise ApiError(400, f"{role} {body.get(role)!r} is no uploaded file for fine-tuning.", code="file_not_found", param=role)
        suffix, metadata = body.get("suffix"), body.get("metadata") or {}
        if suffix is not None and not (isinstance(suffix, str) and 1 <= len(suffix) <= 64):
            raise ApiError(400, "suffix must have 1 to 64 characters.", param="suffix")
        if not isinstance(metadata, dict) or len(metadata) > 16 or not all(isinstance(v, str) and len(v) <= 512 for v in metadata.values()):
            raise ApiError(400, "metadata takes at most 16 pairs of texts of at most 512 characters.", param="metadata")
        rows = self.store.data(body["training_file"]).read_bytes().count(b"\n")
        shown, settings = training_settings(body, rows)
        job = self.store.add("jobs", "ftjob", {
            "object": "fine_tuning.job", "model": model, "status": "validating_files", "fine_tuned_model": None, "finished_at": None,
            "error": None, "training_file": body["training_file"], "validation_file": body.get("validation_file"), "result_files": [],
            "hyperparameters": shown, "method": {"type": "supervised", "supervised": {"hyperparameters": shown}}, "seed": settings["seed"],
            "trained_tokens": None, "organization_id": "org-sandbox", "user_provided_suffix": suffix, "metadata": metadata,
            "estimated_finish": None, "integrations": [], "private": {"settings": settings},
        })  # fmt: skip
        self.store.add_event(job["id"], f"Created fine-tuning job: {job['id']}")
        self.jobs.enqueue(job["id"])
        return public(job)

    def _job_list(self, request: Request) -> Json:
        wanted = {name[9:-1]: value for name, value in request.query.items() if name.startswith("metadata[")}
        jobs = [job for job in self.store.all("jobs") if all(job["metadata"].get(name) == value for name, value in wanted.items())]
        return self._page(jobs, request.query)

    def _job_get(self, _: Request, job_id: str) -> Json:
        job = self._thing("jobs", job_id)
        self.jobs.take_up(job)
        fault = self.faults.take("jobs.get", "job", among=("unknown-status", "status-none", "missing-fields"))
        if fault in ("unknown-status", "status-none"):
            return {**public(job), "status": "reticulating" if fault == "unknown-status" else None}
        return {"id": job["id"], "status": job["status"]} if fault == "missing-fields" else public(job)

    def _job_events(self, request: Request, job_id: str) -> Json:
        self._thing("jobs", job_id)
        page = self._page(self.store.events(job_id), request.query)
        return {**page, "has_more": True} if self.faults.has("endless-pages") else page

    def _job_checkpoints(self, request: Request, job_id: str) -> Json:
        return self._page(self._thing("jobs", job_id)["private"].get("checkpoints", []), request.query)

    def _job_act(self, _: Request, job_id: str, verb: str) -> Json:
        job = self._thing("jobs", job_id)
        allowed = job["status"] == "paused" if verb == "resume" else job["status"] not in OVER
        if not allowed:
            raise ApiError(400, f"Job {job_id} is {job['status']}; it cannot {verb}.")
        if verb == "cancel":
            job = self.store.change("jobs", job_id, status="cancelled", finished_at=int(time.time()))
        else:
            job = self.store.change("jobs", job_id, status="paused" if verb == "pause" else "queued")
        self.store.add_event(job_id, f"Fine-tuning job {({'cancel': 'cancelled', 'pause': 'paused', 'resume': 'resumed'})[verb]}")
        if verb == "resume":
            self.jobs.enqueue(job_id)
        return public(job)

    # -- answers -------------------------------------------------------------------------------------------------
    def _chat(self, body: Json) -> Json:
        answer = self._complete(body)
        fault = self.faults.take("chat", "shape")
        return reshape(fault, answer) if fault else answer

    def _complete(self, body: Json) -> Json:
        """One chat completion, batched with those that arrive at the same time."""
        model, messages = str(body.get("model")), body.get("messages")
        folder = self.models.folder(model)
        if not isinstance(messages, list) or not messages or not all(isinstance(m, dict) and isinstance(m.get("content"), str) for m in messages):
            raise ApiError(400, "messages must be a list of messages whose content is text.", param="messages")
        if body.get("stream"):
            raise ApiError(400, "Streaming is not offered here.", param="stream")
        limit = body.get("max_completion_tokens") or body.get("max_tokens") or 256
        stop = body.get("stop") or []
        ask = Ask(
            folder,
            min(int(limit), 1024),
            float(body.get("temperature") or 0.0),
            tuple([stop] if isinstance(stop, str) else stop),
            int(body.get("seed") or 42),
        )
        said = self.batcher.answer(ask, [{"role": str(m.get("role")), "content": m["content"]} for m in messages])
        message = {"role": "assistant", "content": said.text, "refusal": None}
        return {
            "id": f"chatcmpl-{uuid.uuid4().hex[:24]}", "object": "chat.completion", "created": int(time.time()), "model": model,
            "choices": [{"index": 0, "message": message, "finish_reason": said.finish, "logprobs": None}],
            "usage": {"prompt_tokens": said.tokens_in, "completion_tokens": said.tokens_out, "total_tokens": said.tokens_in + said.tokens_out},
            "system_fingerprint": "fp_" + uuid.uuid5(uuid.NAMESPACE_URL, model).hex[:10],
        }  # fmt: skip
