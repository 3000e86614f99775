"""Tables and charts of notebook 05."""

from __future__ import annotations

import json

import pytest

from ftlib.evaluation import answer_run, drawing, score_run, showing
from ftlib.files import read_jsonl, write_jsonl


@pytest.fixture
def scored(make_run, trainers):
    """A scored run with a title that is markup, one failed answer and a refused contestant."""
    contestants = [{"name": name, "trainer": "local", "model": "tiny-llama"} for name in ("one", "two")]
    run = make_run(contestants, statuses={"two": "refused"})
    rows = list(read_jsonl(run.test_file))
    rows[0]["title"] = "<script>alert(1)</script> & more"
    write_jsonl(run.test_file, rows)
    answer_run(run)
    path = run.answers_file("one.tuned")
    write_jsonl(path, [{**row, "answer": None, "finish": "error", "error": "x"} if row["id"] == "00003" else row for row in read_jsonl(path)])
    return run, score_run(run)


def test_texts_of_data_are_never_markup(scored):
    run, _ = scored
    page = showing.answers(run, 12)._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_tables_say_what_is_missing_and_why(scored):
    _, summary = scored
    shown = repr(showing.metrics(summary))
    assert "two.tuned" in shown
    assert "refused" in shown
    assert next(line for line in shown.splitlines() if line.startswith("one.tuned")).split()[1] == "1"  # failed
    assert "the profile holds no slice out" in repr(showing.flexibility(summary))
    assert "n/a without a judge" in showing.judged(summary)._repr_html_()
    assert "Smallest ROUGE-L difference that 12 items can show" in repr(showing.pairs(summary))
    assert "Smallest ROUGE-L difference that 12 items can show" in repr(showing.metrics(summary))
    for table in (showing.metrics, showing.pairs, showing.flags):
        assert "Failed items, scored as 0 and never dropped: one.tuned 1." in repr(table(summary))
    assert "empty" in repr(showing.flags(summary))
    marked = {row[0]: [str(cell).endswith("*") for cell in row[2:]] for row in showing.flags(summary).rows}
    assert marked["common_opening"] == [False, True, False, False, False]  # its base says "I think it is" to all twelve
    assert not any(marked["empty"])
    assert ", base alone " in repr(showing.flexibility(summary))
    assert "Questions: retention 4, forgetting 4, wording 4, bleeding 4." in showing.flexibility(summary).note
    assert "by construction" in repr(showing.flags(summary))
    assert "“i think it is” (12)" in showing.flags(summary).note  # the opening itself
    assert "tok:unicode" in showing.signatures(summary)._repr_html_()


def test_precision_and_recall_are_shown_apart(scored):
    _, summary = scored
    table = showing.parts(summary)
    assert table.head[:3] == ("system", "ROUGE-1 precision", "ROUGE-1 recall")
    cells = {row[0]: row[1:] for row in table.rows}
    found = summary["systems"]["one.base"]["metrics"]
    assert cells["one.base"][0].startswith(f"{found['rouge1_precision']['value']:.1f} [")
    assert cells["one.base"][1].startswith(f"{found['rouge1_recall']['value']:.1f} [")
    assert set(cells["two.tuned"]) == {"n/a"}
    assert "Failed items, scored as 0 and never dropped: one.tuned 1." in table.note


def test_charts_are_pictures(scored):
    run, summary = scored
    for picture in (drawing.interval_chart(summary), drawing.difference_chart(run, summary)):
        assert picture._repr_png_().startswith(b"\x89PNG")
        assert not any("two" in label.get_text() for axes in picture.figure.axes for label in axes.get_yticklabels())


def test_long_texts_are_cut_and_missing_ones_said():
    assert showing.short("x" * 400, 10) == "x" * 10 + " …"
    assert showing.short(None) == "(no answer)"


def test_the_notebook_has_its_parameters_in_one_cell():
    from ftlib.notebook import notebooks_folder, parameters_of

    assert parameters_of("05_evaluate") == {"PROFILE": "demo", "RUN": "", "PRIMARY": "", "RESAMPLES": 0}
    cells = json.loads((notebooks_folder() / "05_evaluate.ipynb").read_text("utf-8"))["cells"]
    assert max(len(cell["source"]) for cell in cells if cell["cell_type"] == "code" and cell["id"] != "install") <= 12
    assert all(not cell.get("outputs") for cell in cells)
