"""The life of a job: files validated, queued, running, and how it ends. One job trains at a time; the service keeps answering."""

from __future__ import annotations

import base64
import csv
import io
import logging
import queue
import threading
import time
from pathlib import Path

from ftlib.training.sandbox.engine import Engine, Interrupted, Json
from ftlib.training.sandbox.faults import Faults
from ftlib.training.sandbox.rules import first_error
from ftlib.training.sandbox.store import Store

log = logging.getLogger("ftlib")
OVER = ("succeeded", "failed", "cancelled")
RESULT = ("step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy")
FROM_EVENT = {"train_accuracy": "train_accuracy", "valid_mean_token_accuracy": "valid_accuracy"}


class Jobs:
    """Works through jobs, one at a time. One that a killed service left is taken up when somebody asks after it."""

    def __init__(self, store: Store, engine: Engine, faults: Faults) -> None:
        self._store, self._engine, self._faults = store, engine, faults
        self._queue: queue.Queue[str | None] = queue.Queue()
        self._mine: set[str] = set()  # waiting here, or under way
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="sandbox-jobs", daemon=True)
        self._thread.start()

    def enqueue(self, job_id: str) -> None:
        """Let a job be worked on when its turn comes."""
        self._mine.add(job_id)
        self._queue.put(job_id)

    def take_up(self, job: Json) -> None:
        """Go on with a job that no service works on; nothing happens where one does."""
        if job["status"] not in (*OVER, "paused") and job["id"] not in self._mine:
            self.enqueue(job["id"])

    def close(self) -> None:
        """Leave the job under way where it is; a later service takes it up."""
        self._ending.set()
        self._queue.put(None)
        self._thread.join(timeout=20)

    def _work(self) -> None:
        while not self._ending.is_set():
            job_id = self._queue.get()
            if job_id is None:
                return
            lock = self._store.claim(job_id)
            if lock is None:  # another service of this machine works on it
                self._mine.discard(job_id)
                continue
            try:
                self._run(job_id)
            except Interrupted:
                log.info("%s: left at its last checkpoint", job_id)
            except Exception as error:
                log.exception("%s failed", job_id)
                self._fail(job_id, "server_error", f"Training failed: {error}")
            finally:
                lock.close()
                self._mine.discard(job_id)

    def _state(self, job_id: str) -> str:
        job = self._store.get("jobs", job_id)
        return str(job["status"]) if job else "cancelled"

    def _fail(self, job_id: str, code: str, message: str, param: str | None = None) -> None:
        self._store.add_event(job_id, message, level="error")
        self._store.change("jobs", job_id, status="failed", finished_at=int(time.time()), error={"code": code, "message": message, "param": param})

    def _run(self, job_id: str) -> None:
        """One job from where it stands to its end. Raises Interrupted where it is to be left."""
        job = self._store.get("jobs", job_id)
        if job is None or job["status"] in (*OVER, "paused"):
            return
        if job["status"] == "validating_files":
            self._store.add_event(job_id, f"Validating training file: {job['training_file']}")
            wrong = self._validate(job)
            if wrong:
                self._fail(job_id, "invalid_training_file", wrong, "training_file")
                return
            self._move(job_id, "validating_files", "queued", "Files validated, moving job to queued state")
        if self._faults.has("fail-queued"):
            self._fail(job_id, "server_error", "The job could not be scheduled.")
            return
        self._engine.prepare()
        self._move(job_id, "queued", "running", "Fine-tuning job started")
        if self._state(job_id) == "running":
            self._train(job)

    def _validate(self, job: Json) -> str | None:
        if self._faults.has("fail-validating"):
            return "The job failed due to an invalid training file. Invalid file format. Line 3: expected a list of messages."
        return first_error(self._store, job)

    def _move(self, job_id: str, before: str, after: str, message: str) -> None:
        if self._state(job_id) == before:
            self._store.change("jobs", job_id, status=after)
            self._store.add_event(job_id, message)

    def _train(self, job: Json) -> None:
        job_id, folder = str(job["id"]), self._store.folder(str(job["id"]))
        first: tuple[float, int] | None = None  # when this service's first step was over, and which it was
        before, begun = float(job.get("trained_seconds") or 0.0), time.monotonic()

        def trained() -> float:
            """Seconds in which the job was trained; those in which it stood still between two services are none."""
            return round(before + time.monotonic() - begun, 3)

        def report(event: Json) -> None:
            nonlocal first
            now, told = time.time(), {"trained_seconds": trained()}
            first = first or (now, event["step"])
            if event["step"] > first[1]:
                a_step = (now - first[0]) / (event["step"] - first[1])
                told["estimated_finish"] = int(now + a_step * (event["steps"] - event["step"]))
            self._store.change("jobs", job_id, **told)
            loss = event.get("train_loss")
            said = f"training loss={loss:.4f}" if loss is not None else f"validation loss={event['valid_loss']:.4f}"
            data = {key: value for key, value in event.items() if value is not None}
            self._store.add_event(job_id, f"Step {event['step']}/{event['steps']}: {said}", data=data)
            if event["step"] >= 2 and self._faults.has("fail-running"):
                raise RuntimeError("a worker was lost at step 2")
            if event["step"] >= 2 and self._faults.has("cancel-running"):
                self._store.change("jobs", job_id, status="cancelled", finished_at=int(time.time()))

        def should_stop() -> bool:
            if self._ending.is_set() or self._state(job_id) != "running":
                raise Interrupted
            return False

        valid = self._store.data(job["validation_file"]) if job["validation_file"] else None
        settings = job["private"]["settings"]
        try:
            made = self._engine.tune(self._store.data(job["training_file"]), valid, settings, folder / "model", report, should_stop)
        finally:
            self._store.change("jobs", job_id, trained_seconds=trained())
        should_stop()
        self._finish(job, made, folder)

    def _finish(self, job: Json, made: Json, folder: Path) -> None:
        """The result file, the checkpoint, the model's name."""
        job_id = str(job["id"])
        metrics = steps_of([event["data"] for event in self._store.events(job_id)[::-1]])  # of every piece of an interrupted training
        text = result_csv(metrics)
        raw = base64.b64encode(text.encode()) if self._faults.has("base64-result") else text.encode()
        result = self._store.add_file("step_metrics.csv", raw, "fine-tune-results")
        suffix = f"{job['user_provided_suffix']}:" if job.get("user_provided_suffix") else ":"
        tuned = f"ft:{job['model']}:sandbox:{suffix}{job_id[-8:]}"
        last = metrics[-1] if metrics else {"step": 0}
        checkpoint = {
            "id": f"ftckpt-{job_id[-24:]}",
            "object": "fine_tuning.job.checkpoint",
            "created_at": int(time.time()),
            "fine_tuned_model_checkpoint": f"{tuned}:ckpt-step-{last['step']}",
            "fine_tuning_job_id": job_id,
            "step_number": last["step"],
            "metrics": {"step": last["step"], "train_loss": last.get("train_loss"), "valid_loss": last.get("valid_loss")},
        }
        self._store.add_event(job_id, f"Checkpoint created at step {last['step']}")
        self._store.add_event(job_id, f"New fine-tuned model created: {tuned}")
        self._store.add_event(job_id, "The job has successfully completed")
        self._store.change(
            "jobs",
            job_id,
            status="succeeded",
            fine_tuned_model=tuned,
            finished_at=int(time.time()),
            estimated_finish=None,
            trained_tokens=made["trained_tokens"],
            result_files=[result["id"]],
            private={**job["private"], "checkpoints": [checkpoint]},
        )


def steps_of(told: list[Json]) -> list[Json]:
    """What a job's metrics events told, in their order, as one row a step; a step that was done again counts as it was told last."""
    rows: dict[int, Json] = {}
    for data in told:
        if "step" in data:
            row = rows.setdefault(int(data["step"]), {"step": data["step"]})
            row.update({name: data[FROM_EVENT.get(name, name)] for name in RESULT[1:] if data.get(FROM_EVENT.get(name, name)) is not None})
    return [rows[step] for step in sorted(rows)]


def result_csv(rows: list[Json]) -> str:
    """The result file as the real service writes it: one row a step, empty where nothing was measured."""
    out = io.StringIO()
    writer = csv.DictWriter(out, RESULT, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
