"""Batches: a file of chat requests in, a file of answers out, some time later and at half the price."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ftlib.training.sandbox.replies import ApiError
from ftlib.training.sandbox.store import Store, public

Json = dict[str, Any]
TOGETHER = 32  # requests of a batch under way at once


class Batches:
    """Works through batches, each in a thread of its own; those that a killed service left are begun anew."""

    def __init__(self, store: Store, complete: Callable[[Json], Json]) -> None:
        self._store, self._complete = store, complete
        for batch in store.all("batches"):
            if batch["status"] in ("validating", "in_progress"):
                self._begin(batch["id"])

    def create(self, body: Json) -> Json:
        """Accept a batch. Raises ApiError."""
        file = self._store.get("files", str(body.get("input_file_id")))
        if file is None or file["purpose"] != "batch":
            raise ApiError(400, "input_file_id is no uploaded file for a batch.", param="input_file_id")
        if body.get("endpoint") != "/v1/chat/completions":
            raise ApiError(400, "endpoint must be /v1/chat/completions.", param="endpoint")
        batch = self._store.add("batches", "batch", {
            "object": "batch", "endpoint": body["endpoint"], "input_file_id": file["id"], "completion_window": body.get("completion_window"),
            "status": "validating", "output_file_id": None, "error_file_id": None, "metadata": body.get("metadata") or {},
        })  # fmt: skip
        self._begin(batch["id"])
        return public(batch)

    def _begin(self, batch_id: str) -> None:
        threading.Thread(target=self._run, args=(batch_id,), name="sandbox-batch", daemon=True).start()

    def _run(self, batch_id: str) -> None:
        batch = self._store.change("batches", batch_id, status="in_progress")
        lines = [json.loads(line) for line in self._store.data(batch["input_file_id"]).read_bytes().splitlines() if line.strip()]
        with ThreadPoolExecutor(TOGETHER) as pool:
            rows = list(pool.map(self._one, lines))
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        out = self._store.add_file("batch_output.jsonl", text.encode(), "batch_output")
        self._store.change("batches", batch_id, status="completed", output_file_id=out["id"], completed_at=int(time.time()))

    def _one(self, line: Json) -> Json:
        try:
            status, body = 200, self._complete(line["body"])
        except ApiError as error:
            status, body = error.reply.status, error.reply.value
        return {"custom_id": line["custom_id"], "response": {"status_code": status, "body": body}, "error": None}
