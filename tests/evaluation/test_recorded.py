"""`ftlib score` on files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ftlib.cli import main
from ftlib.errors import DataError, ProfileError
from ftlib.evaluation import score_files, scores_text
from ftlib.evaluation.recorded import name_systems
from ftlib.files import read_jsonl, write_jsonl


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    rows = [{"id": str(i), "title": f"oak lamp {i}", "reference": f"The oak lamp {i} stands on a desk and gives light."} for i in range(6)]
    paths = {name: tmp_path / f"{name}.jsonl" for name in ("references", "good", "bad", "train")}
    write_jsonl(paths["references"], rows)
    write_jsonl(paths["good"], [{"id": row["id"], "answer": row["reference"][:-7]} for row in rows])
    write_jsonl(paths["bad"], [{"id": row["id"], "answer": "I have reviewed this book."} for row in rows])
    return paths


def test_json_holds_what_is_promised(files, tmp_path, capsys):
    out = tmp_path / "items.jsonl"
    arguments = [
        "--references",
        str(files["references"]),
        "--answers",
        str(files["good"]),
        str(files["bad"]),
        "--resamples",
        "100",
        "--out",
        str(out),
    ]
    assert main(["score", *arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    metric = found["systems"]["good"]["metrics"]["rougeL"]
    assert {"value", "low", "high", "n", "signature"}.issubset(metric)
    assert "tok:unicode" in metric["signature"]
    assert found["systems"]["bad"]["flags"]["generic"] == {"rate": 1.0, "low": pytest.approx(0.61, abs=0.01), "high": 1.0, "count": 6, "n": 6}
    assert found["systems"]["bad"]["flags"]["same_answer"]["rate"] == 1
    pair = next(row for row in found["pairs"] if row["metric"] == "rougeL")
    assert (pair["a"], pair["b"]) == ("good", "bad")
    assert pair["low"] > 0
    assert pair["p"] < 0.05
    assert len(list(read_jsonl(out))) == 12
    assert main(["score", *arguments]) == 0
    shown = capsys.readouterr().out
    assert "good - bad: +" in shown
    assert found["seeds"]["na"] == "seed variance not measured"
    assert found["seeds"]["na"] in shown


def test_a_seed_gives_the_same_figures_again(files):
    once, again = (score_files(files["references"], [files["good"], files["bad"]], resamples=200, seed=7) for _ in range(2))
    assert once == again
    assert score_files(files["references"], [files["good"], files["bad"]], resamples=200, seed=8)["pairs"] != once["pairs"]


def test_another_language_is_judged_by_its_own_words(files, capsys):
    """A Portuguese text is wrong where English was asked for, right where Portuguese was; for a language without a list it is not known."""
    text = "O candeeiro de carvalho não precisa de mais que uma tomada, e é feito à mão para a sua casa."
    write_jsonl(files["good"], [{"id": str(i), "answer": f"{text} {i}"} for i in range(6)])

    def flags(language: str) -> dict[str, object]:
        assert main(["score", "--references", str(files["references"]), "--answers", str(files["good"]), "--language", language, "--json"]) == 0
        return json.loads(capsys.readouterr().out)["systems"]["good"]

    assert flags("en")["flags"]["wrong_language"]["rate"] == 1
    assert flags("pt")["flags"]["wrong_language"]["rate"] == 0
    assert "stop:pt" in flags("pt")["metrics"]["title_faithfulness"]["signature"]
    unknown = flags("xx")
    assert "wrong_language" not in unknown["flags"]
    assert "no list of function words" in unknown["na"]["flags.wrong_language"]


def test_a_primary_metric_of_ones_own_and_stems(files, capsys):
    found = score_files(files["references"], [files["good"]], primary="rouge1_stem", resamples=50)
    assert found["systems"]["good"]["metrics"]["rouge1_stem"]["signature"].startswith("rouge1-F1|tok:rouge_score.0.1.2|stem:porter")
    assert "stem:no" in found["systems"]["good"]["metrics"]["length_ratio"]["signature"]
    assert "not looked for: memorised (no training file was given)" in scores_text(found)
    assert main(["score", "--references", str(files["references"]), "--answers", str(files["good"]), "--primary", "semantic"]) == 2
    assert "--embedding" in capsys.readouterr().err


@pytest.mark.slow
def test_semantic_similarity_from_the_command_line(files, tiny_encoder, capsys):
    arguments = ["score", "--references", str(files["references"]), "--answers", str(files["good"]), "--resamples", "50", "--json"]
    assert main([*arguments, "--embedding", str(tiny_encoder), "--primary", "semantic"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["systems"]["good"]["metrics"]["semantic"]["signature"].startswith(f"cosine|model:{tiny_encoder}|revision:")
    assert found["primary"] == "semantic"
    assert main([*arguments, "--embedding", str(tiny_encoder / "nothing")]) == 2
    assert "There is no folder" in capsys.readouterr().err


@pytest.mark.parametrize("shape", ["content", "output", "messages"])
def test_memorised_from_any_training_file(files, shape):
    text = " ".join(f"word{i}" for i in range(30))
    row = {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": text}]} if shape == "messages" else {shape: text}
    write_jsonl(files["train"], [row])
    write_jsonl(files["bad"], [{"id": str(i), "answer": text if i else "oak"} for i in range(6)])
    found = score_files(files["references"], [files["bad"]], train=files["train"], resamples=50)
    assert found["systems"]["bad"]["flags"]["memorised"]["count"] == 5


@pytest.mark.parametrize(
    "row", [{"messages": ["hi"]}, {"messages": [{"role": "user", "content": "a"}]}, {"messages": [{"role": "assistant"}]}, {"output": 5}]
)
def test_a_training_row_that_teaches_no_text_is_named(files, row):
    write_jsonl(files["train"], [{"content": "a b c"}, row])
    with pytest.raises(DataError, match="line 2: neither content, output nor messages"):
        score_files(files["references"], [files["good"]], train=files["train"], resamples=50)


def test_errors_exit_with_2_and_one_sentence(files, tmp_path, capsys):
    write_jsonl(files["bad"], [{"id": "9", "answer": "x"}])
    assert main(["score", "--references", str(files["references"]), "--answers", str(files["bad"])]) == 2
    said = capsys.readouterr().err
    assert "ids '0', '1', '2', '3', '4' and 1 more have no answer; ids '9' have no reference" in said
    assert "Traceback" not in said
    with pytest.raises(ProfileError, match="did you mean 'rougeL'"):
        score_files(files["references"], [files["good"]], metrics=["rougel"])
    with pytest.raises(DataError, match="neither content, output nor messages"):
        score_files(files["references"], [files["good"]], train=files["references"].with_name("bad.jsonl"), resamples=50)


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["answers/small.tuned/test.jsonl"], ["small.tuned"]),
        (["a/test.jsonl", "b/test.jsonl", "c.jsonl"], ["a", "b", "c"]),
        (["a/x.jsonl", "b/x.jsonl", "a/y.jsonl", "b/y.jsonl"], ["a/x", "b/x", "a/y", "b/y"]),
    ],
)
def test_a_system_is_named_after_its_file_or_its_folder(paths, names):
    assert list(name_systems([Path(path) for path in paths])) == names


def test_files_of_the_same_name_are_told_apart_by_their_folder(files, tmp_path):
    for name in ("one", "two"):
        write_jsonl(tmp_path / name / "answers.jsonl", list(read_jsonl(files["good"])))
    found = score_files(files["references"], [tmp_path / "one" / "answers.jsonl", tmp_path / "two" / "answers.jsonl"], resamples=50)
    assert list(found["systems"]) == ["one", "two"]
    with pytest.raises(DataError, match="the same name"):
        score_files(files["references"], [files["good"], files["good"]], resamples=50)


def test_the_answers_of_the_original_project(real_data, tmp_path):
    """Its eleven pairs: the loops and the generic answers are flagged, and so are texts pasted as an object's repr.

    The file holds what stood inside the reprs of the original's sheet; they are wrapped again as they were there.
    """
    rows = list(read_jsonl(real_data / "seed_answers_11.jsonl"))
    write_jsonl(tmp_path / "r.jsonl", [{"id": str(i), "title": row["title"], "reference": row["reference"]} for i, row in enumerate(rows)])
    for name in ("finetuned", "base"):
        write_jsonl(tmp_path / f"{name}.jsonl", [{"id": str(i), "answer": row[name]} for i, row in enumerate(rows)])
    pasted = [
        {"id": str(i), "answer": f"ChatCompletionMessage(content={row['base']!r}, refusal=None, role='assistant')"} for i, row in enumerate(rows)
    ]
    write_jsonl(tmp_path / "pasted.jsonl", pasted)
    found = score_files(
        tmp_path / "r.jsonl", [tmp_path / f"{n}.jsonl" for n in ("finetuned", "base", "pasted")], resamples=500, out=tmp_path / "items.jsonl"
    )
    flags = {(row["system"], int(row["id"])): set(row["flags"]) for row in read_jsonl(tmp_path / "items.jsonl")}
    looping = {key for key, kinds in flags.items() if "looping" in kinds and key[0] != "pasted"}
    assert looping == {("base", 1), ("finetuned", 6)}
    generic = {number for (system, number), kinds in flags.items() if system == "base" and "generic" in kinds}
    assert generic == {0, 2, 3, 5, 6}
    assert all(flags["base", i] for i in range(7))  # every answer of the untuned LLaMA is degenerate: these, a loop, and an echo
    assert "echo" in flags["base", 4]
    assert not any("ChatCompletion" in row[name] for row in rows for name in ("finetuned", "base"))
    assert not any("pasted_repr" in flags[name, i] for name in ("finetuned", "base") for i in range(11))
    assert all("pasted_repr" in flags["pasted", i] for i in range(11))
    assert found["systems"]["finetuned"]["metrics"]["rougeL"]["value"] > found["systems"]["base"]["metrics"]["rougeL"]["value"]
    assert "Smallest rougeL difference that 11 items can show" in scores_text(found)


def test_findings_are_failed_answers_and_systems_that_say_nothing(files, tmp_path, capsys):
    empty = tmp_path / "empty.jsonl"
    write_jsonl(empty, [{**row, "answer": ""} for row in read_jsonl(files["good"])])
    failed = tmp_path / "failed.jsonl"
    write_jsonl(failed, [{**row, "answer": None if i == 0 else row["answer"]} for i, row in enumerate(read_jsonl(files["good"]))])
    for path, code, said in ((files["good"], 0, ""), (empty, 1, "empty: every answer is empty"), (failed, 1, "answers failed")):
        assert main(["score", "--references", str(files["references"]), "--answers", str(path)]) == code
        assert said in capsys.readouterr().out


def test_what_a_failed_item_scores_may_be_declared(files, capsys):
    write_jsonl(files["good"], [{**row, "answer": None if i < 3 else row["answer"]} for i, row in enumerate(read_jsonl(files["good"]))])
    arguments = ["score", "--references", str(files["references"]), "--answers", str(files["good"]), "--metrics", "rougeL", "--json"]

    def mean(*more: str) -> float:
        assert main([*arguments, *more]) == 1
        found = json.loads(capsys.readouterr().out)
        assert (found["systems"]["good"]["failed"], found["systems"]["good"]["metrics"]["rougeL"]["n"]) == (3, 6)
        return found["systems"]["good"]["metrics"]["rougeL"]["value"]

    assert mean("--failed-score", "40") == pytest.approx(mean() + 20)
    assert main([*arguments, "--failed-score", "nan"]) == 2
    assert capsys.readouterr().err == "ftlib score: failed_score: nan is no number that could be averaged; 0 is the default.\n"


@pytest.mark.parametrize("name", ["references", "good", "train"])
def test_the_per_item_table_does_not_overwrite_what_is_read(files, capsys, name):
    write_jsonl(files["train"], [{"content": "a b c"}])
    before = files[name].read_bytes()
    arguments = ["score", "--references", str(files["references"]), "--answers", str(files["good"]), "--train", str(files["train"])]
    assert main([*arguments, "--out", str(files[name].parent / "." / files[name].name)]) == 2
    assert "is one of the files that are read" in capsys.readouterr().err
    assert files[name].read_bytes() == before


def test_a_per_item_table_that_cannot_be_written_is_one_sentence(files, tmp_path, capsys):
    for out in (tmp_path, files["good"] / "items.jsonl"):
        assert main(["score", "--references", str(files["references"]), "--answers", str(files["good"]), "--out", str(out)]) == 2
        said = capsys.readouterr()
        assert said.err.startswith(f"ftlib score: {tmp_path}")
        assert "Traceback" not in said.err


@pytest.mark.parametrize(("primary", "unit"), [("rougeL", "points"), ("length_ratio", "ratio"), ("title_faithfulness", "percent")])
def test_the_smallest_difference_has_the_unit_of_its_metric(files, primary, unit):
    write_jsonl(files["bad"], [{"id": str(i), "answer": "An oak lamp. " * (i + 1) if i % 2 else "A book."} for i in range(6)])
    found = score_files(files["references"], [files["good"], files["bad"]], primary=primary, resamples=50)
    assert found["smallest_difference"]["unit"] == unit
    assert f"{unit}." in scores_text(found)


@pytest.mark.parametrize("number", ["0", "-5", "19"])
def test_too_few_resamples_are_one_sentence(files, capsys, number):
    assert main(["score", "--references", str(files["references"]), "--answers", str(files["good"]), "--resamples", number]) == 2
    assert capsys.readouterr().err == f"ftlib score: resamples: {number} are too few for an interval; give 20 or more (10,000 is the default).\n"


def test_an_embedding_model_out_of_reach_is_refused_at_once(files, capsys, monkeypatch):
    pytest.importorskip("torch")
    hub = pytest.importorskip("huggingface_hub")

    def nobody(*_, **__):
        raise ConnectionError("no route to host\nand more lines")

    monkeypatch.setattr(hub.HfApi, "model_info", nobody)
    assert main(["score", "--references", str(files["references"]), "--answers", str(files["good"]), "--embedding", "all-MiniLM"]) == 2
    why = "is not on this machine and the hub does not give it (no route to host); give a folder or a hub id."
    assert capsys.readouterr().err == f"ftlib score: The embedding model all-MiniLM {why}\n"
