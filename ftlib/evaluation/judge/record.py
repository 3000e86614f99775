"""The judge's replies on disk: asked once, replayed for ever."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from ftlib.files import AppendLog, hash_json
from ftlib.formatting.task import Prompt
from ftlib.profile import Contestant, Judge
from ftlib.progress import bar
from ftlib.runs import Run
from ftlib.training import trainer_for

NAME = "judge"


def as_contestant(judge: Judge) -> Contestant:
    """The judge as a contestant with nothing to train, so that it is asked, paid for and capped as they are."""
    if judge.provider == "local":
        return Contestant(name=NAME, trainer="local", model=judge.model, existing=judge.model, decoding=judge.decoding)
    return Contestant(name=NAME, trainer="hosted", provider=judge.provider, existing=judge.model, decoding=judge.decoding)


def key(judge: Judge, prompt: Prompt) -> str:
    """What a stored reply belongs to: the judge and the question, and how it was drawn where that is not as usual."""
    drawn = [judge.decoding.temperature, judge.decoding.max_new_tokens]
    return hash_json([judge.provider, judge.model, prompt.hash, *(drawn if drawn != [0.0, None] else [])])


def replies(run: Run, judge: Judge, prompts: Sequence[Prompt], path: Path) -> dict[str, str | None]:
    """Replies by prompt id; those on record are not asked again, and one that failed to come is None.

    Raises what asking raises (Refused, BudgetExceeded); what came before that is on disk.
    """
    with AppendLog(path) as log:
        known = {row["key"]: row["reply"] for row in log.rows() if row["reply"] is not None}
        left = [prompt for prompt in prompts if key(judge, prompt) not in known]
        if left:
            contestant = as_contestant(judge)
            with (
                closing(trainer_for(run, contestant)) as trainer,
                bar(desc="judge", total=len(prompts), initial=len(prompts) - len(left)) as progress,
            ):
                for position, answer in trainer.ask(left, tuned=contestant.trainer == "hosted"):
                    prompt = left[position]
                    log.append(
                        {
                            "key": key(judge, prompt),
                            "id": prompt.id,
                            "task": prompt.task,
                            "prompt_hash": prompt.hash,
                            "reply": answer.text,
                            "finish": answer.finish,
                            "tokens_in": answer.tokens_in,
                            "tokens_out": answer.tokens_out,
                            "usd": answer.usd,
                            "seconds": answer.seconds,
                            "fingerprint": answer.fingerprint,
                            "error": answer.error,
                        }
                    )
                    known[key(judge, prompt)] = answer.text
                    progress.update()
    return {prompt.id: known.get(key(judge, prompt)) for prompt in prompts}
