"""Watching: thirty hours in a moment, and whatever a service may say meanwhile."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftlib.errors import ServiceDown, TrainingFailed
from ftlib.files import read_json
from ftlib.progress import RELAY
from ftlib.training.hosted.failures import Failure
from ftlib.training.hosted.link import Link
from ftlib.training.hosted.metrics import from_events, parse_metrics, progress_of
from ftlib.training.hosted.provider import Can, Provider
from ftlib.training.hosted.watching import JobFile, times, watch
from ftlib.training.hosted.wire import Wire
from ftlib.training.sandbox.server import Sandbox
from tests.training.hosted.helpers import MakeRun, MakeTrainer

HOUR = 3600.0
Json = dict[str, Any]


class FakeClock:
    """Time that passes when somebody waits for it."""

    def __init__(self) -> None:
        self.start, self.slept = 1_800_000_000.0, 0.0
        self.jumps: list[tuple[float, float]] = []  # (true hour, by how many hours the machine's clock is set)

    def now(self) -> float:
        return self.start + self.slept + sum(HOUR * by for hour, by in self.jumps if hour <= self.hours)

    def elapsed(self) -> float:
        return self.slept

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept += seconds

    @property
    def hours(self) -> float:
        return self.slept / HOUR


class ScriptedService:
    """A job whose state is a function of the hours since it was created."""

    def __init__(self, clock: FakeClock, state: Callable[[float], Json | Failure], events: list[tuple[float, Json]] | None = None) -> None:
        self.clock, self.state, self.told, self.asked = clock, state, events or [], 0
        self.oldest_first, self.torn = False, 0  # how events are listed; how many later pages of them are lost

    async def job(self, job_id: str) -> Json:
        self.asked += 1
        said = self.state(self.clock.hours)
        if isinstance(said, Failure):
            raise said
        return {"id": job_id, **said}

    async def events(self, job_id: str, after: str | None) -> Json:
        known = [event for hour, event in self.told if hour <= self.clock.hours][:: 1 if self.oldest_first else -1]
        ids = [event["id"] for event in known]
        start = ids.index(after) + 1 if after in ids else 0
        if start and self.torn:
            self.torn -= 1
            raise Failure("lost", "the rest of the list did not come")
        return {"data": known[start : start + 2], "has_more": start + 2 < len(known)}

    async def checkpoints(self, job_id: str) -> Json:
        return {"data": [{"step_number": 9, "fine_tuned_model_checkpoint": "ft:x:step-9", "metrics": {"valid_loss": 1.0}}, "odd"]}


@pytest.fixture
def watching(tmp_path: Path) -> Any:
    """Watches a scripted job: (state, events) -> (record, service, clock, what was said)."""
    wires: list[Wire] = []

    def run(state: Callable[[float], Json | Failure], events: list[tuple[float, Json]] | None = None, **fields: Any) -> Any:
        clock = FakeClock()
        service = ScriptedService(clock, state, events)
        wires.append(Wire())
        link = Link(Provider(name="slow", base_url="http://x", **fields), service, wires[-1], clock)  # type: ignore[arg-type]
        record = JobFile(tmp_path / "run" / "h" / "job.json")
        record.begin("ftjob-1", provider="slow", status=None)
        said: list[str] = []

        def go_on() -> Any:
            return watch(link, record, say=said.append), service, clock, said

        go_on.link, go_on.said = link, said  # type: ignore[attr-defined]
        return go_on

    yield run
    for wire in wires:
        wire.close()


def watched(watching: Any, events: list[tuple[float, Json]]) -> Any:
    """A job of five hours with these events, to be watched later: (watch, service, clock, what was said)."""
    go_on = watching(phases((5, {"status": "running"}), (9, DONE)), events)
    link = go_on.link
    return lambda: go_on()[0], link.service, link.clock, go_on.said


def phases(*ends: tuple[float, Json]) -> Callable[[float], Json]:
    """A state until each hour; the last one for ever."""
    return lambda hours: next((said for end, said in ends if hours < end), ends[-1][1])


CREATED = {"created_at": 1_800_000_000}
DONE = {"status": "succeeded", "fine_tuned_model": "ft:x", "trained_tokens": 5, "finished_at": 1_800_000_000 + 30 * 3600, **CREATED}


def test_thirty_hours_are_watched_through(watching: Any) -> None:
    started = {"id": "e1", "created_at": 1_800_000_000 + 72_000, "message": "Fine-tuning job started"}
    events = [(0.0, {"id": "e0", "message": "Created"}), (20.0, started)]
    events += [(20 + i / 10, {"id": f"s{i}", "message": f"Step {i}/100: training loss=1.5"}) for i in range(1, 100)]
    running = {"status": "running", **CREATED, "estimated_finish": 1_800_000_000 + 30 * 3600}
    state = phases((20, {"status": "queued", **CREATED}), (30, running), (99, DONE))
    record, service, clock, said = watching(state, events)()
    assert record["status"] == "succeeded"
    assert 30 <= clock.hours < 30.5
    assert service.asked < 1500
    assert len(record["events"]) == len(events)
    assert [kept["fine_tuned_model_checkpoint"] for kept in record["checkpoints"]] == ["ft:x:step-9"]
    waiting = [line for line in said if line.startswith("still queued after ")]
    assert len(said) - len(waiting) == 2  # steps are the bar's
    assert 20 < len(waiting) < 30
    assert waiting[0] == "still queued after 5 minutes"
    assert times(record) == {"queue": 72_000.0, "train": 36_000.0, "total": 108_000.0}


def test_a_log_gets_no_line_for_a_look_that_finds_nothing_new(watching: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RELAY, str(tmp_path / "progress"))
    running = {"status": "running", **CREATED, "estimated_finish": 1_800_000_000 + 30 * 3600}
    events = [(i / 10, {"id": f"s{i}", "message": f"Step {i}/13: training loss=1.5"}) for i in range(1, 14)]
    _, service, *_ = watching(phases((2, running), (99, DONE)), events)()
    lines = (tmp_path / "progress").read_text().splitlines()
    assert service.asked > 100
    assert 1 <= len(lines) <= 14
    assert all("/13 [" in line for line in lines)


def test_an_outage_of_hours_is_waited_out(watching: Any) -> None:
    def state(hours: float) -> Json | Failure:
        return Failure("lost", "no route") if 1 < hours < 5 else DONE if hours >= 30 else {"status": "running"}

    record, *_ = watching(state)()
    assert record["status"] == "succeeded"


@pytest.mark.parametrize("by", [-40.0, -3.0, 7.0, 40.0])
@pytest.mark.parametrize("hour", [0.5, 2.0, 12.0, 25.0])
def test_a_clock_that_is_set_anew_in_thirty_hours_with_outages_and_pages(watching: Any, hour: float, by: float) -> None:
    def state(hours: float) -> Json | Failure:
        if 1 < hours < 5 or int(hours * 60) % 7 == 3:
            return Failure("lost", "no route")
        return {**DONE, "finished_at": None} if hours >= 30 else {"status": "queued" if hours < 20 else "running", **CREATED}

    events = [(n / 4, {"id": f"e{n}", "message": f"Event {n}"}) for n in range(120)]
    go_on = watching(state, events)
    go_on.link.clock.jumps.append((hour, by))
    record, service, clock, said = go_on()
    assert record["status"] == "succeeded"
    assert 30 <= clock.hours < 30.5
    assert service.asked < 8000
    assert [event["id"] for event in record["events"]] == [event["id"] for _, event in events]
    assert not [line for line in said if "-" in line]
    assert all(seconds is None or seconds >= 0 for seconds in times(record).values())


def test_an_outage_without_end_is_given_up_and_the_job_kept(watching: Any) -> None:
    with pytest.raises(ServiceDown, match="ftjob-1 goes on"):
        watching(lambda hours: Failure("server", "HTTP 500"))()


def test_a_key_that_was_withdrawn_ends_the_watch_at_once(watching: Any) -> None:
    with pytest.raises(TrainingFailed, match=r"401: no The job ftjob-1 goes on there"):
        watching(lambda hours: Failure("refused", "HTTP 401: no"))()


@pytest.mark.parametrize(
    "odd",
    [
        {"status": "reticulating"},
        {"status": None},
        {},
        {"status": 7},
        {"status": "paused"},
        {"status": "running", "error": {}},
        {"status": "queued", "created_at": "2026-11-01T10:00:00Z", "estimated_finish": "soon", "hyperparameters": [], "result_files": 7},
    ],
)
def test_odd_states_are_watched_on(watching: Any, odd: Json) -> None:
    record, *_ = watching(phases((2, odd), (9, DONE)))()
    assert record["fine_tuned_model"] == "ft:x"


def test_a_providers_own_words_for_states(watching: Any) -> None:
    script = phases((1, {"status": "pending"}), (9, {**DONE, "status": "completed"}))
    record, *_ = watching(script, states={"completed": "succeeded", "pending": "queued"})()
    assert record["status"] == "succeeded"
    assert list(record["first_seen"]) == ["queued", "succeeded"]


@pytest.mark.parametrize("error", [{"error": {"message": "Line 12: bad row"}}, {"error": "Line 12: bad row"}, {}])
def test_a_failure_tells_the_reason(watching: Any, error: Json) -> None:
    events = [(0.5, {"id": "e", "level": "error", "message": "Line 12: bad row"})]
    with pytest.raises(TrainingFailed, match="Line 12: bad row"):
        watching(phases((1, {"status": "running"}), (9, {"status": "failed", **error})), events)()


@pytest.mark.parametrize(
    ("reason", "row", "told"),
    [
        ("Line 1: bad", '{"messages": [{"role": "user", "content": "a mug"}]}', "bad. That line of train.jsonl asks: 'a mug'. To start"),
        ("line 1 is odd.", "not \x1b[31mJSON", "odd. That line of train.jsonl asks: 'not \u241b[31mJSON'. To start"),
        ("Line 1", '{"messages": 7}', """asks: '{"messages": 7}'."""),
        ("Line 9: bad", '{"messages": []}', "Line 9: bad. To start"),
        ("Line 0: bad", "", "Line 0: bad. To start"),
        ("The validation file's line 1 is bad", "x", "is bad. To start"),
        ("pipeline 1 broke", "x", "broke. To start"),
    ],
)
def test_the_row_that_a_failure_names_is_shown(watching: Any, tmp_path: Path, reason: str, row: str, told: str) -> None:
    go_on = watching(phases((9, {"status": "failed", "error": {"message": reason}})))
    (tmp_path / "run" / "h" / "train.jsonl").write_text(row)
    with pytest.raises(TrainingFailed) as caught:
        go_on()
    assert told in str(caught.value)


def test_events_with_odd_times(watching: Any) -> None:
    events = [(0.5, {"id": "e", "message": "Fine-tuning job started", "created_at": "10:00", "data": {"step": 3, "total_steps": 9}})]
    record, *_ = watching(phases((1, {"status": "running"}), (9, DONE)), events)()
    assert times(record)["train"] is not None
    assert progress_of(record["events"]) == (3, 9)


def steps_told(count: int) -> list[tuple[float, Json]]:
    return [(i / 10, {"id": f"e{i}", "created_at": 1_800_000_000 + 360 * i, "message": f"event {i}"}) for i in range(count)]


def test_events_that_are_listed_oldest_first(watching: Any) -> None:
    go_on, service, _, said = watched(watching, steps_told(30))
    service.oldest_first = True
    assert [event["id"] for event in go_on()["events"]] == [f"e{i}" for i in range(30)]
    assert [line for line in said if line.startswith("still")] == []


def test_a_list_of_events_that_breaks_off_is_read_again(watching: Any) -> None:
    go_on, service, *_ = watched(watching, [(0.0, event) for _, event in steps_told(9)])
    service.torn = 6  # of one look, with all its tries
    assert [event["id"] for event in go_on()["events"]] == [f"e{i}" for i in range(9)]


@pytest.mark.parametrize("fault", ["403", "model-gone", "400"])
def test_events_that_are_refused_do_not_end_the_watch(sandbox: Sandbox, make_run: MakeRun, make_trainer: MakeTrainer, fault: str) -> None:
    sandbox.faults.add(f"{fault}@jobs.events*all")
    trainer = make_trainer(make_run())
    trainer.train()
    assert read_json(trainer.run.folder("h") / "training.json")["status"] == "done"
    assert sandbox.seen.count("jobs.create") == 1


def test_no_events_at_all(watching: Any) -> None:
    record, *_ = watching(phases((1, {"status": "running"}), (9, DONE)), can=Can(events=False))()
    assert record["events"] == []


def test_a_number_that_is_none_is_not_believed(watching: Any) -> None:
    record, *_ = watching(phases((1, {"status": "running"}), (9, {**DONE, "trained_tokens": "many"})))()
    assert "trained_tokens" not in record


def test_times_without_a_word_from_the_provider() -> None:
    record = {"first_seen": {"queued": 10.0, "running": 20.0, "succeeded": 50.0}, "events": []}
    assert times(record) == {"queue": None, "train": 30.0, "total": None}


@pytest.mark.parametrize(
    "fault",
    [
        "500@jobs.checkpoints*all",
        "403@jobs.checkpoints",
        "html@jobs.checkpoints",
        "unknown-status*3",
        "status-none*3",
        "missing-fields*2",
        "endless-pages",
        "base64-result",
        "500@jobs.get*3",
        "reset@jobs.get*2",
        "html@jobs.events*2",
        "drip@jobs.get",
    ],
)
def test_over_real_http(sandbox: Sandbox, make_run: MakeRun, make_trainer: MakeTrainer, fault: str) -> None:
    sandbox.faults.add(fault)
    trainer = make_trainer(make_run(quick={"attempt_s": 0.5}))
    trainer.train()
    report = read_json(trainer.run.folder("h") / "training.json")
    assert report["status"] == "done"
    assert len(report["loss"]) == 3
    assert len({event["id"] for event in read_json(trainer.run.folder("h") / "job.json")["events"]}) >= 7


CSV = "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n1,2.5,0.1,,\n2,2.25,0.2,2.4,0.2\n"
CURVE = [{"step": 1, "train": 2.5, "valid": None}, {"step": 2, "train": 2.25, "valid": 2.4}]


@pytest.mark.parametrize(
    "raw",
    [
        CSV.encode(),
        base64.b64encode(CSV.encode()),
        base64.encodebytes(CSV.encode()),
        b"\xef\xbb\xbf" + CSV.encode(),
        CSV.replace("\n", "\r\n").encode(),
    ],
)
def test_metrics_in_csv_or_base64(raw: bytes) -> None:
    assert parse_metrics(raw) == CURVE


@pytest.mark.parametrize("raw", [b"", b"not a table", b"<html></html>", b"\xff\xfe\x00", b"step,train_loss\nx,y\n"])
def test_metrics_that_are_none(raw: bytes) -> None:
    assert parse_metrics(raw) == []


def test_metrics_of_events() -> None:
    events = [
        {"message": "Step 2/4: training loss=1.25, validation loss=1.5"},
        {"message": "Step 1/4: training loss=2.5", "data": None},
        {"message": "New checkpoint"},
        {"message": "x", "data": {"step": 3, "train_loss": 1.0, "valid_loss": "nan"}},
    ]
    assert [(point["step"], point["train"], point["valid"]) for point in from_events(events)] == [(1, 2.5, None), (2, 1.25, None), (3, 1.0, None)]
    assert progress_of(events) == (2, 4)
    assert progress_of([]) is None
