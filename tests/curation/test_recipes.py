"""The recipes: their steps one by one, the built-in ones on real rows, and what a wrong recipe says."""

from __future__ import annotations

import html
import json
import os
import re
from pathlib import Path

import pytest

from ftlib.configuration import builtin_names
from ftlib.curation import curate, funnel_text
from ftlib.curation import recipe as r
from ftlib.curation.figures import funnel_figure
from ftlib.curation.filters import ContentChars, TitleChars
from ftlib.curation.recipe import load_recipe
from ftlib.curation.records import Record
from ftlib.curation.rowsteps import row_step
from ftlib.curation.tokens import counter
from ftlib.errors import DataError, ProfileError
from tests.curation.helpers import read, rows, write

REAL = Path(os.environ.get("FTLIB_REAL_DATA", "/nowhere")) / "trn_head_nonempty_1000.jsonl"
real = pytest.mark.skipif(not REAL.exists(), reason="FTLIB_REAL_DATA does not hold the real rows")


def do(step: r.Step, *pairs: tuple[str, str]) -> list[tuple[str, str]]:
    function = row_step(step, counter)
    assert function is not None
    return [(row.title, row.content) for row in function([Record(str(n), *pair) for n, pair in enumerate(pairs)])]


def test_each_step_on_a_row() -> None:
    assert do(r.DropMissing(), ("a", "b"), ("", "b"), ("a", " \n")) == [("a", "b")]
    assert do(r.UnescapeHtml(), ("A &amp; B", "it&#8217;s &amp;quot;new&amp;quot; R&D")) == [("A & B", 'it\u2019s "new" R&D')]
    rows = (
        "<b>Mug</b>, 5&nbsp;oz",
        "One<br/>two<p class='x'>three</p><!-- no --><script>alert(1)</script> a <3 b, List<String>, 1 < 2 > 0 <li>four<td>five",
    )
    assert do(r.StripHtml(), rows) == [("Mug, 5&nbsp;oz", "One\ntwo\nthree\n a <3 b, List<String>, 1 < 2 > 0 \nfour five")]
    opened = "<!--" * 20_000 + "<script>" * 20_000  # and never closed: found out in one pass
    assert do(r.StripHtml(), ("x", opened)) == [("x", opened)]
    assert do(r.StripHtml(fields=["content"]), ("<i>A</i>", "<I>b</I>")) == [("<i>A</i>", "b")]
    assert do(r.UnescapeHtml(fields=["content"], twice=False), ("&lt;", "&amp;lt;")) == [("&lt;", "&lt;")]
    assert do(r.Normalise(), (" a\u00a0 b\x00\n", "e\u0301\u2028c")) == [("a b", "\u00e9\nc")]
    text = " A \t mug. \r\n\r\n \r\n\n* white\n*  blue \r* red\n \n"
    assert do(r.Normalise(), ("x", text)) == [("x", "A mug.\n\n* white\n* blue\n* red")]
    assert do(r.Normalise(), ("a\x0bb\x85c", "page one\x0cpage two\x1fe\x00\u0301")) == [
        ("a\nb\nc", "page one\npage two\n\u00e9")
    ]  # no words are glued
    assert do(r.Normalise(one_line=True), ("x", text)) == [("x", "A mug. * white * blue * red")]
    assert do(r.Normalise(punctuation=True, lower=True, strip=True, whitespace=False), (" A-B  c_d! ", "X.Y")) == [("ab  cd", "xy")]
    assert do(TitleChars(min=2, max=3), ("a", "x"), ("ab", "x"), ("abc", "x"), ("abcd", "x")) == [("ab", "x"), ("abc", "x")]
    assert do(ContentChars(min=2), ("x", "a"), ("x", "ab")) == [("x", "ab")]


def test_tokens_counts_title_and_content_together() -> None:
    import ftlib.curation.tokens as tokens

    encoding = tokens.tiktoken_encoding("o200k_base")
    pairs = [("one two three", "four five six seven"), ("one", "two")]
    sizes = [len(encoding.encode_ordinary(t)) + len(encoding.encode_ordinary(c)) for t, c in pairs]
    assert do(r.Tokens(min=sizes[0]), *pairs) == pairs[:1]
    assert do(r.Tokens(max=sizes[0] - 1), *pairs) == pairs[1:]
    assert do(r.Tokens(max=1, of="content"), *pairs) == pairs[1:]


@pytest.mark.parametrize(
    ("step", "kept"),
    [
        (r.Keywords(words=["author", "copyright"]), [0, 1, 2, 3]),
        (r.Keywords(words=["author", "copyright"], match="all"), [2]),
        (r.Keywords(words=["author"], whole=True), [0, 2]),
        (r.Keywords(words=["Author"], case=True), [0]),
        (r.Keywords(words=["author"], where="title"), [3]),
        (r.Keywords(words=["author"], where="content"), [0, 1, 2]),
        (r.ExcludeKeywords(words=["author", "copyright"]), [4]),
        (r.ExcludeKeywords(words=["author", "copyright"], match="all"), [0, 1, 3, 4]),
    ],
)
def test_keywords(step: r.Step, kept: list[int]) -> None:
    pairs = [("a", "About the Author: x"), ("b", "coauthored"), ("c", "author, copyright"), ("authority", "d"), ("e", "f")]
    assert do(step, *pairs) == [pairs[n] for n in kept]


@pytest.mark.parametrize("name", ["default", "books", "seed-readme", "seed-gpt", "seed-llama"])
def test_every_built_in_recipe_keeps_rows_of_the_sample_and_books_and_default_leak_nothing(tmp_path: Path, name: str) -> None:
    funnel = curate("sample", recipe=name, out=tmp_path / name, train=12, valid=3, test=5)
    assert funnel["splits"] == {"train": 12, "valid": 3, "test": 5}
    if name in ("default", "books"):
        assert funnel["leaks"] == {"exact": 0, "near": 0}
    for before, after in zip(funnel["steps"], funnel["steps"][1:], strict=False):
        assert before["rows_out"] == after["rows_in"]
    assert funnel["steps"][0]["rows_in"] == funnel["rows_read"] - sum(funnel["rejected"].values())
    assert all(len(step["dropped"]) == min(3, step["rows_in"] - step["rows_out"]) for step in funnel["steps"][:-1])
    assert json.loads((tmp_path / name / "funnel.json").read_text())["steps"] == funnel["steps"]
    assert "rows read" in funnel_text(funnel)


def test_there_are_the_six_recipes() -> None:
    assert set(builtin_names("recipes")) == {"default", "books", "no-books", "seed-readme", "seed-gpt", "seed-llama"}
    for name in builtin_names("recipes"):
        assert load_recipe(name).about


def left(funnel: dict[str, list[dict[str, int]]], name: str) -> list[int]:
    return [step["rows_out"] for step in funnel["steps"] if step["name"] == name]


@real
def test_seed_gpt_on_real_rows(tmp_path: Path) -> None:
    funnel = curate(REAL, recipe="seed-gpt", out=tmp_path / "and", train=10, test=4)
    assert [left(funnel, name) for name in ("content_chars", "deduplicate", "tokens", "keywords")] == [[206], [206], [169], [14]]
    text = (Path(r.__file__).parent.parent / "recipes" / "seed-gpt.yaml").read_text().replace("match: all", "match: any")
    (tmp_path / "or.yaml").write_text(text)
    funnel = curate(REAL, recipe=str(tmp_path / "or.yaml"), out=tmp_path / "or", train=10, test=4)
    assert left(funnel, "keywords") == [65]


@real
def test_seed_llama_on_real_rows_parsed_properly(tmp_path: Path) -> None:
    funnel = curate(REAL, recipe="seed-llama", out=tmp_path / "out", train=10, test=4)
    assert left(funnel, "content_chars") == [222]


@real
def test_seed_llama_on_real_rows_cut_at_their_first_inner_quote_as_its_notebook_did(tmp_path: Path) -> None:
    def cut(line: str) -> dict[str, str]:
        found = {key: re.search(rf'"{key}": "(.*?)"', line) for key in ("title", "content")}
        return {key: match[1].removesuffix("\\") if match else "" for key, match in found.items()}

    lines = REAL.read_text(encoding="utf-8").splitlines()
    assert sum(json.loads(line)["content"] != cut(line)["content"] or json.loads(line)["title"] != cut(line)["title"] for line in lines) > 200
    path = write(tmp_path / "cut.jsonl", [cut(line) for line in lines])
    funnel = curate(path, recipe="seed-llama", out=tmp_path / "out", train=10, test=4)
    assert left(funnel, "content_chars") == [180]
    assert left(funnel, "exclude_keywords")[0] == 154
    assert left(funnel, "keywords") == [15]


@real
def test_the_seed_readme_recipe_agrees_with_a_plain_reading_of_its_rules(tmp_path: Path) -> None:
    from ftlib.curation.tokens import tiktoken_encoding

    encoding = tiktoken_encoding("o200k_base")
    kept = []
    for line in REAL.read_text(encoding="utf-8").splitlines():
        title, content = json.loads(line)["title"], json.loads(line)["content"]
        words = "copyright" in (title + content).lower() or "author" in (title + content).lower()
        if len(title) > 40 and len(content) > 400 and words and len(encoding.encode_ordinary(title)) + len(encoding.encode_ordinary(content)) >= 257:
            kept.append(content)
    curate(REAL, recipe="seed-readme", out=tmp_path / "out", train=10, test=4)
    assert [row["content"] for row in read(tmp_path / "out" / "train.jsonl")] == kept[:10]
    assert [row["content"] for row in read(tmp_path / "out" / "test.jsonl")] == kept[10:14]


@real
def test_default_on_real_rows_leaks_nothing_and_unescapes(tmp_path: Path) -> None:
    funnel = curate(REAL, out=tmp_path / "out")
    assert funnel["leaks"] == {"exact": 0, "near": 0}
    contents = [row["content"] for row in read(tmp_path / "out" / "train.jsonl")]
    assert all(html.unescape(text) == text or "&" in text for text in contents)
    assert not any("&#8217;" in text for text in contents)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("steps: [drop_mising]", "no step 'drop_mising' .did you mean 'drop_missing'"),
        ("steps: [{tokens: {minimum: 3}}]", "step 1 .tokens.: unknown key minimum .did you mean 'min'"),
        ("steps: [{tokens: {min: many}}]", "step 1 .tokens.: min: expected"),
        ("steps: [{keywords: {words: []}}]", "words must be a list of words"),
        ("steps: [{title_chars: {min: 5, max: 4}}]", "min is 5 and max is 4"),
        ("steps: [{split: {}}, drop_missing]", "split can only be the last step"),
        ("steps: [{split: {train: 0.9, test: 0.2}}]", "shares add up to"),
        ("steps: [{sample: {size: 5, method: stratified, strata: 0}}]", "strata is 0; give 1 or more"),
        ("steps: [{drop_missing: {fields: [name]}}]", r"step 1 .drop_missing.: fields\[0\]: invalid enum value 'name' .there are: title, content"),
        ("steps: [{keywords: {words: [a], match: none}}]", "step 1 .keywords.: match: invalid enum value 'none'"),
        ("steps: [{sample: {size: 1.5}}]", "give a number of rows, or a share"),
        ("steps: [{deduplicate: {threshold: 0}}]", "threshold is 0"),
        ("steps: [{tokens: {encoding: o300k}}]", "no encoding 'o300k'"),
        ("step: []", "unknown key step .did you mean 'steps'"),
        ("steps: [a: b", "not valid YAML"),
    ],
)
def test_a_wrong_recipe_is_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ProfileError, match=says):
        curate("sample", recipe=str(tmp_path / "mine.yaml"), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_recipe_that_keeps_no_row_names_the_step(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("steps: [{keywords: {words: [xyzzy]}}]")
    with pytest.raises(DataError, match="keeps no row of sample: step keywords dropped the last 3,600 rows"):
        curate("sample", recipe=str(tmp_path / "mine.yaml"), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_steps_may_follow_a_step_that_must_see_all_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", rows(200))
    (tmp_path / "mine.yaml").write_text(
        "steps: [{sample: {size: 100}}, {content_chars: {min: 1}}, {sample: {size: 0.5, method: stratified}}, {sample: {size: 30, method: first}}]"
    )
    funnel = curate(path, recipe=str(tmp_path / "mine.yaml"), out=tmp_path / "out", train=0.5, valid=0, test=0.5)
    assert [step["rows_out"] for step in funnel["steps"]] == [100, 100, 50, 30, 30]


def test_a_stratified_sample_keeps_the_lengths(tmp_path: Path) -> None:
    made = [{"title": f"t{n}", "content": f"{n} " * (1 + n)} for n in range(400)]
    path = write(tmp_path / "a.jsonl", made)
    (tmp_path / "mine.yaml").write_text("steps: [{sample: {size: 40, method: stratified}}]")
    curate(path, recipe=str(tmp_path / "mine.yaml"), out=tmp_path / "out", train=0.5, valid=0, test=0.5)
    numbers = sorted(int(row["title"][1:]) for name in ("train", "test") for row in read(tmp_path / "out" / f"{name}.jsonl"))
    assert [sum(low <= n < low + 40 for n in numbers) for low in range(0, 400, 40)] == [4] * 10


def test_duplicates(tmp_path: Path) -> None:
    base = rows(40)
    near = {**base[0], "title": "Quite another", "content": base[0]["content"].upper().replace(" ", ", ") + " more"}
    path = write(tmp_path / "a.jsonl", [*base, base[3], {**base[4], "title": "Other"}, near])
    dropped = {}
    for by in ("pair", "content", "near"):
        (tmp_path / "mine.yaml").write_text(f"steps: [{{deduplicate: {{by: {by}}}}}]")
        funnel = curate(path, recipe=str(tmp_path / "mine.yaml"), out=tmp_path / "out", train=0.8, valid=0, test=0.2)
        dropped[by] = funnel["steps"][0]["rows_in"] - funnel["steps"][0]["rows_out"]
    assert dropped == {"pair": 1, "content": 2, "near": 3}


def test_what_is_missing_or_has_no_words_is_no_duplicate(tmp_path: Path) -> None:
    odd = [{"uid": f"odd{n}", "title": f"Odd {n}", "content": text} for n, text in enumerate(["", "", "!!!", "???", "\u2605", "!!!"])]
    path = write(tmp_path / "a.jsonl", [*rows(20), *odd])
    (tmp_path / "mine.yaml").write_text("steps: [{deduplicate: {by: content}}, {deduplicate: {by: near}}]")
    funnel = curate(path, recipe=str(tmp_path / "mine.yaml"), out=tmp_path / "out")
    assert [[row["id"] for row in step["dropped"]] for step in funnel["steps"][:2]] == [["odd5"], []]


def test_line_breaks_stay_and_changed_rows_are_counted(tmp_path: Path) -> None:
    made = rows(10)
    made[3]["content"] += "\r\n\r\n\r\n* white &amp; blue\r\n*  red "
    path = write(tmp_path / "a.jsonl", made)
    funnel = curate(path, out=tmp_path / "out", train=6, valid=2, test=2)
    kept = {row["id"]: row["content"] for side in ("train", "valid", "test") for row in read(tmp_path / "out" / f"{side}.jsonl")}
    assert kept[made[3]["uid"]] == rows(10)[3]["content"] + "\n\n* white & blue\n* red"
    assert {step["name"]: step["changed"] for step in funnel["steps"] if step["changed"]} == {"unescape_html": 1, "normalise": 1}
    assert "1 row changed" in next(line for line in funnel_text(funnel).splitlines() if line.startswith("normalise"))
    assert "1 changed" in [text.get_text().strip().rpartition("   ")[2] for text in funnel_figure(funnel).axes[0].texts]


@pytest.mark.parametrize(("steps", "tagged"), [("", 2), ("strip_html, ", 0), ("{strip_html: {fields: [content]}}, ", 1)])
def test_kept_rows_with_tags_are_counted_and_said_unless_a_step_takes_tags_out(tmp_path: Path, steps: str, tagged: int) -> None:
    made = rows(20)
    made[3]["content"] += ' <P class="x">red</p>, 1 < 2'
    made[5]["title"] += " <br/>"
    made[7]["content"] += " <3, List<String> & a < b"
    (tmp_path / "mine.yaml").write_text(f"steps: [{steps}{{split: {{train: 14, valid: 3, test: 3}}}}]")
    funnel = curate(write(tmp_path / "a.jsonl", made), recipe=str(tmp_path / "mine.yaml"), out=tmp_path / "out")
    assert funnel["tags"]["rows"] == json.loads((tmp_path / "out" / "funnel.json").read_text())["tags"]["rows"] == tagged
    assert (funnel["tags"]["first"] in ("<p>", "<br>")) == (tagged > 0)
    said = f"2 kept rows hold HTML tags such as {funnel['tags']['first']}; the step strip_html takes them out"
    assert (said in funnel_text(funnel)) == (not steps)
    assert "HTML tags" not in funnel_text({key: value for key, value in funnel.items() if key != "tags"})


def test_a_row_near_a_row_that_went_is_named_with_the_one_that_stayed(tmp_path: Path) -> None:
    base = rows(5)
    near = {**base[0], "uid": "near", "content": base[0]["content"] + " more"}
    shouted = {**base[0], "uid": "shouted", "content": near["content"].upper()}
    (tmp_path / "mine.yaml").write_text("steps: [{deduplicate: {by: near}}]")
    funnel = curate(write(tmp_path / "a.jsonl", [*base, near, shouted]), recipe=str(tmp_path / "mine.yaml"), out=tmp_path / "out")
    assert [(row["id"], row["like"]) for row in funnel["steps"][0]["dropped"]] == [("near", base[0]["uid"]), ("shouted", base[0]["uid"])]


def test_the_list_of_steps_names_each_with_all_its_parameters() -> None:
    lines = (Path(r.__file__).parent.parent / "recipes" / "README.md").read_text("utf-8").splitlines()
    for name, kind in r.KINDS.items():
        line = next(line for line in lines if line.startswith("| `") and f"`{name}`" in line.split("|")[1])
        for parameter in kind.__struct_fields__:
            assert f"`{parameter}" in line, f"{name}: {parameter}"
