"""What a judge would cost: pairs, in both orders, each with the question and two answers."""

from __future__ import annotations

from itertools import combinations

from ftlib.catalogue.prices import UnknownPrice
from ftlib.evaluation.questions import records, task_of
from ftlib.formatting.tokens import text_tokens
from ftlib.plan.money import NOTHING, Amount, Prices
from ftlib.runs import Run

RUBRIC_TOKENS = 400  # what the judge is told besides question and answers, rounded up
VERDICT_TOKENS = 200  # what it answers, at most


def judge_cost(run: Run, prices: Prices) -> tuple[Amount, str | None]:
    """The judge's cost, and why it is not known where it is not. Each pair is asked in both orders."""
    judge = run.profile.evaluation.judge
    if judge is None:
        return NOTHING, None
    task = task_of(run)
    rows = records(run.test_file)[: judge.pairs]
    systems = [system for contestant in run.profile.contestants for system in contestant.systems()]
    answers = text_tokens([task.expected(row) for row in rows])
    questions = text_tokens([task.prompt(row).user for row in rows])
    times = 2 * len(list(combinations(systems, 2)))
    sent = times * (sum(questions) + 2 * sum(min(count, task.max_new_tokens) for count in answers) + RUBRIC_TOKENS * len(rows))
    most = times * (sum(questions) + 2 * task.max_new_tokens * len(rows) + RUBRIC_TOKENS * len(rows))
    said = times * VERDICT_TOKENS * len(rows)
    try:
        cost = prices.of(judge.provider, judge.model, "input_token", (sent, sent, most))
        return cost + prices.of(judge.provider, judge.model, "output_token", (said, said / 4, said)), None
    except UnknownPrice as error:
        return NOTHING, f"judge: {error}"
