"""Nothing is created twice: faults at every crash point of both creations, over real HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ftlib.errors import Refused, ServiceDown, TrainingFailed, Unclear
from ftlib.files import read_json
from ftlib.training.hosted.creation import Intent, _look_until
from ftlib.training.hosted.trainer import HostedTrainer
from ftlib.training.sandbox.server import Sandbox
from tests.training.hosted.helpers import MakeRun, MakeTrainer

FAULTS = [
    "reset",
    "reset-after-commit",
    "close-after-commit",
    "500",
    "500-after-commit",
    "502-html",
    "503-retry-after",
    "429-ms",
    "stall",
    "stall-first",
    "drip",
    "drip-head",
    "truncated",
    "html",
    "empty-object",
    "empty-body",
    "malformed",
    "json-list",
    "not-utf8",
    "none",
]
POINTS = ["before the call", "during the call", "before the id is on disk", "after the id is on disk"]
CREATIONS = {"files.create": "upload", "jobs.create": "start"}
QUICK = {"attempt_s": 0.4, "lookup_grace_s": 0.6, "poll_s": 0.02}


class Killed(BaseException):
    """Stands for SIGKILL: no handler of the code under test catches it."""


def kill_at(trainer: HostedTrainer, point: str, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this trainer's process die at a point of a creation."""
    service, verb = trainer.link().service, CREATIONS[endpoint]
    real, part = getattr(service, verb), "train" if verb == "upload" else "job"

    async def dying(*args: Any) -> Any:
        if point == "before the call":
            raise Killed
        try:
            return await real(*args)
        finally:
            if point == "during the call":
                raise Killed

    monkeypatch.setattr(service, verb, dying)
    mark = Intent.mark

    def dying_mark(self: Intent, name: str, **fields: Any) -> None:
        ends = name == part and fields.get("id")
        if ends and point == "before the id is on disk":
            raise Killed
        mark(self, name, **fields)
        if ends and point == "after the id is on disk":
            raise Killed

    monkeypatch.setattr(Intent, "mark", dying_mark)


def created(sandbox: Sandbox) -> tuple[int, int]:
    """Uploaded training files and jobs that the service holds, whatever it replied."""
    files = [file for file in sandbox.api.store.all("files") if file["filename"].endswith("-train.jsonl")]
    return len(files), len(sandbox.api.store.all("jobs"))


def run_until_done(make_trainer: MakeTrainer, run: Any) -> None:
    """Run again, as a person would, until it is done."""
    for _ in range(4):
        try:
            make_trainer(run).train()
            return
        except ServiceDown:
            continue
    pytest.fail("four runs did not bring the training to its end")


def matrix(faults: list[str]) -> Callable[[Any], Any]:
    return pytest.mark.parametrize(
        ("endpoint", "point", "fault"), [(endpoint, point, fault) for endpoint in CREATIONS for point in POINTS for fault in faults]
    )


def one_case(sandbox: Sandbox, make_run: MakeRun, make_trainer: MakeTrainer, endpoint: str, point: str, fault: str) -> None:
    sandbox.stall_s = 0.7
    if fault != "none":
        sandbox.faults.add(f"{fault}@{endpoint}")
    late = {"lookup_grace_s": 2.0} if fault == "stall-first" else {}  # an upload that is carried out later than that is another, and free
    run = make_run(quick={**QUICK, **late})
    with pytest.MonkeyPatch.context() as patch:
        trainer = make_trainer(run)
        kill_at(trainer, point, endpoint, patch)
        with pytest.raises(Killed):
            trainer.train()
    run_until_done(make_trainer, run)
    assert created(sandbox) == (1, 1)
    assert read_json(run.folder("h") / "training.json")["status"] == "done"


@matrix(["reset-after-commit", "500-after-commit", "empty-object"])
def test_a_kill_and_a_fault_create_nothing_twice(
    sandbox: Sandbox, make_run: MakeRun, make_trainer: MakeTrainer, endpoint: str, point: str, fault: str
) -> None:
    one_case(sandbox, make_run, make_trainer, endpoint, point, fault)


@pytest.mark.reliability
@matrix([fault for fault in FAULTS if fault not in ("reset-after-commit", "500-after-commit", "empty-object")])
def test_the_whole_matrix_of_kills_and_faults(
    sandbox: Sandbox, make_run: MakeRun, make_trainer: MakeTrainer, endpoint: str, point: str, fault: str
) -> None:
    one_case(sandbox, make_run, make_trainer, endpoint, point, fault)


@pytest.mark.parametrize("endpoint", list(CREATIONS))
@pytest.mark.parametrize("fault", ["reset-after-commit", "html", "500", "429-ms"])
def test_one_process_survives_a_fault_by_itself(sandbox: Sandbox, make_run: MakeRun, make_trainer: MakeTrainer, endpoint: str, fault: str) -> None:
    sandbox.faults.add(f"{fault}@{endpoint}")
    make_trainer(make_run(quick={**QUICK, "attempt_s": 10.0})).train()  # long enough for a client that retried by itself
    assert created(sandbox) == (1, 1)


def test_the_key_is_on_disk_before_the_call_and_in_the_job(sandbox: Sandbox, make_run: MakeRun, make_trainer: MakeTrainer) -> None:
    run = make_run(quick=QUICK)
    with pytest.MonkeyPatch.context() as patch:
        trainer = make_trainer(run)
        kill_at(trainer, "before the call", "jobs.create", patch)
        with pytest.raises(Killed):
            trainer.train()
    intent = read_json(run.folder("h") / "intent.json")
    assert intent["parts"]["job"]["state"] == "called"
    make_trainer(run).train()
    assert sandbox.api.store.all("jobs")[0]["metadata"] == {"ftlib_key": intent["key"]}


def test_a_provider_that_cannot_tell_makes_it_stop_and_ask(sandbox: Sandbox, make_run: MakeRun, make_trainer: MakeTrainer) -> None:
    sandbox.faults.add("reset-after-commit@jobs.create")
    run = make_run(quick={**QUICK, "can": {"jobs_list": False}})
    for _ in range(2):
        with pytest.raises(Unclear, match=r"parts\.job\.id of .*intent\.json"):
            make_trainer(run).train()
    assert created(sandbox) == (1, 1)
    intent = read_json(run.folder("h") / "intent.json")
    intent["parts"]["job"]["id"] = sandbox.api.store.all("jobs")[0]["id"]  # what the person found out
    Intent(run.folder("h") / "intent.json", intent).save()
    make_trainer(run).train()
    assert created(sandbox) == (1, 1)


@pytest.mark.parametrize("killed", [False, True])
def test_a_request_carried_out_after_all_hope_creates_nothing(
    sandbox: Sandbox, make_run: MakeRun, make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    """The service takes up the lost request when it is in no list and another has been sent: its file is gone by then."""
    sandbox.stall_s = 4.0
    sandbox.faults.add("stall-first@jobs.create")
    real, carried_out = sandbox.api.handle, []

    def handle(request: Any, handler: Any, parts: Any) -> Any:
        reply = real(request, handler, parts)
        if (request.method, request.target) == ("POST", "/v1/fine_tuning/jobs"):
            carried_out.append(reply.status)
        return reply

    monkeypatch.setattr(sandbox.api, "handle", handle)
    run = make_run(quick=QUICK)
    if killed:
        with monkeypatch.context() as patch:
            trainer = make_trainer(run)
            kill_at(trainer, "during the call", "jobs.create", patch)
            with pytest.raises(Killed):
                trainer.train()
    make_trainer(run).train()
    until = time.monotonic() + 10
    while len(carried_out) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    assert carried_out == [200, 400]
    assert created(sandbox) == (1, 1)
    assert len(read_json(run.folder("h") / "intent.json")["parts"]["train"]["gone"]) == 1


def test_where_the_lost_request_cannot_be_fenced_off_a_person_is_asked(sandbox: Sandbox, make_run: MakeRun, make_trainer: MakeTrainer) -> None:
    sandbox.faults.add("reset@jobs.create")
    run = make_run(quick={**QUICK, "can": {"files_unique": False}})
    for _ in range(2):
        with pytest.raises(Unclear, match=r'put "intended" into parts\.job\.state'):
            make_trainer(run).train()
    assert sandbox.seen.count("jobs.create") == 1
    intent = Intent(run.folder("h") / "intent.json", read_json(run.folder("h") / "intent.json"))
    intent.mark("job", state="intended")  # the person saw that there is none
    make_trainer(run).train()
    assert created(sandbox) == (1, 1)


@pytest.mark.parametrize("fault", ["403@files.delete*all", "404@files.delete"])
def test_a_file_that_cannot_be_deleted_fences_nothing_off(sandbox: Sandbox, make_run: MakeRun, make_trainer: MakeTrainer, fault: str) -> None:
    sandbox.faults.add("reset@jobs.create")
    sandbox.faults.add(fault.replace("404", "model-gone"))
    with pytest.raises(Unclear, match="may still be carried out"):
        make_trainer(make_run(quick=QUICK)).train()
    assert sandbox.seen.count("jobs.create") == 1


def test_money_stays_set_aside_while_there_may_be_a_job(
    sandbox: Sandbox, make_run: MakeRun, make_trainer: MakeTrainer, paid: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(**paid, budget=5.0)
    trainer = make_trainer(run)
    with monkeypatch.context() as patch:
        kill_at(trainer, "during the call", "jobs.create", patch)
        with pytest.raises(Killed):
            trainer.train()
    sandbox.faults.add("401@any*all")
    again = make_trainer(run)
    with pytest.raises(Refused):
        again.train()
    assert again.ledger.spent_usd > 0


def test_a_provider_without_metadata_is_asked_by_the_training_file(sandbox: Sandbox, make_run: MakeRun, make_trainer: MakeTrainer) -> None:
    sandbox.faults.add("reset-after-commit@jobs.create")
    make_trainer(make_run(quick={**QUICK, "can": {"metadata": False}})).train()
    assert created(sandbox) == (1, 1)
    assert sandbox.api.store.all("jobs")[0]["metadata"] == {}


def test_lists_that_cannot_be_read_create_nothing(
    sandbox: Sandbox, make_run: MakeRun, make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.faults.add("reset-after-commit@jobs.create")
    sandbox.faults.add("500@jobs.list*all")
    run = make_run(quick=QUICK)
    trainer = make_trainer(run)
    monkeypatch.setattr(trainer.link().clock, "sleep", lambda seconds: None)
    with pytest.raises(ServiceDown, match="nothing is lost"):
        trainer.train()
    assert created(sandbox) == (1, 1)
    sandbox.faults.clear()
    make_trainer(run).train()
    assert created(sandbox) == (1, 1)


def test_the_job_is_found_on_a_later_page(sandbox: Sandbox, make_run: MakeRun, make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftlib.training.hosted.openai_service.PAGE", 3)
    store = sandbox.api.store
    run = make_run(quick={**QUICK, "can": {"metadata": False}})
    trainer = make_trainer(run)
    with pytest.MonkeyPatch.context() as patch:
        kill_at(trainer, "before the id is on disk", "jobs.create", patch)
        with pytest.raises(Killed):
            trainer.train()
    for place in range(10):
        store.add("jobs", "ftjob", {**store.all("jobs")[-1], "id": f"ftjob-other{place}", "training_file": f"file-{place}", "status": "succeeded"})
    make_trainer(run).train()
    assert created(sandbox) == (1, 11)


def test_a_request_that_is_wrong_is_not_repeated(sandbox: Sandbox, make_run: MakeRun, make_trainer: MakeTrainer) -> None:
    sandbox.faults.add("400@jobs.create*all")
    run = make_run(quick=QUICK)
    with pytest.raises(TrainingFailed, match="turned the creation of the job down"):
        make_trainer(run).train()
    assert sandbox.seen.count("jobs.create") == 1
    assert read_json(run.folder("h") / "intent.json")["parts"]["job"]["state"] == "intended"


def test_a_torn_intent_is_named(make_run: MakeRun, make_trainer: MakeTrainer, sandbox: Sandbox) -> None:
    from ftlib.errors import DataError

    run = make_run()
    Path(run.folder("h") / "intent.json").write_text('{"key": ')
    with pytest.raises(DataError, match=r"intent\.json is not valid JSON"):
        make_trainer(run).train()
    assert created(sandbox) == (0, 0)


def test_a_clock_that_was_set_back_makes_nobody_look_for_hours() -> None:
    slept: list[float] = []
    clock = SimpleNamespace(now=lambda: 1_000.0, elapsed=lambda: sum(slept), sleep=slept.append)
    link: Any = SimpleNamespace(clock=clock, provider=SimpleNamespace(attempt_s=60.0, lookup_grace_s=30.0))
    assert _look_until(link, lambda: None, until=1_000.0 + 5 * 3600) is None
    assert 30 <= sum(slept) <= 90
