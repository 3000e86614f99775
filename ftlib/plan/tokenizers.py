"""The tokenizer of a local model, where it is at hand: nothing is downloaded to estimate or to check."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ftlib.catalogue import Model, find_model
from ftlib.errors import DataError

log = logging.getLogger("ftlib")
_LOADED: dict[tuple[str | None, ...], LocalTokens] = {}


class LocalTokens:
    """Counts the tokens of training rows as the local trainer feeds them. ``name`` says with what."""

    def __init__(self, model: Model, *, revision: str | None = None, template: str = "auto", download: bool = False) -> None:
        from ftlib.training.local.template import Template

        self.template = Template(tokenizer_at_hand(model, revision, download=download), template, model.name)  # type: ignore[arg-type]
        self.name = f"the tokenizer of {model.name}"

    def count(self, rows: Iterable[Mapping[str, Any]]) -> list[int]:
        """Tokens of each example that the trainer makes of the rows (see ``by_row``)."""
        return [tokens for examples in self.by_row(rows) for tokens in examples]

    def by_row(self, rows: Iterable[Mapping[str, Any]]) -> list[list[int]]:
        """Tokens of each row's examples: the prompt in its template, the answer, and the token that ends it.

        An instruction row is one example, a chat row one for each answer that is learnt; the last holds the whole conversation.
        """
        from ftlib.training.local.rows import from_rows

        groups = [from_rows([row], f"the training file, row {number}") for number, row in enumerate(rows, 1)]
        examples = [example for group in groups for example in group]
        made = self.template.rows([example.prompt for example in examples], [example.answer for example in examples])
        counts = iter([len(prompt) + len(answer) for prompt, answer in made])
        return [list(islice(counts, len(group))) for group in groups]

    def seen(self, row: Mapping[str, Any]) -> Seen:
        """What the model receives of a training row, as text, beside what its template writes. Of a conversation: its last answer.

        Both parts are decoded from the very token ids and labels that the local trainer makes. Raises DataError where nothing is learnt.
        """
        from ftlib.formatting.rows import answered
        from ftlib.training.local.rows import IGNORED, from_rows, tokenise

        examples = from_rows([row], "the row")
        if not examples:
            raise DataError("Every answer of the row has weight 0, so nothing of it is learnt; show another row.")
        tokens = tokenise(examples[-1:], self.template, max_length=10**9, truncate=False, where="the row")[0]
        start = sum(label == IGNORED for label in tokens.labels)
        given, whole = self._text(tokens.input_ids[:start]), self._text(tokens.input_ids)
        written = self.template.render(answered(examples[-1].prompt, examples[-1].answer), open_turn=False)  # the trainer's own rendering
        learnt = whole.removeprefix(given) if whole.startswith(given) else self._text(tokens.input_ids[start:])
        return Seen(given, learnt, written.removeprefix(whole) if written.startswith(whole) else None, written)

    def _text(self, ids: list[int]) -> str:
        return str(self.template.tokenizer.decode(ids, clean_up_tokenization_spaces=False))


@dataclass(frozen=True)
class Seen:
    """A training row as a local model receives it.

    What the template writes after the end of the turn (a line end in ChatML and Gemma, the end of the text in Phi) is not fed at all: as a
    token sees only those before it, that is the same as feeding it under the mask.
    """

    given: str  # no loss is taken on it
    learnt: str  # the answer and the token that ends its turn
    tail: str | None  # what the template writes after that; None where it writes the answer itself in another way
    written: str  # the whole conversation as the template writes it


def tokenizer_at_hand(model: Model, revision: str | None = None, *, download: bool = False) -> Any:
    """A model's tokenizer from a folder, the hub's cache or ftlib's own builder, or, if asked, from the hub.

    Raises LookupError where it is not here.
    """
    try:
        if model.build:
            from ftlib.training.local.tiny import BUILDS, make_tokenizer, sample_texts

            return make_tokenizer(BUILDS[model.build], sample_texts())
        pinned = None if Path(model.id).is_dir() else revision or model.revision
        if download and not Path(model.id).is_dir():
            _require_hub()
        elif not Path(model.id).is_dir():
            _require_kept(model.id, pinned)
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(model.id, revision=pinned, local_files_only=not download)
    except (ImportError, OSError, ValueError) as error:
        raise LookupError(str(error).splitlines()[0]) from error


def _require_hub() -> None:
    """Raises OSError at once where the model hub is not reached: its own client would try for a minute."""
    if os.environ.get("HF_HUB_OFFLINE"):
        return
    host = urlsplit(os.environ.get("HF_ENDPOINT") or "https://huggingface.co").hostname or "huggingface.co"
    if not any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy")):
        socket.create_connection((host, 443), timeout=5).close()


def _require_kept(repo: str, revision: str | None) -> None:
    """Raises OSError where the hub's cache holds no tokenizer of a model: known without transformers, which takes seconds to load."""
    from huggingface_hub import try_to_load_from_cache

    files = ("tokenizer_config.json", "tokenizer.json", "config.json")
    if not any(isinstance(try_to_load_from_cache(repo, name, revision=revision), str) for name in files):
        raise OSError("the hub's cache does not hold it")


def local_tokens(model: Model, *, revision: str | None = None, template: str = "auto", download: bool = False) -> LocalTokens | None:
    """A counter with the model's own tokenizer, or None (and a message) where that is not at hand. What was loaded once is kept."""
    key = (model.id, model.build, revision or model.revision, template)
    try:
        if key not in _LOADED:
            _LOADED[key] = LocalTokens(model, revision=revision, template=template, download=download)
        return _LOADED[key]
    except LookupError as error:
        log.debug("the tokenizer of %s is not on this machine (%s)", model.name, error)
        return None


def row_counter(name: str) -> Callable[[Any], int | None] | None:
    """Counts a row with a local model's tokenizer, loaded at the first row that needs it; None for a model that only a service has."""
    model = find_model(name)
    if not model.open_weights:
        return None
    loaded: list[LocalTokens | None] = []

    def count(row: Any) -> int | None:
        if not loaded:
            loaded.append(local_tokens(model))
        return max(loaded[0].by_row([row])[0], default=0) if loaded[0] else None

    return count
