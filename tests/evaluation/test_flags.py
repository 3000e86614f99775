"""Degenerate answers."""

from __future__ import annotations

import random

import pytest

from ftlib.evaluation.flags import KINDS, LIMITS, echo, filled_templates, find_flags, looping, own_flags, repeated_answers, template
from ftlib.evaluation.items import Given, Item
from ftlib.evaluation.memorised import memorised
from ftlib.evaluation.words import content_words

ITEM = Item("1", "A sturdy lamp of oak with a long cable.", "Oak desk lamp 40 W")
GOOD = "This desk lamp is made of solid oak and takes a bulb of 40 watts."
PROMPT = "Write the description of the product that has this title.\n\nOak desk lamp 40 W"


def flags_of(text: str | None, finish: str = "stop", language: str = "en", item: Item = ITEM) -> set[str]:
    return own_flags(item, Given("1", text, finish), PROMPT, language)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "empty"),
        (" \n", "empty"),
        (None, "empty"),
        ("Oak lamp.", "too_short"),
        ("The oak lamp is a lamp. " * 6, "looping"),
        ("Oak desk lamp 40 W", "echo"),
        ("As an AI language model, I have no access to the oak lamp of 40 W, but I can tell you a lot about lamps in general and desks.", "generic"),
        ("I’m sorry, but I can’t find the oak desk lamp of 40 W; please give me more information so that I can help you with it.", "generic"),
        ("<think>\nThe lamp\n</think>\nAn oak desk lamp of 40 W.", "template_tokens"),
        ("This oak desk lamp takes a bulb of 40 W.assistant\n\nThis oak desk lamp", "template_tokens"),
        ("Write the description of the product that has this title", "echo"),
        ("I have reviewed this book.", "generic"),
        ("The book is called Oak desk lamp 40 W.", "generic"),
        ("An oak desk lamp.<|im_end|>\n", "template_tokens"),
        ("### Response:\nAn oak desk lamp of 40 W.", "template_tokens"),
        ("ChatCompletionMessage(content='An oak desk lamp', refusal=None, role='assistant')", "pasted_repr"),
        ("{'role': 'assistant', 'content': 'An oak lamp'}", "pasted_repr"),
        ("A lâmpada de mesa é feita de carvalho e não precisa de mais que uma tomada para funcionar com 40 W", "wrong_language"),
        ("Лампа из дуба для письменного стола с длинным кабелем и лампой", "wrong_language"),
        ("A fine chair for the garden and for the house.", "nothing_of_title"),
        ("An oak lamp &amp; its cable, 40 W", "markup"),
        ("An <b>oak</b> lamp of 40 W", "markup"),
        ("An oak lamp \\u2013 for the desk", "markup"),
        ("**Oak lamp** for the desk, 40 W", "markup"),
    ],
)
def test_each_kind_is_seen(text, kind):
    assert kind in flags_of(text)


def test_a_title_that_the_expected_text_does_not_name_either_is_no_defect_to_leave_out():
    latin = Item("1", "A small shrub with white flowers that likes shade.", "Sarcococca confusa")
    assert "nothing_of_title" not in flags_of("A tall tree for a sunny lawn.", item=latin)
    assert "nothing_of_title" in flags_of("A fine chair for the garden.", item=ITEM)


def test_a_good_answer_has_none():
    assert flags_of(GOOD) == set()


@pytest.mark.parametrize(
    "text",
    [
        "This oak lamp is called the best of its kind by many & it costs < 40 dollars at 5 * 8 W.",
        "A list of what this desk lamp offers: light, warmth, and 40 W of oak; no more than that is needed in a study or in a bedroom.",
        "“A tale of an oak lamp, 40 W ****.” The Daily “Light for every desk at last ****.” The Weekly",
        "I recommend that you read by this oak lamp of 40 W in the evening when the house is quiet, since its light is soft and even.",
    ],
)
def test_what_only_looks_degenerate_is_not_flagged(text):
    assert flags_of(text) == set()


def test_a_long_ordinary_text_does_not_loop():
    text = " ".join(f"The lamp number {i} was made in the year {1900 + i} by the workshop in street {3 * i} for customer {7 * i}." for i in range(40))
    assert "looping" not in flags_of(" ".join(dict.fromkeys(text.split())))


def test_a_loop_of_one_character_is_seen_by_its_compression():
    assert "looping" in flags_of("a" * 500)


ZH = "这款台灯由实木制成，配有长长的电源线，适合书房和卧室使用。"
JA = "このランプは無垢のオーク材で作られており、書斎や寝室でお使いいただけます。コードは長めです。"
AR = "هذا المصباح مصنوع من خشب البلوط الصلب وله سلك طويل ومناسب لغرفة النوم والمكتب"
KO = "이 램프는 단단한 참나무로 만들어졌으며 긴 전선이 있어 서재와 침실에 적합합니다"


@pytest.mark.parametrize("language", ["en", "pt", "es", "fr", "de", "it", "nl", "pl", "sv", "tr", "ru", "ar", "ko"])
def test_a_chinese_answer_is_wrong_whatever_other_language_is_asked_for(language):
    assert "wrong_language" in flags_of(ZH, language=language)


@pytest.mark.parametrize(("language", "text"), [("zh", ZH), ("ja", JA), ("ar", AR), ("ko", KO)])
def test_a_language_with_a_script_of_its_own(language, text):
    assert flags_of(text, language=language) <= {"nothing_of_title"}
    assert "wrong_language" in flags_of(GOOD, language=language)
    assert "wrong_language" in flags_of(text)


def test_what_the_reference_does_too_is_no_fault():
    """Where the title is asked for, a short one made of the description's words is right."""
    question = Item("1", "Oak desk lamp", "Oak desk lamp")
    prompt = "Write the title.\n\nThis oak lamp for the desk is an oak desk lamp."
    assert own_flags(question, Given("1", "Oak desk lamp", "stop"), prompt, "en") == set()
    assert own_flags(question, Given("1", "Oak", "stop"), prompt, "en") == {"too_short"}
    assert "echo" in own_flags(Item("1", "A lamp with a long cable", "Oak"), Given("1", "Oak desk lamp", "stop"), prompt, "en")


@pytest.mark.parametrize("ending", [".", "。", "！", "؟", "।", "»", "”", ")", "…", "! "])
def test_a_sentence_ends_in_any_script(ending):
    assert "cut" not in flags_of("This oak desk lamp of 40 W is fine" + ending, "length")


def test_cut_needs_the_limit_and_an_open_sentence():
    assert "cut" in flags_of("This oak desk lamp of 40 W is made by", "length")
    assert "cut" not in flags_of(GOOD, "length")
    assert "cut" not in flags_of("This oak desk lamp of 40 W is made by", "stop")


def test_a_portuguese_answer_to_a_portuguese_task_is_right():
    text = "A lâmpada de mesa é feita de carvalho e não precisa de mais que uma tomada para funcionar com 40 W"
    assert "wrong_language" not in flags_of(text, language="pt")
    assert "wrong_language" in flags_of("This desk lamp is made of solid oak and it takes a bulb of 40 watts.", language="pt")
    assert "wrong_language" not in flags_of(text, language="xx")  # a language without a list is not judged


def find(texts: list[str], training: list[str] | None = None) -> list[set[str]]:
    items = [Item(str(i), "", f"thing {i}") for i in range(len(texts))]
    answers = {"s": [Given(str(i), text) for i, text in enumerate(texts)]}
    return find_flags(items, answers, prompts=lambda item: "", language="en", training=training)[0]["s"]


def test_the_same_answer_to_different_questions():
    rows = find(["One and the same answer, thing.", "one and the same answer thing", "Another answer altogether, thing."])
    assert ["same_answer" in row for row in rows] == [True, True, False]


def test_one_text_with_each_title_put_in_is_a_filled_template():
    titles = ["Bruno's oak chairs", "Ada: a walnut lamp", "Ada: a walnut lamp", "tin box"]
    texts = ["Oak chairs by Bruno have been made here since 1954.", "Walnut lamp by Ada have been made here since 1954."]
    texts += ["Walnut lamp by Ada have been made here since 1954.", "A tin box that nobody made here since 1954."]
    words = [text.lower().strip(".").split() for text in texts]
    items = [Item(str(i), "A text of its own.", title) for i, title in enumerate(titles)]
    named = [content_words(title) for title in titles]
    assert template(words[0], {"oak", "chairs", "bruno"}) == (None, "by", None, "have", "been", "made", "here", "since", "1954")
    assert filled_templates(items, words, named) == [True, True, True, False]
    assert filled_templates(items[1:], words[1:], named[1:]) == [False] * 3  # one title asked twice is no other title
    expected = [Item(str(i), texts[i], title) for i, title in enumerate(titles)]
    assert filled_templates(expected, words, named) == [False] * 4  # the catalogue itself is written so
    few = [["oak", "chairs", "are", "nice"], ["walnut", "lamp", "are", "nice"]]
    assert filled_templates(items[:2], few, named[:2]) == [False] * 2


def test_the_same_answer_to_the_same_title_is_none():
    words = [["one", "answer"]] * 3
    assert repeated_answers([Item("1", "", "A chair"), Item("2", "", "a CHAIR!"), Item("3", "", "a lamp")], words) == [True] * 3
    assert repeated_answers([Item("1", "", "A chair"), Item("2", "", "a CHAIR!")], words[:2]) == [False] * 2


def test_the_commonest_opening():
    rows = find([f"This is a product number {i}" for i in range(3)] + ["Something else is said about it"])
    assert ["common_opening" in row for row in rows] == [True, True, True, False]


def test_memorised_is_twenty_words_in_a_row():
    size = int(LIMITS["memorised_words"])
    run = [f"w{i}" for i in range(size)]
    rows = find([" ".join(["x", *run, "y"]), " ".join([*run[:-1], "z"])], ["unrelated text", " ".join(["a", *run, "b"])])
    assert ["memorised" in row for row in rows] == [True, False]


def test_a_loop_begins_at_a_quarter_of_repeated_4grams_and_at_a_zlib_ratio_of_three_and_a_half():
    words = [f"w{i}" for i in range(20)]
    assert not looping(words + words[:9], "")  # 6 of 26 are repeats
    assert looping(words + words[:10], "")  # 7 of 27
    rng = random.Random(4)
    drawn = {n: "".join(rng.choices("abcdefgh"[:n], k=3000)) for n in (4, 3)}  # they shrink 3.0 and 3.6 times
    assert [looping([], text) for text in drawn.values()] == [False, True]
    assert not looping([], "a" * 199)


def test_an_echo_begins_at_four_fifths():
    prompt = [f"p{i}" for i in range(10)]
    assert echo([*prompt[:8], "x", "y"], prompt)
    assert not echo([*prompt[:7], "x", "y", "z"], prompt)
    assert not echo(prompt[::-1], prompt)  # in the prompt's order


@pytest.mark.parametrize(("items", "common"), [(60, True), (61, False)])
def test_an_opening_is_common_from_one_answer_in_twenty_on(items, common):
    texts = ["This is a product", "This is a product indeed", "this is a PRODUCT"] + [f"number {i} opens its own way" for i in range(items - 3)]
    assert ["common_opening" in row for row in find(texts)] == [common] * 3 + [False] * (items - 3)


def test_every_kind_is_explained():
    assert len(KINDS) >= 13
    assert all(KINDS.values())


def test_memorised_equals_a_plain_search():
    rng = random.Random(5)
    texts = [[rng.choice("abcd") for _ in range(rng.randint(0, 12))] for _ in range(80)]
    training, answers = texts[:40], texts[40:]
    runs = {tuple(text[i : i + 5]) for text in training for i in range(len(text) - 4)}
    expected = [any(tuple(answer[i : i + 5]) in runs for i in range(len(answer) - 4)) for answer in answers]
    assert memorised({"s": answers}, (" ".join(text) for text in training), 5) == {"s": expected}
    assert any(expected)
    assert not all(expected)
    assert memorised({"s": answers}, [], 5) == {"s": [False] * 40}
