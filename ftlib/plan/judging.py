"""What a judge would cost: the very questions that it will be asked, with the references in the place of answers that are not there yet."""

from __future__ import annotations

from ftlib.catalogue.prices import UnknownPrice
from ftlib.evaluation.judge import prompts
from ftlib.evaluation.judge.judging import both_orders, control_pairs
from ftlib.evaluation.questions import records, task_of
from ftlib.formatting.task import Prompt
from ftlib.formatting.tokens import prompt_tokens, text_tokens
from ftlib.plan.answers import HALF
from ftlib.plan.money import NOTHING, Amount, Prices
from ftlib.runs import Run


def judge_cost(run: Run, prices: Prices) -> tuple[Amount, str | None]:
    """The judge's cost, and why it is not known where it is not.

    Two systems are compared: each pair in both orders, the controls, and marks for both answers where a rubric is asked for.
    """
    judge = run.profile.evaluation.judge
    if judge is None:
        return NOTHING, None
    task = task_of(run)
    rows = records(run.test_file)[: judge.pairs]
    pairs = [(str(row["id"]), task.prompt(row).user, task.expected(row), task.expected(row)) for row in rows]
    asked: list[Prompt] = [prompt for name, group in control_pairs(run, pairs, task).items() for prompt in both_orders(name, group)]
    asked += both_orders("pair", pairs)
    if judge.rubric:
        asked += [prompts.rubric(f"rubric:{side}:{pair[0]}", pair[1], pair[2]) for side in "ab" for pair in pairs]
    sent = sum(prompt_tokens(asked))
    room = sum(max(0, task.max_new_tokens - count) for count in text_tokens([pair[2] for pair in pairs]))
    most = sent + room * (6 if judge.rubric else 4)  # two answers in two orders, and one each for the marks
    said = sum(judge.decoding.max_new_tokens or prompt.max_new_tokens for prompt in asked)
    try:
        cost = prices.of(judge.provider, judge.model, "input_token", (sent, sent, most))
        return cost + prices.of(judge.provider, judge.model, "output_token", (said * HALF, said * HALF / 2, said)), None
    except UnknownPrice as error:
        return NOTHING, f"judge: {error}"
