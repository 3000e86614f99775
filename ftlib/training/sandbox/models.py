"""The models that the service knows: the base, one about to be shut down, one that is gone, and what jobs made."""

from __future__ import annotations

import datetime
from typing import Any

from ftlib.training.sandbox.replies import ApiError
from ftlib.training.sandbox.store import Store

Json = dict[str, Any]


class Models:
    """Names that can be asked or tuned."""

    def __init__(self, store: Store, base: str) -> None:
        self._store, self.base = store, base
        self._bases: dict[str, str | None] = {base: None, f"{base}-closing": "2027-01-14", f"{base}-gone": "2026-01-14"}  # name -> shutdown date

    def all(self) -> list[Json]:
        """What `GET /models` lists."""
        tuned = [self._row(job["fine_tuned_model"], job["finished_at"], None) for job in self._store.all("jobs") if job.get("fine_tuned_model")]
        return [self._row(name, 1_700_000_000, date) for name, date in self._bases.items()] + tuned

    def shown(self, name: str) -> Json:
        """One model. Raises ApiError 404."""
        found = next((row for row in self.all() if row["id"] == name), None)
        if found is None:
            raise ApiError(404, f"The model `{name}` does not exist or you do not have access to it.", code="model_not_found", param="model")
        return found

    def require_tunable(self, name: str) -> None:
        """Raises ApiError where a job cannot be made from a model."""
        if name not in self._bases:
            raise ApiError(404, f"The model `{name}` does not exist or is not available for fine-tuning.", code="model_not_found", param="model")
        self._alive(name)

    def folder(self, name: str) -> str | None:
        """The folder of a tuned model, None for a base. Raises ApiError 404 for an unknown or gone one."""
        if name in self._bases:
            self._alive(name)
            return None
        for job in self._store.all("jobs"):
            if job.get("fine_tuned_model") == name or any(c["fine_tuned_model_checkpoint"] == name for c in job["private"].get("checkpoints", [])):
                return str(self._store.folder(job["id"]) / "model")
        raise ApiError(404, f"The model `{name}` does not exist or you do not have access to it.", code="model_not_found", param="model")

    def _alive(self, name: str) -> None:
        date = self._bases[name]
        if date and datetime.date.fromisoformat(date) <= datetime.date.today():
            raise ApiError(404, f"The model `{name}` was shut down on {date}.", code="model_not_found", param="model")

    def _row(self, name: str, created: int, shutdown: str | None) -> Json:
        return {"id": name, "object": "model", "created": created, "owned_by": "sandbox", "shutdown_date": shutdown}
