"""The resumable loop over a trainer's ``ask``: every system's answer to every question, each on disk before the next."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ftlib.drive import now_and_then
from ftlib.errors import BudgetExceeded, DataError, Refused, TrainingFailed
from ftlib.evaluation import likelihood
from ftlib.evaluation.borrowing import borrow
from ftlib.evaluation.items import match, read_answers
from ftlib.evaluation.questions import Question, ask_task, asking_settings, check_evaluation, question_sets, questions_hash, records, task_of
from ftlib.evaluation.seen import check_titles
from ftlib.files import AppendLog, hash_json, read_json, sha256_file, write_json, write_jsonl
from ftlib.profile import Contestant
from ftlib.progress import bar
from ftlib.runs import Run, StepNeeded
from ftlib.training import Answer, Trainer, trainer_for

log = logging.getLogger("ftlib")
ANSWERS = ("done", "nothing_to_train")  # statuses of a training whose contestant can be asked


class LazyTrainer:
    """A contestant's trainer, made when it is first needed and closed at the end; making one is light, asking it is not."""

    def __init__(self, run: Run, contestant: Contestant) -> None:
        self.run, self.contestant = run, contestant
        self._trainer: Trainer | None = None

    def __call__(self) -> Trainer:
        if self._trainer is None:
            self._trainer = trainer_for(self.run, self.contestant)
        return self._trainer

    def close(self) -> None:
        """Close the trainer where one was made."""
        if self._trainer is not None:
            self._trainer.close()


def training_status(run: Run, contestant: Contestant) -> dict[str, Any]:
    """A contestant's training.json. Raises DataError (or StepNeeded while the run is only looked at) where it is missing."""
    report = run.folder(contestant) / "training.json"
    if not report.exists():
        if run.only_look:
            raise StepNeeded(f"answer:{contestant.name}: not trained yet")
        raise DataError(f"{report} does not exist; train {contestant.name} first (notebook 03 or 04, or `ftlib run`).")
    return dict(read_json(report))


def answer_run(run: Run) -> None:
    """Answers of all systems to the test set and the probes, in ``answers/SYSTEM/SET.jsonl``.

    What is on disk with the same question and settings is not asked again. A contestant that was refused or failed gets
    no answers; one that is refused while it answers keeps those it gave, and the others go on.
    """
    if run.only_look and not run.test_file.exists():
        raise StepNeeded("answer: not curated yet")
    check_evaluation(run.profile.evaluation)
    statuses = {contestant.name: training_status(run, contestant)["status"] for contestant in run.profile.contestants}
    check_titles(run)
    _trivial(run)
    for contestant in run.profile.contestants:
        if statuses[contestant.name] in ANSWERS:
            trainer = LazyTrainer(run, contestant)
            try:
                _contestant(run, contestant, trainer)
            finally:
                trainer.close()


def _contestant(run: Run, contestant: Contestant, trainer: LazyTrainer) -> None:
    sets = question_sets(run, contestant)
    for system in contestant.systems():
        refusal = run.path / "answers" / system / "refused.json"
        try:
            for name, questions in sets.items():
                answer_set(run, contestant, system, name, questions, trainer)
            if contestant.trainer == "local" and contestant.recorded is None:
                likelihood.measure(run, contestant, system, sets["test"], trainer)
        except (Refused, BudgetExceeded, TrainingFailed) as error:  # the last: a service that is down, a batch that failed or may have been lost
            log.warning("%s: %s", system, error)
            write_json(refusal, {"status": "failed" if isinstance(error, TrainingFailed) else "refused", "reason": str(error)})
        else:
            refusal.unlink(missing_ok=True)


def origin(run: Run, contestant: Contestant, system: str) -> dict[str, Path | str | None]:
    """What makes a system's answers what they are, beside its questions: its training, or the file it was recorded in.

    Of a training behind an API it is the model, or the job: a report that is written again is no reason to pay for answers again.
    """
    if contestant.recorded is not None:
        return {"recorded": Path(contestant.recorded)}
    if not (system.endswith(".tuned") and contestant.trains):
        return {}
    path = run.folder(contestant) / "training.json"
    report = read_json(path)
    return {"training": report.get("tuned_model") or report.get("job") or path}


def answer_set(run: Run, contestant: Contestant, system: str, name: str, questions: Sequence[Question], trainer: LazyTrainer) -> None:
    """One system's answers to one set, as one step of the run."""
    settings = asking_settings(run, contestant, trainer(), tuned=system.endswith(".tuned"))
    inputs, path = origin(run, contestant, system), run.answers_file(system, name)
    asked_so = sorted({hash_json([q.prompt.max_new_tokens, q.prompt.stop, q.prompt.shots]) for q in questions})  # prompt_hash has none of these
    made_with = hash_json([settings, {k: sha256_file(v) if isinstance(v, Path) else v for k, v in inputs.items()}, asked_so])
    with run.step(f"answer:{system}:{name}", inputs={"questions": questions_hash(questions), **inputs}, settings=settings, outputs=[path]) as step:
        if not step.needed:
            return
        if contestant.recorded is not None:
            step.note["answers"] = write_jsonl(path, recorded_rows(Path(contestant.recorded), questions, made_with))
            return
        borrow(run, contestant, system, path, made_with)
        kept = keep(path, questions, made_with)
        left = [question for question in questions if question.prompt.id not in kept]
        step.note.update(kept=len(kept), asked=len(left))
        with AppendLog(path) as store, bar(desc=f"{system} {name}", total=len(questions), initial=len(kept), unit="answer") as progress:
            copy = now_and_then(run, path, run.path / "ledger.jsonl")
            for position, answer in ask(trainer, left, system):
                store.append(answer_row(left[position], answer, made_with))
                progress.update()
                copy()


def ask(trainer: LazyTrainer, questions: Sequence[Question], system: str) -> Iterator[tuple[int, Answer]]:
    """Ask the trainer; nothing is started where nothing is left to ask."""
    if questions:
        yield from trainer().ask([question.prompt for question in questions], tuned=system.endswith(".tuned"))


def row(question: Question, answer: str | None, finish: str, **known: Any) -> dict[str, Any]:
    """A line of an answers file; what is not given is null."""
    prompt = question.prompt
    line: dict[str, Any] = {
        "id": prompt.id,
        "task": prompt.task,
        "prompt_hash": prompt.hash,
        "rendered_hash": None,
        "answer": answer,
        "finish": finish,
    }
    return line | dict.fromkeys(("tokens_in", "tokens_out", "seconds", "usd", "fingerprint", "error")) | known


def answer_row(question: Question, answer: Answer, made_with: str) -> dict[str, Any]:
    """The line of a trainer's answer."""
    values = asdict(answer)
    return row(question, values.pop("text"), values.pop("finish"), **values, made_with=made_with)


def keep(path: Path, questions: Sequence[Question], made_with: str) -> set[str]:
    """Ids whose answers on disk still hold; the file is rewritten where it holds others, or failures to be tried again."""
    if not path.exists():
        return set()
    with AppendLog(path) as store:
        rows = store.rows()
    wanted = {question.prompt.id: question.prompt.hash for question in questions}
    good: dict[str, Mapping[str, Any]] = {}
    for old in rows:
        if old.get("made_with") == made_with and wanted.get(old["id"]) == old["prompt_hash"] and old["finish"] != "error":
            good[old["id"]] = old
    if len(good) < len(rows):
        write_jsonl(path, good.values())
    return set(good)


def recorded_rows(path: Path, questions: Sequence[Question], made_with: str) -> Iterator[dict[str, Any]]:
    """Rows from a file of recorded answers. Raises DataError where ids do not match the test set's one to one."""
    found = match([question.item for question in questions], read_answers(path), str(path))
    for question, given in zip(questions, found, strict=True):
        known = {key: getattr(given, key) for key in ("tokens_in", "tokens_out", "seconds", "usd", "error")}
        yield row(question, given.text, given.finish or ("error" if given.failed else "stop"), **known, made_with=made_with)


def _trivial(run: Run) -> None:
    """Answers of the trivial systems to the test set."""
    from ftlib.evaluation.trivial import VERSION, answer_trivially

    task, train = task_of(run), run.curated / "train.jsonl"
    for name in run.profile.evaluation.trivial:
        path = run.answers_file(name)
        with run.step(
            f"answer:{name}:test", inputs={"test": run.test_file, "train": train}, settings={"task": task.hash, "version": VERSION}, outputs=[path]
        ) as step:
            if step.needed:
                test = records(run.test_file)
                texts = answer_trivially(name, task, test, records(train))
                write_jsonl(path, (row(question, text, "stop") for question, text in zip(ask_task(task, test), texts, strict=True)))
