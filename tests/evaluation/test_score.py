"""A whole scoring: the laws that hold whatever the texts, and what a summary says."""

from __future__ import annotations

import numpy as np
import pytest
import sacrebleu
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftlib.errors import ProfileError
from ftlib.evaluation.items import Given, Item
from ftlib.evaluation.metrics import NAMES, measure
from ftlib.evaluation.score import Settings, item_rows, score
from ftlib.evaluation.statistics import holm

ALL = [name for name in NAMES if name != "semantic"]
TEXT = st.text(alphabet=st.sampled_from("ab cd éñ 中 1 2."), max_size=25)
PROPERTY = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])


def items(references: list[str]) -> list[Item]:
    return [Item(str(i), text, f"title {i} of {text[:5]}") for i, text in enumerate(references)]


def answers(texts: list[str | None]) -> list[Given]:
    return [Given(str(i), text, "stop") for i, text in enumerate(texts)]


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=8))
@PROPERTY
def test_identical_systems_differ_by_nothing(pairs):
    given_ = answers([a for a, _ in pairs])
    found = score(items([r for _, r in pairs]), {"a": given_, "other": answers(["x"] * len(pairs)), "b": given_}, Settings(ALL, resamples=60)).summary
    same = [row for row in found["pairs"] if (row["a"], row["b"]) == ("a", "b")]
    assert same or found["settings"]["clusters"] == 1
    for row in same:
        assert (row["difference"], row["low"], row["high"], row["p"], row["p_permutation"], row["p_holm"]) == (0, 0, 0, 1, 1, 1)
    assert all(row["p"] == 1 for row in found["mcnemar"] if (row["a"], row["b"]) == ("a", "b"))


@given(st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=2, max_size=8))
@PROPERTY
def test_swapping_two_systems_negates(triples):
    one, two = answers([a for a, _, _ in triples]), answers([b for _, b, _ in triples])
    questions = items([r for _, _, r in triples])
    found = score(questions, {"x": one, "y": two}, Settings(ALL, resamples=60)).summary
    forth, metrics = found["pairs"], {name: system["metrics"] for name, system in found["systems"].items()}
    back = score(questions, {"x": two, "y": one}, Settings(ALL, resamples=60)).summary["pairs"]
    for f, b in zip(forth, back, strict=True):
        assert f["difference"] == pytest.approx(metrics["x"][f["metric"]]["value"] - metrics["y"][f["metric"]]["value"], abs=1e-8)
        assert f["difference"] == pytest.approx(-b["difference"], abs=1e-8)
        assert (f["low"], f["high"]) == pytest.approx((-b["high"], -b["low"]), abs=1e-8)
        assert (f["p"], f["p_permutation"]) == pytest.approx((b["p"], b["p_permutation"]), abs=1e-9)


def test_an_answer_equal_to_its_reference_has_100_in_everything():
    texts = ["The blue lamp has 2 switches and a long cable.", "Um vaso de barro, feito à mão.", "用中文写的一句话。"]
    questions = [Item(str(i), text, text) for i, text in enumerate(texts)]
    found = score(questions, {"perfect": answers(list(texts))}, Settings(ALL, resamples=100)).summary["systems"]["perfect"]["metrics"]
    for name, metric in found.items():
        if metric["unit"] in ("points", "percent") and not {"google", "stem"}.intersection(name.split("_")):  # those drop what is not ASCII
            assert (metric["value"], metric["low"], metric["high"]) == pytest.approx((100, 100, 100)), name
    assert found["length_ratio"]["value"] == 1


def test_failed_items_are_counted_and_score_as_declared():
    questions = items(["a b c d"] * 4)
    four = answers(["a b c d", None, "a b c d", ""])
    found = score(questions, {"s": four}, Settings(["rougeL", "chrf"], resamples=50)).summary["systems"]["s"]
    assert (found["failed"], found["n"], found["metrics"]["rougeL"]["n"], found["metrics"]["rougeL"]["value"]) == (1, 4, 4, 50)
    assert found["flags"]["empty"] == pytest.approx({"rate": 0.5, "low": 0.1500, "high": 0.8500, "count": 2, "n": 4}, abs=1e-4)
    half = score(questions, {"s": four}, Settings(["rougeL"], resamples=50, failed_score=40)).summary["systems"]["s"]
    assert half["metrics"]["rougeL"]["value"] == 60
    rows = list(item_rows(questions, {"s": four}, score(questions, {"s": four}, Settings(["rougeL"], resamples=50))))
    assert [row["failed"] for row in rows] == [False, True, False, False]


def test_an_answer_with_an_error_has_failed_whatever_text_came_with_it():
    """Of a stream that broke off nothing is scored: not its words, not its letters, not what it kept of the title."""
    questions = [Item(str(i), "A lamp of oak", f"oak lamp {i}") for i in range(2)]
    broken = [Given("0", "A lamp of oak", "stop"), Given("1", "A lamp of oak", "stop", error="connection lost")]
    made = measure(questions, {"s": broken}, ALL, failed_score=7)
    assert made["chrf"].values["s"].tolist() == pytest.approx([100, 0])
    assert made["length_ratio"].values["s"].tolist() == [1, 0]
    assert {name: metric.values["s"][1] for name, metric in made.items() if name not in ("chrf", "length_ratio")} == dict.fromkeys(
        set(made) - {"chrf", "length_ratio"}, 7
    )


def test_chrf_of_a_scoring_is_sacrebleus_chrf2():
    texts = [("the cat sat on a mat", "a cat is sitting on the mat"), ("", "nothing"), ("oak lamps", "an oak lamp")]
    found = measure(items([r for _, r in texts]), {"s": answers([a for a, _ in texts])}, ["chrf"])["chrf"]
    assert float(found.figure(found.statistics["s"].sum(0))) == pytest.approx(
        sacrebleu.corpus_chrf([a for a, _ in texts], [[r for _, r in texts]]).score, abs=1e-9
    )
    assert found.values["s"] == pytest.approx([sacrebleu.sentence_chrf(a, [r]).score for a, r in texts], abs=1e-9)


def test_holm_corrects_over_the_pairs_of_one_metric_and_over_those_of_one_flag():
    """Three systems, three pairs: each p of a metric or flag is corrected for the other two of it, and for no other's."""
    rng = np.random.default_rng(3)
    questions = items([" ".join(rng.choice(list("abcdefgh"), 6)) + f" {i}" for i in range(40)])
    three = {
        name: answers(["" if rng.random() < share else " ".join(rng.choice(list("abcdefgh"), 6)) for _ in range(40)])
        for name, share in (("x", 0.1), ("y", 0.4), ("z", 0.6))
    }
    found = score(questions, three, Settings(ALL, resamples=400)).summary
    families: dict[tuple[str, str], list[dict]] = {}
    for kind, key in (("pairs", "metric"), ("mcnemar", "flag")):
        for row in found[kind]:
            families.setdefault((kind, row[key]), []).append(row)
    assert ("mcnemar", "empty") in families
    assert any(row["p_holm"] > row["p"] for row in found["pairs"])
    for family in families.values():
        assert [row["p_holm"] for row in family] == pytest.approx(holm([row["p"] for row in family]))
        assert len(family) == 3


def test_item_means_are_the_systems_figure_and_totals_make_a_corpus_figure():
    questions = items(["a b c d", "e f"])
    made = measure(questions, {"s": answers(["a b", "e f g h"])}, ["rouge1", "length_ratio", "chrf"])
    assert made["rouge1"].values["s"] == pytest.approx([200 / 3, 200 / 3])
    assert made["length_ratio"].values["s"] == pytest.approx([0.5, 2])
    assert float(made["length_ratio"].figure(made["length_ratio"].statistics["s"].sum(0))) == 1  # 6 words of 6, not the mean of 0.5 and 2


def test_titles_without_content_words_are_left_out_of_faithfulness():
    questions = [Item("1", "x", "The of"), Item("2", "x", "Red lamp 40 W"), Item("3", "x", None)]
    made = measure(questions, {"s": answers(["a", "a lamp of 40 watts", "b"])}, ["title_faithfulness"])["title_faithfulness"]
    assert np.isnan(made.values["s"]).tolist() == [True, False, True]
    assert made.values["s"][1] == pytest.approx(100 * 2 / 3)  # red, lamp, 40


def test_near_equal_titles_are_one_cluster():
    questions = [Item(str(i), "a b c", title) for i, title in enumerate(["The big blue lamp of oak", "the BIG blue lamp, of oak!", "A chair", ""])]
    assert score(questions, {"s": answers(["a"] * 4)}, Settings(["rougeL"], resamples=50)).summary["settings"]["clusters"] == 3


def test_what_cannot_be_known_has_its_reason():
    found = score([Item("1", "a b")], {"s": [Given("1", "a b")]}, Settings(["rougeL", "title_faithfulness"], resamples=50)).summary["systems"]["s"]
    ends = {name for name in found["na"] if name.endswith((".low", ".high"))}  # one item has no interval
    assert {"metrics.rougeL.low", "metrics.rougeL.high"} <= ends
    assert set(found["na"]) == {
        "metrics.title_faithfulness",
        "flags.memorised",
        "flags.nothing_of_title",
        "flags.filled_template",
        "flags.cut",
        *ends,
    }
    assert "cut" not in found["flags"]


def test_a_flag_is_tested_only_between_systems_of_which_it_is_known():
    """Answers that do not say how they ended are not "cut" less often than those that do."""
    questions = items([f"a b c d {i}" for i in range(40)])
    said = {name: [Given(str(i), "a b c d and", finish) for i in range(40)] for name, finish in (("x", "length"), ("y", None), ("z", "stop"))}
    found = score(questions, said, Settings(["rougeL"], resamples=50)).summary
    assert [(row["a"], row["b"]) for row in found["mcnemar"] if row["flag"] == "cut"] == [("x", "z")]


def test_the_smallest_difference_shrinks_with_the_root_of_the_number_of_items():
    rng = np.random.default_rng(1)

    def smallest(n: int) -> float:
        texts = [[" ".join(rng.choice(list("abcdefgh"), 6)) for _ in range(n)] for _ in range(3)]
        questions = [Item(str(i), text, f"{i}") for i, text in enumerate(texts[0])]
        return score(questions, {"x": answers(texts[1]), "y": answers(texts[2])}, Settings(["rougeL"], resamples=2000)).summary[
            "smallest_difference"
        ]["value"]

    assert smallest(400) == pytest.approx(smallest(100) / 2, rel=0.25)


def test_a_primary_metric_that_is_not_measured_is_refused():
    with pytest.raises(ProfileError, match="not among the metrics rouge1"):
        score([Item("1", "a")], {"s": [Given("1", "a")]}, Settings(["rouge1"], "rougeL"))


def test_trivial_systems_are_tested_against_each_other_in_a_family_of_their_own():
    three = {"model": answers(["a", "b"]), "echo": answers(["b", "c"]), "constant": answers(["c", "a"])}
    pairs = score(items(["a lamp", "b chair"]), three, Settings(["rougeL"], resamples=50, trivial=["echo", "constant"])).summary["pairs"]
    assert [(row["a"], row["b"]) for row in pairs] == [("model", "echo"), ("model", "constant"), ("echo", "constant")]
    assert pairs[2]["p_holm"] == max(pairs[2]["p"], pairs[2]["p_permutation"])  # not multiplied by the number of the models' pairs


def test_few_items_are_warned_of_and_test_by_the_larger_p():
    texts = ["oak lamp", "blue mug", "tin box"]
    two = {"right": answers(texts), "wrong": answers(["x", "y", "z"])}
    found = score(items(texts), two, Settings(["rougeL"], resamples=2000)).summary
    (row,) = found["pairs"]
    assert row["p"] < 0.05 <= row["p_holm"] == row["p_permutation"]  # a bootstrap of three items is sure of anything
    assert found["settings"]["few_items"].startswith("3 items: fewer than 30")
    assert (
        score(
            items([f"{word} {i}" for i, word in enumerate("abcdefgh" * 5)]), {"a": answers(["a"] * 40)}, Settings(["rougeL"], resamples=50)
        ).summary["settings"]["few_items"]
        is None
    )


def test_one_item_has_neither_interval_nor_test():
    found = score(items(["oak lamp"]), {"a": answers(["oak"]), "b": answers(["x"])}, Settings(["rougeL"], resamples=50)).summary
    assert found["pairs"] == []
    assert found["systems"]["a"]["metrics"]["rougeL"]["low"] is None
    assert "no interval" in found["systems"]["a"]["na"]["metrics.rougeL.low"]
    assert "no interval" in found["settings"]["few_items"]


def test_semantic_similarity_without_a_model_is_refused():
    with pytest.raises(ProfileError, match=r"evaluation\.embedding"):
        score([Item("1", "a")], {"s": [Given("1", "a")]}, Settings(["rougeL", "semantic"]))


def test_resamples_too_few_for_so_many_pairs_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    given_ = {name: answers([f"{name} b c", "d e f", "g h"]) for name in "uvwxyz"}
    references = items(["a b c", "d e f", "g h i"])
    with caplog.at_level("WARNING", "ftlib"):
        found = score(references, given_, Settings(["rougeL"], resamples=500)).summary
        assert min(row["p_holm"] for row in found["pairs"]) >= 0.05
        assert caplog.messages == [
            "500 resamples are too few for 15 pairs of systems: after Holm no p can be below 0.06; set evaluation.resamples to 600 or more"
        ]
        caplog.clear()
        score(references, given_, Settings(["rougeL"], resamples=600))
        assert caplog.messages == []
