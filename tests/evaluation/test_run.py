"""Answering and scoring a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ftlib.errors import BudgetExceeded, DataError, ProfileError, Refused, ServiceDown, TrainingFailed, Unclear
from ftlib.evaluation import answer_run, score_run
from ftlib.evaluation.showing import flexibility
from ftlib.files import read_json, read_jsonl, write_jsonl
from ftlib.runs import Run, StepNeeded


def lines(path: Path) -> list[dict]:
    return list(read_jsonl(path))


def test_every_system_answers_test_set_and_probes(make_run, trainers):
    run = make_run()
    answer_run(run)
    for system in ("one.base", "one.tuned", "two.base", "two.tuned"):
        rows = lines(run.answers_file(system))
        assert sorted(row["id"] for row in rows) == sorted(r["id"] for r in read_jsonl(run.test_file))
        assert {row["task"] for row in rows} == {"describe"}
        assert len(lines(run.answers_file(system, "retention"))) == 4
        assert len(lines(run.answers_file(system, "wording"))) == 4 * 6
    assert len(lines(run.answers_file("one.base", "forgetting"))) == 4
    assert not run.answers_file("two.base", "forgetting").exists()
    assert len({row["prompt_hash"] for s in ("one.base", "two.tuned", "echo") for row in lines(run.answers_file(s))}) == 12
    assert all(trainer.closed for trainer in trainers["made"])


def test_a_second_time_nothing_is_asked(make_run, trainers):
    run = make_run()
    answer_run(run)
    score_run(run)
    count = len(trainers["asked"])
    run.only_look = True
    answer_run(run)
    score_run(run)
    assert len(trainers["asked"]) == count


def test_a_killed_answering_goes_on_where_it_stopped(make_run, trainers):
    run = make_run()
    trainers["fail"] = lambda count: KeyboardInterrupt() if count == 5 else None
    with pytest.raises(KeyboardInterrupt):
        answer_run(run)
    before = lines(run.answers_file("one.base"))
    assert len(before) == 5
    with run.answers_file("one.base").open("a") as handle:
        handle.write('{"id": "torn')  # the write that a kill cut
    trainers["fail"] = lambda count: None
    trainers["asked"].clear()
    answer_run(run)
    after = lines(run.answers_file("one.base"))
    assert after[:5] == before
    assert len(after) == 12
    assert not {row["id"] for row in before}.intersection(trainers["asked"][:7])


def test_an_answer_that_failed_is_tried_again_only_when_the_set_was_not_finished(make_run, trainers):
    run = make_run()
    answer_run(run)
    path = run.answers_file("one.base")
    rows = lines(path)
    rows[3] |= {"answer": None, "finish": "error", "error": "timeout"}
    write_jsonl(path, rows)
    trainers["asked"].clear()
    answer_run(run)
    assert trainers["asked"] == [rows[3]["id"]]
    assert len(lines(path)) == 12


def test_another_decoding_asks_again(make_run, trainers):
    run = make_run()
    answer_run(run)
    run.profile.contestants[0].decoding.max_new_tokens = 9
    trainers["asked"].clear()
    answer_run(run)
    assert len(trainers["asked"]) == 2 * (12 + 24 + 4 + 4)  # base and tuned of the one contestant


def test_a_refused_contestant_stands_in_the_summary_with_its_reason(make_run, trainers):
    run = make_run(statuses={"two": "refused"})
    answer_run(run)
    found = score_run(run)["systems"]["two.tuned"]
    assert (found["status"], found["reason"], found["metrics"]) == ("refused", "no quota", {})
    assert found["na"]["usd"] == "refused: no quota"
    inputs = read_json(run.path / "steps" / "score.json")["inputs"]
    assert (inputs["training:one"], inputs["training:two"]) == ("done", "refused: no quota")


@pytest.mark.parametrize(("error", "status"), [(BudgetExceeded, "refused"), (ServiceDown, "failed"), (TrainingFailed, "failed"), (Unclear, "failed")])
def test_what_ends_while_answering_stops_that_system_alone(make_run, trainers, error, status):
    run = make_run()

    def fail(count: int) -> Exception | None:
        return error("the cap of 1 dollar is reached") if trainers["made"][-1].contestant.name == "two" else None

    trainers["fail"] = fail
    answer_run(run)
    found = score_run(run)
    assert found["systems"]["two.base"]["status"] == status
    assert "cap of 1 dollar" in found["systems"]["two.base"]["reason"]
    assert found["systems"]["one.tuned"]["status"] == "done"
    trainers["fail"] = lambda count: None
    answer_run(run)
    assert score_run(run)["systems"]["two.base"]["status"] == "done"


def test_scores_of_a_run(make_run, trainers):
    run = make_run()
    answer_run(run)
    found = score_run(run)
    one, two = found["systems"]["one.tuned"], found["systems"]["two.tuned"]
    assert one["bits_per_byte"] == pytest.approx(1)
    assert found["systems"]["one.base"]["bits_per_byte"] == pytest.approx(8)  # a model that finds all 256 bytes equally likely
    assert two["bits_per_byte"] is None
    assert "hosted" in two["na"]["bits_per_byte"]
    pair = next(p for p in found["pairs"] if (p["a"], p["b"], p["metric"]) == ("one.base", "one.tuned", "rougeL"))
    assert pair["difference"] < 0
    assert pair["high"] < 0
    same = next(p for p in found["pairs"] if (p["a"], p["b"], p["metric"]) == ("one.tuned", "two.tuned", "rougeL"))
    assert (same["difference"], same["low"], same["high"], same["p"], same["p_permutation"]) == (0, 0, 0, 1, 1)
    assert found["seeds"]["na"] == "seed variance not measured"
    flexible = found["flexibility"]["one.tuned"]
    assert flexible["forgetting"]["change"] == pytest.approx(-7)
    assert flexible["retention"]["n"] == 4
    assert len(flexible["wording"]["by_wording"]) == 6
    tuned, base = (found["flexibility"][f"one.{state}"]["wording"] for state in ("tuned", "base"))
    assert tuned["against_base"]["value"] == pytest.approx(tuned["mean"] - base["mean"])
    assert "transfer.value" in flexible["na"]
    assert found["flexibility"]["two.tuned"]["na"]["forgetting"].startswith("a hosted chat API")
    rows = lines(run.path / "scores" / "items.jsonl")
    assert {row["set"] for row in rows} == {"test", "wording", "reverse", "retention"}
    assert sum(row["set"] == "test" for row in rows) == 12 * 7
    json.dumps(found, allow_nan=False)


def test_a_failed_item_scores_as_declared_in_the_probes_too(make_run, trainers):
    run = make_run(failed_score=7.0)
    answer_run(run)
    for name in ("test", "wording", "reverse", "retention"):
        path = run.answers_file("one.tuned", name)
        write_jsonl(path, [{**row, "answer": None, "finish": "error", "error": "x"} for row in lines(path)])
    found = score_run(run)
    flexible = found["flexibility"]["one.tuned"]
    assert found["systems"]["one.tuned"]["metrics"]["rougeL"]["value"] == 7
    assert (flexible["wording"]["original"], flexible["wording"]["mean"], flexible["transfer"]["reverse"]["value"]) == (7, 7, 7)
    assert flexible["retention"] | {"failed": 4, "count": 0, "n": 4} == flexible["retention"]
    note = "scored as not passed or 7: one.tuned retention 4, one.tuned wording 24, one.tuned reverse 4."
    assert note in repr(flexibility(found))


def test_answers_that_lack_an_id_are_refused_by_name(make_run, trainers):
    run = make_run()
    answer_run(run)
    path = run.answers_file("one.base")
    rows = lines(path)
    write_jsonl(path, rows[1:])
    with pytest.raises(DataError, match=f"'{rows[0]['id']}' have no answer"):
        score_run(run)


def test_a_title_seen_in_training_is_refused(make_run, trainers):
    run = make_run()
    train = lines(run.curated / "train.jsonl")
    train[0]["title"] = "  " + next(iter(read_jsonl(run.test_file)))["title"].upper()
    write_jsonl(run.curated / "train.jsonl", train)
    with pytest.raises(DataError, match="'00000' stand in the training rows of recipe default"):
        answer_run(run)


def test_the_seed_recipes_get_a_figure_instead(make_run, trainers):
    run = make_run()
    run.profile.data.recipe = "seed-readme"
    train = lines(run.curated / "train.jsonl")
    train[0]["title"] = next(iter(read_jsonl(run.test_file)))["title"]
    write_jsonl(run.curated / "train.jsonl", train)
    answer_run(run)
    assert read_json(run.path / "scores" / "seen.json")["seed-readme"] == {"count": 1, "n": 12, "ids": ["00000"]}
    assert score_run(run)["settings"]["seen_titles"] == {"seed-readme": {"count": 1, "n": 12}}


def test_recorded_answers_need_no_trainer(make_run, trainers, tmp_path):
    file = tmp_path / "recorded.jsonl"
    run = make_run([{"name": "old", "trainer": "hosted", "recorded": str(file)}], statuses={"old": "nothing_to_train"})
    write_jsonl(file, [{"id": r["id"], "answer": r["content"]} for r in read_jsonl(run.test_file)])
    answer_run(run)
    assert trainers["asked"] == []
    found = score_run(run)["systems"]["old.tuned"]
    assert found["metrics"]["rougeL"]["value"] == pytest.approx(100)
    write_jsonl(file, [{"id": "x", "answer": "?"}])
    with pytest.raises(DataError, match="'x' have no reference"):
        answer_run(run)


def test_few_shot_shows_training_rows_in_the_prompt(make_run, trainers):
    run = make_run(
        [{"name": "shot", "trainer": "hosted", "provider": "sandbox", "model": "tiny", "few_shot": 3}], statuses={"shot": "nothing_to_train"}
    )
    answer_run(run)
    assert [path.parent.name for path in sorted((run.path / "answers").glob("shot*/test.jsonl"))] == ["shot.base"]
    assert score_run(run)["flexibility"]["shot.base"]["na"]["retention"] == "nothing was tuned: the prompt is all that differs"


def test_few_shot_borrows_nothing_that_was_asked_without_examples(make_run, trainers):
    plain = {"name": "gpt", "trainer": "hosted", "provider": "sandbox", "model": "tiny"}
    run = make_run([plain, {**plain, "name": "again"}, {**plain, "name": "shot", "few_shot": 3}], statuses={"shot": "nothing_to_train"})
    answer_run(run)
    base, again, shot = (lines(run.answers_file(f"{name}.base")) for name in ("gpt", "again", "shot"))
    assert base == again
    assert {row["prompt_hash"] for row in shot} == {row["prompt_hash"] for row in base}
    assert not {row["made_with"] for row in shot} & {row["made_with"] for row in base}
    assert sum(id_ == base[0]["id"] for id_ in trainers["asked"]) >= 3  # the base, tuned twice, and with examples


def test_a_task_that_lets_answers_be_longer_is_asked_again(make_run, trainers, tmp_path):
    def lasting(tokens):
        (tmp_path / "task.yaml").write_text(f"name: t\nmax_new_tokens: {tokens}\n")
        trainers["asked"].clear()
        answer_run(run)
        return len(trainers["asked"])

    run = make_run([{"name": "two", "trainer": "hosted", "provider": "sandbox", "model": "tiny", "task": str(tmp_path / "task.yaml")}], probes=[])
    assert [lasting(64), lasting(64), lasting(128)] == [24, 0, 24]


def test_an_unknown_probe_is_named_with_the_nearest(make_run, trainers):
    with pytest.raises(ProfileError, match="did you mean 'retention'"):
        answer_run(make_run(probes=["retentoin"]))


def test_an_unknown_metric_is_named_with_the_nearest(make_run, trainers):
    run = make_run(metrics=["rougeL", "crf"])
    with pytest.raises(ProfileError, match="did you mean 'chrf'"):
        answer_run(run)
    assert trainers["asked"] == []


def test_looking_at_a_run_without_answers_says_what_is_missing(make_run, trainers):
    run: Run = make_run()
    run.only_look = True
    with pytest.raises(StepNeeded, match="not done yet"):
        answer_run(run)
    (run.folder("one") / "training.json").unlink()
    with pytest.raises(StepNeeded, match="not trained yet"):
        answer_run(run)


def test_a_held_out_slice_is_asked_and_scored(make_run, trainers):
    run = make_run()
    write_jsonl(
        run.curated / "transfer.jsonl", [{"id": f"t{i}", "title": f"Pocket tool {i}", "content": f"The pocket tool {i} folds."} for i in range(6)]
    )
    answer_run(run)
    found = score_run(run)["flexibility"]["one.tuned"]
    assert found["transfer"]["n"] == 4  # probe_items
    assert found["transfer"]["low"] <= found["transfer"]["value"] <= found["transfer"]["high"]
    assert found["transfer"]["reverse"]["n"] == 4
    assert "transfer.value" not in found["na"]


def test_a_profiles_judge_is_asked_before_scoring(make_run, trainers, monkeypatch):
    run = make_run(judge={"provider": "sandbox", "model": "gpt-judge", "pairs": 3, "rubric": False})
    answer_run(run)
    run.only_look = True
    with pytest.raises(StepNeeded, match="judge: not done yet"):
        score_run(run)
    run.only_look = False

    def refused(run: Run, contestant: object) -> None:
        raise Refused("there is no key")

    monkeypatch.setattr("ftlib.evaluation.judge.record.trainer_for", refused)
    found = score_run(run)["judge"]
    assert (found["status"], found["reason"], found["human"]) == ("refused", "there is no key", None)
    assert (run.path / "scores" / "blind_sheet.csv").exists()


def test_likelihoods_go_on_where_they_stopped(make_run, trainers):
    run = make_run()
    answer_run(run)
    path = run.answers_file("one.tuned", "likelihood")
    rows = lines(path)
    write_jsonl(path, rows[:5])
    answer_run(run)
    assert lines(path) == rows
    write_jsonl(path, [{**row, "made_with": "something else"} for row in rows])
    answer_run(run)
    assert lines(path) == rows


def test_a_base_is_asked_once_for_all_contestants_of_its_model(make_run, trainers):
    same = {"trainer": "local", "model": "tiny-llama"}
    run = make_run([{"name": "a", **same, "seed": 1}, {"name": "b", **same, "seed": 2}, {"name": "warm", **same, "decoding": {"temperature": 0.7}}])
    answer_run(run)
    assert lines(run.answers_file("b.base")) == lines(run.answers_file("a.base"))
    assert lines(run.answers_file("b.base", "forgetting")) == lines(run.answers_file("a.base", "forgetting"))
    systems = 5  # three tuned, the base, and the base that is asked with another temperature
    one_set = len(trainers["asked"]) / systems
    assert one_set == sum(len(lines(run.answers_file("a.tuned", name))) for name in ("test", "retention", "wording", "reverse"))
