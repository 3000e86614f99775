"""Together behind the same verbs: files and training through its own client, answers as everybody spells them.

Its creations have quirks of their own: identical files share one id, a job carries no metadata, and it is found again by
the suffix in its output's name, which holds the key.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Awaitable
from typing import Any
from urllib.parse import urlsplit

from ftlib.errors import MissingExtra
from ftlib.files import hash_json, scratch_folder
from ftlib.training.hosted.failures import Failure
from ftlib.training.hosted.keys import Key
from ftlib.training.hosted.openai_service import OpenAIService
from ftlib.training.hosted.provider import Provider
from ftlib.training.hosted.service import Json, redacted

BEFORE = ("/fine-tunes/models/limits", "/fine-tunes/estimate-price")  # what the client asks before it creates a job
NANO = 1e9  # parts of a dollar that its prices are in
METRICS = "/metrics"  # after a job's id: stands for a result file


class TogetherService(OpenAIService):
    """See ``ftlib.training.hosted.service.Service``. Raises MissingExtra without the together library, or with one that is too old."""

    def __init__(self, provider: Provider, key: Key) -> None:
        super().__init__(provider, key)
        try:
            import together
        except ImportError:
            raise MissingExtra("Tuning at Together needs its own client: pip install 'together>=3.1'.") from None
        if tuple(map(int, together.__version__.split(".")[:2])) < (3, 1):  # those before ask for other addresses
            raise MissingExtra(f"Tuning at Together needs a newer client than {together.__version__}: pip install 'together>=3.1'.")
        self._evaluations = provider.evaluations
        parts = urlsplit(provider.address or "")
        self._together: Any = together.AsyncTogether(
            api_key=key.reveal(), base_url=f"{parts.scheme}://{parts.netloc}", max_retries=0, timeout=provider.attempt_s
        )

    async def _plain(self, call: Awaitable[Any]) -> Json:
        """A typed reply as plain JSON, its fields named as the wire names them.

        Before it creates a job, the client asks for limits and a price; where one of these is lost, nothing was sent to be created.
        """
        try:
            made = await call
        except Exception as error:
            failure = redacted(error, self._key)
            url = getattr(getattr(error, "request", None), "url", None)
            if url is not None and url.path.endswith(BEFORE) and failure.kind in ("lost", "server", "malformed"):
                failure.kind = "unsent"
            raise failure from None
        if not hasattr(made, "model_dump"):
            raise Failure("malformed", "the reply is not JSON")
        return dict(made.model_dump(mode="json", by_alias=True))

    async def upload(self, name: str, data: bytes, purpose: str) -> Json:
        """Send a file under a name; the client reads it from a folder of its own."""
        with scratch_folder() as folder:
            path = folder / name
            path.write_bytes(data)
            return await self._plain(self._together.files.upload(path, purpose=purpose, check=False))

    async def file(self, file_id: str) -> Json:
        """One file's record, its state in OpenAI's words."""
        found = await self._plain(self._together.files.retrieve(file_id))
        report = found.get("validation_report") or {}
        bad = isinstance(report, dict) and report.get("valid") is False
        return {**found, "status": "error" if bad else "processed", "status_details": report.get("error") if bad else None}

    async def files(self, after: str | None) -> Json:
        """All files; there are no pages."""
        return await self._plain(self._together.files.list())

    async def content(self, file_id: str) -> bytes:
        """A file's bytes; a job's metrics as the table that others have in a result file."""
        if file_id.endswith(METRICS):
            return metrics_csv(await self._plain(self._together.fine_tuning.list_metrics(file_id.removesuffix(METRICS))))
        try:
            reply = await self._together.files.content(file_id)
            return bytes(await reply.read())
        except Exception as error:
            raise redacted(error, self._key) from None

    async def start(self, request: Json) -> Json:
        """Create a job from a request in OpenAI's spelling."""
        hyper = request["method"]["supervised"]["hyperparameters"]
        own: Json = {name: request[name] for name in ("model", "training_file", "suffix")} | {"random_seed": request["seed"]}
        for theirs, ours in (("n_epochs", "n_epochs"), ("batch_size", "batch_size"), ("learning_rate", "learning_rate_multiplier")):
            if ours in hyper:
                own[theirs] = hyper[ours]
        if request.get("validation_file"):
            own |= {"validation_file": request["validation_file"], "n_evals": self._evaluations}
        return job_of(await self._plain(self._together.fine_tuning.create(**own)))

    async def job(self, job_id: str) -> Json:
        """One job."""
        return job_of(await self._plain(self._together.fine_tuning.retrieve(job_id)))

    async def jobs(self, after: str | None, key: str | None) -> Json:
        """All jobs; there are no pages."""
        found = await self._plain(self._together.fine_tuning.list())
        return {"data": [job_of(job) for job in found.get("data") or []], "has_more": False}

    async def events(self, job_id: str, after: str | None) -> Json:
        """All events, newest first, with ids made of what they say."""
        found = await self._plain(self._together.fine_tuning.list_events(job_id))
        events = sorted(map(event_of, found.get("data") or []), key=lambda event: float(event["created_at"] or 0), reverse=True)
        return {"data": events, "has_more": False}

    async def checkpoints(self, job_id: str) -> Json:
        """A job's checkpoints."""
        found = await self._plain(self._together.fine_tuning.list_checkpoints(job_id))
        rows = found.get("data") or []
        named = [{"step_number": row.get("step"), "fine_tuned_model_checkpoint": row.get("object_name") or row.get("path")} for row in rows]
        return {"data": named, "has_more": False}

    async def act(self, job_id: str, verb: str) -> Json:
        """``cancel`` is all that there is."""
        return job_of(await self._plain(getattr(self._together.fine_tuning, verb)(job_id)))

    async def aclose(self) -> None:
        """Close both clients."""
        with contextlib.suppress(RuntimeError):
            await self._together.close()
        await super().aclose()


def job_of(job: Json) -> Json:
    """A job in OpenAI's words. Its output's name stands for the tuned model from the start, so it counts only at the end."""
    done = job.get("status") == "completed"
    tuned = job.get("model_output_name")
    return {
        "id": job.get("id"), "status": job.get("status"), "model": job.get("model"), "fine_tuned_model": tuned if done else None,
        "user_provided_suffix": tuned, "training_file": job.get("training_file"), "trained_tokens": job.get("token_count") if done else None,
        "billed_usd": job["total_price"] / NANO if done and isinstance(job.get("total_price"), int) else None,
        "created_at": seconds(job.get("created_at")), "finished_at": seconds(job.get("updated_at")) if done else None,
        "hyperparameters": {"n_epochs": job["n_epochs"]} if job.get("n_epochs") else None, "metadata": None,
        "result_files": [f"{job.get('id')}{METRICS}"] if done else [],
    }  # fmt: skip


def metrics_csv(found: Json) -> bytes:
    """Rows such as {"train/global_step": 7, "train/loss": 0.5} (of an evaluation: "eval/loss") as a table of losses."""
    rows = [[row.get(key, "") for key in ("train/global_step", "train/loss", "eval/loss")] for row in found.get("metrics") or []]
    return "\n".join(["step,train_loss,valid_loss", *(",".join(map(str, row)) for row in rows)]).encode()


def event_of(event: Json) -> Json:
    """An event in OpenAI's words."""
    return {
        "id": hash_json(event)[:24],
        "created_at": seconds(event.get("created_at")),
        "level": event.get("level"),
        "message": event.get("message"),
        "data": {name: event[name] for name in ("step", "total_steps") if event.get(name)},
    }


def seconds(text: Any) -> float | None:
    """Seconds since 1970 of an ISO time."""
    if not isinstance(text, str):
        return None
    try:
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None
