"""The service over real HTTP, used as the real one is: with the typed openai client."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import openai
import pytest

from ftlib.training.sandbox.jobs import result_csv, steps_of
from ftlib.training.sandbox.server import Limit, Sandbox
from tests.training.sandbox.conftest import KEY, connect, rows
from tests.training.sandbox.stubs import StubEngine


def upload(client: openai.OpenAI, data: bytes | None = None, name: str = "train.jsonl") -> str:
    return client.files.create(file=(name, data if data is not None else rows()), purpose="fine-tune").id


def wait(client: openai.OpenAI, job_id: str, *states: str, seconds: float = 30) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        job = client.fine_tuning.jobs.retrieve(job_id)
        if job.status in states:
            return job
        time.sleep(0.02)
    raise AssertionError(f"the job is {job.status}")


def wait_for_training(engine: StubEngine, nth: int, seconds: float = 30) -> None:
    """Until the nth training was begun: a job is called running before its engine is."""
    until = time.monotonic() + seconds
    while len(engine.tuned) < nth:
        assert time.monotonic() < until, f"{len(engine.tuned)} trainings were begun"
        time.sleep(0.02)


def test_files_survive_a_round_trip(client: openai.OpenAI) -> None:
    odd = b'{"a": "\r\n\\u2028 \xc3\xa9"}\r\n--x\r\n' * 20
    file = client.files.create(file=("odd name.jsonl", odd), purpose="fine-tune")
    assert (file.bytes, file.filename, file.status) == (len(odd), "odd name.jsonl", "processed")
    assert client.files.content(file.id).content == odd
    assert client.files.wait_for_processing(file.id).id == file.id
    assert [one.id for one in client.files.list()] == [file.id]
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)


def test_a_job_runs_to_its_end_with_events_checkpoints_and_result(client: openai.OpenAI) -> None:
    job = client.fine_tuning.jobs.create(
        model="tiny-hosted", training_file=upload(client), validation_file=upload(client, rows(2), "valid.jsonl"), suffix="mine", seed=7,
        metadata={"a": "b"}, method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": 4}}},
    )  # fmt: skip
    assert job.status == "validating_files"
    job = wait(client, job.id, "succeeded")
    assert job.fine_tuned_model == f"ft:tiny-hosted:sandbox:mine:{job.id[-8:]}"
    assert job.trained_tokens == 2000
    assert job.hyperparameters.n_epochs == 2
    assert job.seed == 7
    events = list(client.fine_tuning.jobs.list_events(job.id, limit=2))
    assert events[0].message == "The job has successfully completed"
    assert events[-1].message == f"Created fine-tuning job: {job.id}"
    assert len({event.id for event in events}) == len(events) >= 9
    metrics = [event for event in events if event.type == "metrics"]
    assert metrics[-1].data["train_loss"] == 2.0  # type: ignore[index]
    (checkpoint,) = client.fine_tuning.jobs.checkpoints.list(job.id)
    assert checkpoint.step_number == 3
    lines = client.files.content(job.result_files[0]).text.splitlines()
    assert lines[0] == "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"
    assert lines[3].startswith("3,0.666")
    said = client.chat.completions.create(model=checkpoint.fine_tuned_model_checkpoint, messages=[{"role": "user", "content": "a b"}])
    assert said.choices[0].message.content == "A B"


def test_the_result_holds_every_step_of_a_training_that_was_taken_up_again() -> None:
    first = [{"step": 1, "train_loss": 3.0, "train_accuracy": 0.1}, {"step": 2, "train_loss": 2.5}]
    second = [{"step": 2, "train_loss": 2.4}, {"step": 3, "train_loss": 2.0}, {"step": 3, "valid_loss": 2.2, "valid_accuracy": 0.3}, {}]
    rows = steps_of([*first, *second])
    assert rows == [
        {"step": 1, "train_loss": 3.0, "train_accuracy": 0.1},
        {"step": 2, "train_loss": 2.4},
        {"step": 3, "train_loss": 2.0, "valid_loss": 2.2, "valid_mean_token_accuracy": 0.3},
    ]
    assert result_csv(rows).splitlines()[1:] == ["1,3.0,0.1,,", "2,2.4,,,", "3,2.0,,2.2,0.3"]


def test_a_running_job_tells_when_it_may_be_done(client: openai.OpenAI, engine: StubEngine) -> None:
    engine.steps, engine.step_s = 10, 0.05
    job = client.fine_tuning.jobs.create(model="tiny-hosted", training_file=upload(client))
    while job.status != "succeeded":
        job = client.fine_tuning.jobs.retrieve(job.id)
        if job.estimated_finish is not None:
            break
        time.sleep(0.01)
    assert job.estimated_finish is not None
    assert abs(job.estimated_finish - job.created_at) < 30
    assert wait(client, job.id, "succeeded").estimated_finish is None


def test_jobs_are_listed_newest_first_paged_and_filtered(client: openai.OpenAI) -> None:
    file = upload(client)
    made = [client.fine_tuning.jobs.create(model="tiny-hosted", training_file=file, metadata={"n": str(i)}).id for i in range(5)]
    assert [job.id for job in client.fine_tuning.jobs.list(limit=2)] == made[::-1]
    assert [job.id for job in client.fine_tuning.jobs.list(metadata={"n": "3"})] == [made[3]]


def test_chat_tells_usage_and_fingerprint(client: openai.OpenAI) -> None:
    said = client.chat.completions.create(model="tiny-hosted", messages=[{"role": "user", "content": "one two three"}], max_tokens=5)
    assert said.usage is not None
    assert said.usage.prompt_tokens == 3
    assert said.usage.total_tokens == 6
    assert said.system_fingerprint
    assert said.choices[0].finish_reason == "stop"


def test_requests_at_the_same_time_are_answered_in_one_batch(sandbox: Sandbox, client: openai.OpenAI, engine: StubEngine) -> None:
    engine.answer_s = 0.1
    said: dict[int, str | None] = {}

    def ask(i: int) -> None:
        messages: Any = [{"role": "user", "content": f"q {i}"}]
        reply = client.chat.completions.create(model="tiny-hosted", messages=messages, temperature=0.5 if i == 15 else 0)
        said[i] = reply.choices[0].message.content

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == {i: f"q {i}" for i in range(16)}
    assert len(engine.batches) < 8
    assert max(engine.batches) >= 8


def test_a_broken_engine_is_a_server_error_and_the_service_goes_on(sandbox: Sandbox, client: openai.OpenAI, engine: StubEngine) -> None:
    real = engine.answer
    engine.answer = lambda *_: (_ for _ in ()).throw(ValueError("no"))  # type: ignore[method-assign,assignment]
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(model="tiny-hosted", messages=[{"role": "user", "content": "x"}])
    engine.answer = real  # type: ignore[method-assign]
    assert client.chat.completions.create(model="tiny-hosted", messages=[{"role": "user", "content": "x"}]).choices


def test_models_have_shutdown_dates(client: openai.OpenAI) -> None:
    assert {model.id for model in client.models.list()} == {"tiny-hosted", "tiny-hosted-closing", "tiny-hosted-gone"}
    closing = client.models.retrieve("tiny-hosted-closing").model_dump()
    assert closing["shutdown_date"] == "2027-01-14"
    with pytest.raises(openai.NotFoundError, match="shut down on 2026-01-14"):
        client.chat.completions.create(model="tiny-hosted-gone", messages=[{"role": "user", "content": "x"}])
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nothing")


@pytest.mark.parametrize("key", ["wrong", "sk-test-012345678", "é"])
def test_keys_are_required(sandbox: Sandbox, key: str) -> None:
    import http.client

    connection = http.client.HTTPConnection(sandbox.url.split("/")[2])
    connection.request("GET", "/v1/models", headers={"Authorization": f"Bearer {key}".encode()})
    assert connection.getresponse().status == 401
    with pytest.raises(openai.AuthenticationError):
        connect(sandbox, "wrong").models.list()


@pytest.mark.parametrize(("body", "words"), [
    ({"training_file": "file-none"}, "no uploaded file"), ({"suffix": "x" * 65}, "1 to 64"), ({"suffix": ""}, "1 to 64"),
    ({"metadata": {"k": "v" * 513}}, "512"), ({"model": "gpt-5"}, "does not exist"), ({"model": "tiny-hosted-gone"}, "shut down"),
    ({"hyperparameters": {"n_epochs": 0}}, "n_epochs"), ({"hyperparameters": {"n_epochs": "many"}}, "n_epochs"),
    ({"method": {"type": "dpo"}}, "supervised"), ({"seed": "x"}, "seed"),
])  # fmt: skip
def test_job_requests_are_checked(client: openai.OpenAI, body: dict[str, Any], words: str) -> None:
    whole = {"model": "tiny-hosted", "training_file": upload(client), **body}
    with pytest.raises(openai.APIStatusError, match=words):
        client.post("/fine_tuning/jobs", body=whole, cast_to=object)


@pytest.mark.parametrize(("name", "data", "words"), [("a.txt", b"x", "jsonl"), ("a.jsonl", b"", "empty")])
def test_uploads_are_checked(client: openai.OpenAI, name: str, data: bytes, words: str) -> None:
    with pytest.raises(openai.BadRequestError, match=words):
        upload(client, data, name)


@pytest.mark.parametrize(("data", "words"), [
    (rows(9), "9 examples"), (rows(11) + b'{"messages": []}\n', "Line 12"), (rows(11) + b"not json\n", "Line 12"),
    (rows(11) + b'{"messages": [{"role": "user", "content": "x"}]}\n', "Line 12"),
    (rows(11) + b'{"messages": [{"role": "user", "content": "<|fim_suffix|>"}, {"role": "assistant", "content": "x"}]}\n', "Line 12"),
])  # fmt: skip
def test_files_are_checked_as_the_real_service_does_after_the_job_was_made(client: openai.OpenAI, data: bytes, words: str) -> None:
    job = wait(client, client.fine_tuning.jobs.create(model="tiny-hosted", training_file=upload(client, data)).id, "failed", "succeeded")
    assert job.status == "failed"
    assert job.error is not None
    assert job.error.code == "invalid_training_file"
    assert words in job.error.message


def test_pause_resume_and_cancel(sandbox: Sandbox, client: openai.OpenAI, engine: StubEngine) -> None:
    engine.steps, engine.step_s = 5_000, 0.02  # ended by the calls below, however slow the machine is
    job = client.fine_tuning.jobs.create(model="tiny-hosted", training_file=upload(client))
    wait_for_training(engine, 1)
    assert client.post(f"/fine_tuning/jobs/{job.id}/pause", cast_to=object)["status"] == "paused"  # type: ignore[index]
    time.sleep(0.2)
    assert client.fine_tuning.jobs.retrieve(job.id).status == "paused"
    client.post(f"/fine_tuning/jobs/{job.id}/resume", cast_to=object)
    wait_for_training(engine, 2)
    assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    with pytest.raises(openai.BadRequestError, match="cannot cancel"):
        client.fine_tuning.jobs.cancel(job.id)
    other = client.fine_tuning.jobs.create(model="tiny-hosted", training_file=job.training_file)
    engine.step_s = 0.0
    assert wait(client, other.id, "succeeded")
    assert client.fine_tuning.jobs.retrieve(job.id).status == "cancelled"


def test_a_service_that_ends_leaves_its_job_to_the_next(tmp_path: Path) -> None:
    slow = StubEngine(steps=500, step_s=0.02)
    with Sandbox(tmp_path / "s", slow, KEY) as first:
        client = connect(first)
        job = client.fine_tuning.jobs.create(model="tiny-hosted", training_file=upload(client))
        wait(client, job.id, "running")
    with Sandbox(tmp_path / "s", StubEngine(), KEY) as second:
        assert wait(connect(second), job.id, "succeeded").fine_tuned_model


def test_two_services_on_one_folder_do_not_work_on_the_same_job(tmp_path: Path) -> None:
    slow, other = StubEngine(steps=50, step_s=0.02), StubEngine()
    with Sandbox(tmp_path / "s", slow, KEY) as first:
        client = connect(first)
        job = client.fine_tuning.jobs.create(model="tiny-hosted", training_file=upload(client))
        wait_for_training(slow, 1)
        with Sandbox(tmp_path / "s", other, KEY) as second:
            assert wait(connect(second), job.id, "succeeded")
    assert (len(slow.tuned), len(other.tuned)) == (1, 0)


def test_a_batch_answers_every_line(client: openai.OpenAI) -> None:
    import json

    line = {"method": "POST", "url": "/v1/chat/completions"}
    asked = [{**line, "custom_id": f"c{i}", "body": {"model": "tiny-hosted", "messages": [{"role": "user", "content": f"q{i}"}]}} for i in range(5)]
    asked[3]["body"] = {"model": "nothing", "messages": []}
    file = client.files.create(file=("b.jsonl", "\n".join(map(json.dumps, asked)).encode()), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    until = time.monotonic() + 30
    while client.batches.retrieve(batch.id).status != "completed" and time.monotonic() < until:
        time.sleep(0.02)
    output = client.batches.retrieve(batch.id).output_file_id
    assert output
    answers = {row["custom_id"]: row["response"] for row in map(json.loads, client.files.content(output).text.splitlines())}
    assert answers["c2"]["body"]["choices"][0]["message"]["content"] == "q2"
    assert answers["c3"]["status_code"] == 404


@pytest.mark.parametrize("path", ["/v1/files/../../etc/passwd", "/v1/files/file-..%2F..%2Fx", "/v1/fine_tuning/jobs/%2e%2e", "/v1/nothing"])
def test_odd_paths_are_not_found(sandbox: Sandbox, path: str) -> None:
    import http.client

    connection = http.client.HTTPConnection(sandbox.url.split("/")[2])
    connection.request("GET", path, headers={"Authorization": f"Bearer {KEY}"})
    assert connection.getresponse().status == 404


def test_requests_above_the_limit_are_told_when_to_come_again(sandbox: Sandbox, client: Any) -> None:
    sandbox.limit = Limit(60)  # two at once, then one a second
    ask = {"model": "tiny-hosted", "messages": [{"role": "user", "content": "a mug"}]}
    for _ in range(2):
        client.chat.completions.create(**ask)
    with pytest.raises(openai.RateLimitError, match="60 requests a minute") as caught:
        client.chat.completions.create(**ask)
    headers = caught.value.response.headers
    assert (headers["retry-after"], headers["x-ratelimit-limit-requests"]) == ("1", "60")
    assert 0 < int(headers["retry-after-ms"]) <= 1000
    client.models.list()  # only answers are counted
    time.sleep(int(headers["retry-after-ms"]) / 1000)
    client.chat.completions.create(**ask)
