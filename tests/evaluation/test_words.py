"""Words in any language."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlib.evaluation.words import content_words, function_words, google_words, unicode_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Não é, só 3,5 km!", ["não", "é", "só", "3", "5", "km"]),
        ("Dyer's snake_case", ["dyer", "s", "snake", "case"]),
        ("STRASSE Straße", ["strasse", "strasse"]),
        ("пишет 2 книги", ["пишет", "2", "книги"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("日本語のtext 中", ["日", "本", "語", "の", "text", "中"]),
        ("ไทย", ["ไ", "ท", "ย"]),
        ("한국어 책", ["한국어", "책"]),
        ("العربية كتاب", ["العربية", "كتاب"]),
        ("…—!", []),
        ("", []),
    ],
)
def test_words(text, words):
    assert unicode_words(text) == words


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_both_tokenizers_agree_on_ascii(text):
    assert unicode_words(text) == google_words(text)


@given(st.text())
def test_composed_and_decomposed_texts_have_the_same_words(text):
    assert unicode_words(unicodedata.normalize("NFD", text)) == unicode_words(unicodedata.normalize("NFC", text))


@given(st.text(alphabet=st.sampled_from("aßé中ก1 _-'"), max_size=20), st.text(alphabet=st.sampled_from("aßé中ก1 _-'"), max_size=20))
def test_words_of_two_texts_are_the_words_of_both(a, b):
    assert unicode_words(f"{a} {b}") == unicode_words(a) + unicode_words(b)


def test_content_words_leave_out_function_words_and_keep_numbers():
    assert content_words("The History of 7 Castles, a Tale") == {"history", "7", "castles", "tale"}
    assert content_words("A casa de 3 portas", "pt") == {"casa", "3", "portas"}


def test_every_list_of_function_words_has_some():
    assert all(len(words) >= 20 for words in function_words().values())
    assert {"en", "pt", "es", "fr", "de"}.issubset(function_words())
