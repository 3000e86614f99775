"""What notebook 04 shows of a hosted contestant: what would be sent, what happened, what it cost."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from ftlib.curation.showing import cut
from ftlib.drive import push
from ftlib.errors import BudgetExceeded, Refused, TrainingFailed
from ftlib.files import AppendLog, read_json, read_jsonl
from ftlib.formatting.shots import shots_of
from ftlib.formatting.task import Prompt, load_task
from ftlib.runs import Run
from ftlib.terminal import printable
from ftlib.training.hosted.trainer import HostedTrainer
from ftlib.training.trainer import contestant_name

Json = dict[str, Any]
Sample = tuple[str, str, Prompt]  # title, expected answer, prompt
ROWS = 3  # validation rows that are asked about


def hosted_name(profile: str, contestant: str) -> str:
    """The contestant asked for, or the profile's first hosted one. Raises ProfileError where there is none."""
    return contestant_name(profile, contestant, "hosted")


def is_dry(trainer: HostedTrainer, dry_run: bool) -> bool:
    """Whether nothing is to be sent: as asked, except against the sandbox, which charges nothing."""
    if dry_run and trainer.provider.free:
        print(f"DRY_RUN is ignored: {trainer.provider.name} runs on this machine and charges nothing.")
        return False
    print("DRY_RUN: nothing will be sent." if dry_run else "This is not a dry run: what is shown above will be sent.")
    return dry_run


def preview(trainer: HostedTrainer) -> Json:
    """Print what would be sent, where, and what it would cost, or why it would be refused; returns the same."""
    try:
        found = trainer.preview()
    except Refused as error:
        print(f"nothing would be sent: {error}")
        return {"sends": [], "refused": str(error)}
    if not trainer.contestant.trains:
        print(f"{trainer.contestant.name}: nothing is trained, so nothing is sent for that.")
        _preview_answers(trainer)
        return found
    cost = found["estimate"]
    print(f"to {found['address']} ({trainer.provider.name}); KEY, ID-OF-... and MODEL-TO-BE are known only then:")
    for sent in found["sends"]:
        print("  " + printable(json.dumps(sent, ensure_ascii=False)))
    epochs = f"{cost['epochs']} epoch" + "s" * (cost["epochs"] != 1)
    print(f"{cost['rows']} rows x {epochs} = {cost['tokens']['billed']:,} tokens, counted by {cost['counted_by']}")
    print(f"estimated {cost['money_usd']:.4f} dollars, at most {cost['worst_usd']:.4f}")
    print(f"budget of the run {cost['budget_usd']:.2f} dollars, spent so far {cost['spent_usd']:.4f}")
    if trainer.provider.needs_deployment:
        print(f"{trainer.provider.name} serves a tuned model only once you deploy it there, at a price of its own beside this budget")
    if found["refused"]:
        print(f"as things stand nothing would be sent: {found['refused']}")
    _preview_answers(trainer)
    return found


def _samples(trainer: HostedTrainer) -> list[Sample]:
    """(title, expected answer, prompt) of the first validation rows, asked as notebook 05 asks; none where none are asked here."""
    run, contestant = trainer.run, trainer.contestant
    path = run.curated_for(contestant) / "valid.jsonl"
    if contestant.recorded or not path.exists():
        return []
    if contestant.batch_api:
        print("answers come in a batch, which may take hours: notebook 05 asks for all of them at once")
        return []
    task, shots = load_task(contestant.task or run.profile.task), shots_of(run, contestant)
    return [(record["title"], task.expected(record), task.prompt(record, shots=shots)) for record in islice(read_jsonl(path), ROWS)]


def _left(trainer: HostedTrainer, samples: list[Sample], system: str) -> list[Sample]:
    """Those whose answer by a system is not kept from before."""
    try:
        asked = trainer.asked_hashes([prompt for _, _, prompt in samples], tuned=system.endswith(".tuned"))
    except Refused:
        return samples
    kept = _kept(trainer)
    return [sample for sample, key in zip(samples, asked, strict=True) if key not in kept]


def _preview_answers(trainer: HostedTrainer) -> None:
    """Print what asking about the first validation rows would send and cost."""
    samples = _samples(trainer)
    if not samples:
        return
    for system in trainer.contestant.systems():
        left = _left(trainer, samples, system)
        if not left:
            print(f"the {len(samples)} answers of {system} are kept from before, and are not asked for again")
            continue
        prompts, others = [prompt for _, _, prompt in left], ", ".join(repr(printable(title)) for title, _, _ in left[1:])
        try:
            request, worst = trainer.preview_answers(prompts, tuned=system.endswith(".tuned"))
        except Refused as error:
            print(f"{system} cannot be asked: {error}")
            continue
        print(f"{len(prompts)} answers of {system} would cost at most {worst:.4f} dollars; the first request:")
        print("  " + printable(json.dumps({"to": "chat/completions", **request}, ensure_ascii=False)))
        if others:
            print(f"  and the same about {others}")


def _samples_file(trainer: HostedTrainer) -> Path:
    return trainer.run.folder(trainer.contestant) / "samples.jsonl"


def _kept(trainer: HostedTrainer) -> dict[str, str]:
    """The sample answers that were paid for already, by the hash of what they depend on."""
    path = _samples_file(trainer)
    if not path.exists():
        return {}
    with AppendLog(path) as store:
        return {row["asked"]: row["answer"] for row in store.rows()}


def events(run: Run, name: str, most: int = 12) -> None:
    """Print a job's events: all but the steps, of which the first and last few."""
    path = run.folder(name) / "job.json"
    if not path.exists():
        print("there is no job")
        return
    record, intent = read_json(path), run.folder(name) / "intent.json"
    if intent.exists() and read_json(intent)["parts"].get("job", {}).get("id") != record["id"]:
        print(f"there is no job with these settings and rows; {record['id']} was one with earlier ones")
        return
    told = [event["message"] for event in record["events"]]
    steps = [text for text in told if text.startswith("Step ")]
    left_out = set(steps[most // 2 : -(most // 2)]) if len(steps) > most else set()
    for text in told:
        if text not in left_out:
            print(printable(text))
    if left_out:
        print(f"({len(left_out)} further steps left out)")
    for kept in record.get("checkpoints") or []:
        print(f"after step {kept['step_number']} the model is {kept['fine_tuned_model_checkpoint']} (`existing:` makes it a contestant)")


def loss_figure(run: Run, name: str) -> Any:
    """The loss by step, training and validation, as an image for a notebook; None where the provider gave no curve."""
    points = read_json(run.folder(name) / "training.json").get("loss") or []
    if not points:
        print("there is no loss curve")
        return None
    from IPython import display
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.subplots()
    for key, label, style in (("train", "training rows", "-"), ("valid", "validation rows", "o--")):
        found = [(point["step"], point[key]) for point in points if point[key] is not None]
        if found:
            axes.plot(*zip(*found, strict=True), style, label=label)
    axes.set(xlabel="step", ylabel="loss (nats a token)", title=f"{name}: loss while tuning")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=100)
    image: Any = display.Image
    return image(data=drawn.getvalue())


def bill(run: Run, name: str) -> None:
    """Print what the training took and cost, each figure with how it is known."""
    report = read_json(run.folder(name) / "training.json")
    print(f"status: {report['status']}" + (f" ({report['reason']})" if report.get("reason") else ""))
    if report["status"] != "done":
        return
    seconds, how = report["seconds"], report["how"]
    for label, part in (("in the queue", "queue"), ("training", "train"), ("in all", "total")):
        print(f"{label:22} {'n/a' if seconds[part] is None else f'{seconds[part]:,.0f} s':>14}   {how['seconds']}")
    print(f"{'tokens billed':22} {report['tokens']['billed']:>14,}   {how['tokens.billed']}")
    print(f"{'money':22} {report['money_usd']:>12.4f} $   {how['money_usd']}")


def sample_answers(trainer: HostedTrainer) -> list[Json]:
    """Ask base and tuned model about the first validation rows: [{title, expected, base, tuned}]. It is paid for as any answers are, once.

    Each is in samples.jsonl before the next is asked for. A system that cannot be asked is named with the reason: what was trained stays
    trained.
    """
    samples = _samples(trainer)
    table: list[Json] = [{"title": title, "expected": expected, "base": "n/a", "tuned": "n/a"} for title, expected, _ in samples]
    for system in trainer.contestant.systems() if samples else []:
        state = system.rpartition(".")[2]
        try:
            for place, text in _answers(trainer, [prompt for _, _, prompt in samples], system):
                table[place][state] = text
        except (Refused, BudgetExceeded, TrainingFailed) as error:
            print(f"{system} cannot be asked: {error}")
    return table


def _answers(trainer: HostedTrainer, prompts: list[Prompt], system: str) -> Iterator[tuple[int, str]]:
    """(position, answer) of each prompt: those that are kept, then the others as they come. Raises as `HostedTrainer.ask` does."""
    tuned, kept = system.endswith(".tuned"), _kept(trainer)
    asked = trainer.asked_hashes(prompts, tuned=tuned)
    yield from ((place, kept[key]) for place, key in enumerate(asked) if key in kept)
    left = [place for place, key in enumerate(asked) if key not in kept]
    if not left:
        return
    with AppendLog(_samples_file(trainer)) as store:
        for number, answer in trainer.ask([prompts[place] for place in left], tuned=tuned):
            if answer.text is not None:
                store.append({"system": system, "asked": asked[left[number]], "answer": answer.text})
            yield left[number], answer.text if answer.text is not None else f"({answer.error})"
    push(trainer.run, _samples_file(trainer))


def print_answers(table: list[Json], width: int = 300) -> None:
    """Print the answers under each title, as plain text."""
    for row in table:
        print("TITLE     " + printable(row["title"]))
        for key in ("expected", "base", "tuned"):
            print(f"{key:9} {printable(cut(row[key], width))}")
        print()
