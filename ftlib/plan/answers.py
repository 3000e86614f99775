"""What asking costs: everything that a contestant will be asked, and what a thousand answers cost."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from ftlib.catalogue import Model
from ftlib.catalogue import hardware as hw
from ftlib.catalogue.prices import UnknownPrice
from ftlib.evaluation.questions import Question, asking_settings, question_sets, questions_hash
from ftlib.files import hash_json
from ftlib.formatting.tokens import ENCODING, prompt_tokens, text_tokens
from ftlib.plan.money import NOTHING, Amount, Prices
from ftlib.plan.training import shape_of
from ftlib.profile import Contestant
from ftlib.runs import Run
from ftlib.training import trainer_for

HALF = 0.5  # an answer's least length, as a share of what is expected; also what is expected of the most where no answer is known
PER_THOUSAND = 1000
VLLM = "vLLM puts answers together in its own way, and no figure of it is at hand; the log tells as it answers"
Json = dict[str, Any]


def asked(run: Run, contestant: Contestant, *, encoding: str = ENCODING) -> dict[str, dict[str, int]]:
    """Tokens by set of questions: {set: {items, above_limit, tokens_in, tokens_out, tokens_out_low, tokens_out_high}} for one system.

    An answer is expected to be as long as the reference, and at most what the task allows.
    """
    return {name: _tokens(questions, encoding) for name, questions in question_sets(run, contestant).items()}


def borrowed(run: Run, contestant: Contestant, known: dict[str, str]) -> dict[str, str]:
    """The sets that the same base model answers for a contestant before this one, and for which: they are asked, and paid, once.

    ``known`` holds what the contestants before ask their bases (a hash -> the contestant), and gets what this one asks.
    """
    if f"{contestant.name}.base" not in contestant.systems():
        return {}
    settings = asking_settings(run, contestant, trainer_for(run, contestant))
    keys = {name: hash_json([name, settings, questions_hash(questions)]) for name, questions in question_sets(run, contestant).items()}
    found = {name: known[key] for name, key in keys.items() if key in known}
    known.update({key: contestant.name for key in keys.values() if key not in known})
    return found


def _lengths(questions: Sequence[Question], encoding: str) -> tuple[list[int], list[int], list[int]]:
    """Tokens of each expected text, of the answer that is expected, and of an answer at most."""
    references = text_tokens([question.item.reference for question in questions], encoding)
    most = [question.prompt.max_new_tokens for question in questions]
    expected = [min(length, limit) if length else round(limit * HALF) for length, limit in zip(references, most, strict=True)]
    return references, expected, most


def _tokens(questions: Sequence[Question], encoding: str) -> dict[str, int]:
    references, expected, most = _lengths(questions, encoding)
    return {
        "items": len(questions),
        "above_limit": sum(length > limit for length, limit in zip(references, most, strict=True)),
        "tokens_in": sum(prompt_tokens((question.prompt for question in questions), encoding)),
        "tokens_out": sum(expected),
        "tokens_out_low": round(sum(expected) * HALF),
        "tokens_out_high": sum(most),
    }


def local_answers(run: Run, contestant: Contestant, model: Model, gpu: str, *, sets: dict[str, dict[str, int]], without: Collection[str]) -> Json:
    """Seconds in which a machine answers everything that a local contestant is asked, with the reasoning; None and why in ``na``.

    Args:
        sets: what ``asked`` says of it.
        without: sets that the base is not asked, because its answers are another contestant's.
    """
    shape = shape_of(model)
    why = f"the sizes of {model.name} are not in the catalogue" if shape is None else VLLM if contestant.engine == "vllm" else None
    if shape is None or why:
        return {"answers_seconds": None, "na": {"answers_seconds": why}}
    device, count, batch = hw.find_device("cpu" if model.build else gpu), model.parameters or hw.parameters(shape), contestant.decoding.batch
    read = usual = most = 0  # tokens, passes, passes
    for name, questions in question_sets(run, contestant).items():
        _, expected, limits = _lengths(questions, ENCODING)
        states = len(contestant.systems()) - (name in without)
        read += states * (sets[name]["tokens_in"] + sets[name]["tokens_out"] * (name == "test"))  # the test set's likelihood is measured
        usual, most = usual + states * _passes(expected, batch), most + states * _passes(limits, batch)
    low = round(usual * HALF)
    seconds = hw.answer_seconds(count, shape.layers, read, (low, usual, most), device)
    least, middle, longest = (1000 * each for each in hw.LAYER_STEP)
    reasoning = (
        f"{usual:,} tokens one after another, {batch} answers at once ({low:,} if they are half as long as the expected texts, {most:,} if all"
        f" run to their limit) x {shape.layers} layers x {middle:g} ms ({least:g} to {longest:g}, by published speeds); {read:,} tokens to"
        " read; loading apart"
    )
    around = {f"answers_seconds{end}": round(value) for end, value in zip(("_low", "", "_high"), seconds, strict=True)}
    return {**around, "answers_reasoning": reasoning, "na": {}}


def above_limit(sets: dict[str, dict[str, int]]) -> list[str]:
    """A warning where expected texts of the test set are longer than an answer may be."""
    test = sets["test"]
    if not test["above_limit"]:
        return []
    return [
        f"{test['above_limit']} of {test['items']} expected texts are longer than an answer may be, so even a perfect one would be cut: raise "
        "max_new_tokens of the task, or decoding.max_new_tokens of the contestant"
    ]


def _passes(lengths: Sequence[int], batch: int) -> int:
    """Passes that write a token: a batch goes on until its longest answer ends."""
    return sum(max(lengths[i : i + batch]) for i in range(0, len(lengths), batch))


def answers_cost(sets: dict[str, dict[str, int]], provider: str, model: str, prices: Prices, *, tuned: bool) -> Amount:
    """What one system's answers to all sets cost. Raises UnknownPrice."""
    total = {key: sum(part[key] for part in sets.values()) for key in ("tokens_in", "tokens_out", "tokens_out_low", "tokens_out_high")}
    sent = (total["tokens_in"],) * 3
    said = (total["tokens_out"], total["tokens_out_low"], total["tokens_out_high"])
    return prices.of(provider, model, "input_token", sent, tuned=tuned) + prices.of(provider, model, "output_token", said, tuned=tuned)


def per_thousand(sets: dict[str, dict[str, int]], provider: str, model: str, prices: Prices, *, tuned: bool) -> Amount | None:
    """What a thousand answers to questions like those of ``test`` cost; None where nothing is asked."""
    test = sets.get("test")
    if not test or not test["items"]:
        return None
    amount = answers_cost({"test": test}, provider, model, prices, tuned=tuned)
    return amount * (PER_THOUSAND / test["items"])


def hosted_answers(
    sets: dict[str, dict[str, int]],
    provider: str,
    model: str,
    prices: Prices,
    *,
    states: Sequence[str],
    share: float,
    without: Collection[str] = (),
) -> dict[str, Any]:
    """Cost of the answers of a hosted contestant's systems.

    Args:
        states: ``base``, ``tuned`` or both.
        share: of the usual price (batches may cost half).
        without: sets that the base is not asked, because its answers are another contestant's.

    Returns amounts, per state what a thousand cost, and in ``na`` the states whose price is not known.
    """
    total, thousand, na = NOTHING, {}, {}
    for state in states:
        own = sets if state == "tuned" else {name: part for name, part in sets.items() if name not in without}
        try:
            amount = answers_cost(own, provider, model, prices, tuned=state == "tuned")
            each = per_thousand(sets, provider, model, prices, tuned=state == "tuned")
        except UnknownPrice as error:
            na[state] = str(error)
            continue
        total = total + amount * share
        thousand[state] = None if each is None else (each * share).data("usd")
    return {"amount": total, "usd_per_1000_answers": thousand, "na": na}
