"""Together through its own client, against a stand-in that speaks Together's own endpoints over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ftlib.errors import Refused
from ftlib.files import read_json
from tests.training.hosted.helpers import MakeRun, MakeTrainer, prompts

KEY = "together-canary-123"


class Together(BaseHTTPRequestHandler):
    """The endpoints that the client asks for, of one account."""

    protocol_version = "HTTP/1.1"
    files: dict[str, dict[str, Any]]
    jobs: dict[str, dict[str, Any]]
    lose_reply_to: list[str]

    def log_message(self, *args: Any) -> None:
        """Quiet."""

    def send(self, value: Any, status: int = 200, **headers: str) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path == "/v1/fine-tunes":
            self.send({"data": list(self.jobs.values())})
        elif path.endswith("/events"):
            self.send({"data": [{"object": "fine-tune-event", "created_at": "2026-11-01T10:00:00Z", "message": "Job started", "type": "job_start"}]})
        elif path.endswith("/metrics"):
            train = [{"train/global_step": step, "train/loss": 2 / step, "train/learning_rate": 0.1} for step in (1, 2)]
            self.send({"metrics": [*train, {"train/global_step": 2, "eval/loss": 1.5}]})
        elif path.endswith("/checkpoints"):
            self.send({"data": [{"checkpoint_type": "Final (2)", "created_at": "2026-11-01T11:00:00Z", "path": "s3://x", "step": 2}]})
        elif path == "/v1/fine-tunes/models/limits":
            if self.lost("limits"):
                return
            lora = {"max_batch_size": 8, "max_batch_size_dpo": 8, "min_batch_size": 1, "max_rank": 64, "target_modules": ["k"], "default_rank": 8}
            self.send(
                {
                    "model_name": "m",
                    "max_num_epochs": 9,
                    "max_num_evals": 9,
                    "max_learning_rate": 1,
                    "min_learning_rate": 0,
                    "lora_training": lora,
                    "default_gradient_accumulation_steps": 1,
                    "max_num_checkpoints": 3,
                }
            )
        elif path.startswith("/v1/fine-tunes/"):
            job = self.jobs[path.rpartition("/")[2]]
            job["status"] = "completed"
            self.send(job)
        elif path == "/v1/files":
            self.send({"data": list(self.files.values())})
        else:
            self.send(self.files[path.rpartition("/")[2]])

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send({})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/v1/files":
            name = next((part.split(b"\r\n\r\n")[1].split(b"\r\n")[0].decode() for part in raw.split(b"--") if b'name="file_name"' in part), "?")
            new = f"file-{len(self.files)}"
            self.files[new] = {
                "id": new,
                "object": "file",
                "created_at": 1,
                "filename": name,
                "bytes": 1,
                "purpose": "fine-tune",
                "Processed": True,
                "FileType": "jsonl",
                "LineCount": 1,
            }
            port = self.server.server_address[1]
            self.send({}, 302, Location=f"http://127.0.0.1:{port}/put", X_Together_File_Id=new)
        elif self.path.endswith("/preprocess"):
            self.send(self.files[self.path.split("/")[3]])
        elif self.path.endswith("/estimate-price"):
            if self.lost("price"):
                return
            self.send(
                {
                    "estimated_total_price": 1,
                    "user_limit": 9,
                    "allowed_to_proceed": True,
                    "estimated_train_token_count": 1,
                    "estimated_eval_token_count": 1,
                }
            )
        else:
            body = json.loads(raw)
            new = f"ft-{len(self.jobs)}"
            self.jobs[new] = {
                "id": new,
                "status": "pending",
                "user_id": "u",
                "model": body["model"],
                "training_file": body["training_file"],
                "n_epochs": 2,
                "model_output_name": f"me/m-{body['suffix']}",
                "token_count": 4000,
                "total_price": 4_200_000_000,
                "created_at": "2026-11-01T10:00:00Z",
                "updated_at": "2026-11-01T11:00:00Z",
            }
            if not self.lost("jobs"):
                self.send(self.jobs[new])

    def lost(self, what: str) -> bool:
        """Whether this reply is to be lost: the connection is closed in its place."""
        if what not in self.lose_reply_to:
            return False
        self.lose_reply_to.remove(what)
        self.close_connection = True
        return True


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    pytest.importorskip("together")
    monkeypatch.setenv("TOGETHER_API_KEY", KEY)
    monkeypatch.setenv("TOGETHER_ALLOW_INSECURE_UPLOAD_REDIRECTS", "1")
    handler = type("Handler", (Together,), {"files": {}, "jobs": {}, "lose_reply_to": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    handler.url = f"http://127.0.0.1:{server.server_address[1]}/v1"  # type: ignore[attr-defined]
    yield handler
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("lost", [[], ["jobs"], ["limits"], ["price", "limits"]])
def test_a_job_is_trained_once(service: Any, make_run: MakeRun, make_trainer: MakeTrainer, lost: list[str]) -> None:
    service.lose_reply_to[:] = lost
    quick = {"base_url": service.url, "poll_s": 0.02, "lookup_grace_s": 0.2, "attempt_s": 5.0, "free": True}
    trainer = make_trainer(make_run(provider="together", providers={"together": quick}))
    trainer.train()
    report = read_json(trainer.run.folder("h") / "training.json")
    assert report["status"] == "done"
    assert report["tokens"]["billed"] == 4000
    assert report["seconds"]["total"] == 3600.0
    assert report["tuned_model"].startswith("me/m-h-")
    assert [(point["step"], point["train"], point["valid"]) for point in report["loss"]] == [(1, 2.0, None), (2, 1.0, 1.5)]
    job = read_json(trainer.run.folder("h") / "job.json")
    assert [kept["step_number"] for kept in job["checkpoints"]] == [2]
    assert len(service.jobs) == 1
    with pytest.raises(Refused, match=r"deploy it at .*served: \{h: NAME"):
        list(trainer.ask(prompts(1), tuned=True))
    assert [file["filename"].rpartition("-")[2] for file in service.files.values()] == ["train.jsonl", "valid.jsonl"]


def test_the_bill_is_togethers_own(service: Any, make_run: MakeRun, make_trainer: MakeTrainer, tmp_path: Path) -> None:
    row = "- {provider: together, model: tiny-hosted, unit: training_token, usd: 1, per: 1000, date: 2026-11-01, source: t}"
    (tmp_path / "prices.yaml").write_text(row)
    quick = {"base_url": service.url, "poll_s": 0.02, "lookup_grace_s": 0.2, "attempt_s": 5.0}
    trainer = make_trainer(make_run(provider="together", providers={"together": quick}, budget=50.0, prices=str(tmp_path / "prices.yaml")))
    trainer.train()
    report = read_json(trainer.run.folder("h") / "training.json")
    assert (report["money_usd"], report["how"]["money_usd"]) == (pytest.approx(4.2), "billed")
    assert trainer.ledger.spent_usd == pytest.approx(4.2)


def test_a_job_in_openais_words() -> None:
    from ftlib.training.hosted.together_service import event_of, job_of

    job = {"id": "ft-1", "status": "running", "model_output_name": "me/m-s", "token_count": 5, "created_at": "2026-11-01T10:00:00Z"}
    assert job_of(job)["fine_tuned_model"] is None
    assert job_of(job)["trained_tokens"] is None
    assert job_of({**job, "status": "completed"})["fine_tuned_model"] == "me/m-s"
    assert event_of({"message": "m", "created_at": "not a time"})["created_at"] is None
