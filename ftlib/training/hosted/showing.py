"""What notebook 04 shows of a hosted contestant: what would be sent, what happened, what it cost."""

from __future__ import annotations

import io
import json
from typing import Any

from ftlib.errors import Refused
from ftlib.files import read_json
from ftlib.formatting.task import Task, load_task
from ftlib.runs import Run
from ftlib.terminal import printable
from ftlib.training.hosted.trainer import HostedTrainer
from ftlib.training.trainer import contestant_name

Json = dict[str, Any]
ROWS = 3  # validation rows that are asked about


def hosted_name(profile: str, contestant: str) -> str:
    """The contestant asked for, or the profile's first hosted one. Raises ProfileError where there is none."""
    return contestant_name(profile, contestant, "hosted")


def is_dry(trainer: HostedTrainer, dry_run: bool) -> bool:
    """Whether nothing is to be sent: as asked, except against the sandbox, which charges nothing."""
    if dry_run and trainer.provider.free:
        print(f"DRY_RUN is ignored: {trainer.provider.name} runs on this machine and charges nothing.")
        return False
    print("DRY_RUN: nothing will be sent." if dry_run else "This is not a dry run: what is shown below will be sent.")
    return dry_run


def preview(trainer: HostedTrainer) -> Json:
    """Print what would be sent, where, and what it would cost; returns the same."""
    found = trainer.preview()
    if not trainer.contestant.trains:
        print(f"{trainer.contestant.name}: nothing is trained, so nothing is sent for that.")
        _preview_answers(trainer)
        return found
    cost = found["estimate"]
    print(f"to {found['address']} ({trainer.provider.name}); KEY and ID-OF-... are known only then:")
    for sent in found["sends"]:
        print("  " + printable(json.dumps(sent, ensure_ascii=False)))
    epochs = f"{cost['epochs']} epoch" + "s" * (cost["epochs"] != 1)
    print(f"{cost['rows']} rows x {epochs} = {cost['tokens']['billed']:,} tokens, counted by {cost['counted_by']}")
    print(f"estimated {cost['money_usd']:.4f} dollars, at most {cost['worst_usd']:.4f}")
    print(f"budget of the run {cost['budget_usd']:.2f} dollars, spent so far {cost['spent_usd']:.4f}")
    if trainer.provider.needs_deployment:
        print(f"{trainer.provider.name} serves a tuned model only once you deploy it there, at a price of its own beside this budget")
    _preview_answers(trainer)
    return found


def _first_records(trainer: HostedTrainer, rows: int) -> tuple[Task, list[Json]]:
    """The contestant's task, and the first validation rows."""
    path = trainer.run.curated_for(trainer.contestant) / "valid.jsonl"
    lines = path.read_text("utf-8").split("\n")[:rows] if path.exists() else []
    return load_task(trainer.contestant.task or trainer.run.profile.task), [json.loads(line) for line in lines if line]


def _preview_answers(trainer: HostedTrainer, rows: int = ROWS) -> None:
    """Print what asking about the first validation rows would send and cost."""
    task, records = _first_records(trainer, rows)
    if not records or trainer.contestant.recorded:
        return
    for system in trainer.contestant.systems():
        try:
            request, worst = trainer.preview_answers([task.prompt(record) for record in records], tuned=system.endswith(".tuned"))
        except Refused as error:
            print(f"{system} cannot be asked: {error}")
            continue
        print(f"{len(records)} answers of {system} would cost at most {worst:.4f} dollars; the first request:")
        print("  " + printable(json.dumps({"to": "chat/completions", **request}, ensure_ascii=False)))


def events(run: Run, name: str, most: int = 12) -> None:
    """Print a job's events: all but the steps, of which the first and last few."""
    path = run.folder(name) / "job.json"
    if not path.exists():
        print("there is no job")
        return
    record = read_json(path)
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
        print("the provider gave no loss curve")
        return None
    from IPython import display
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.subplots()
    for key, label, style in (("train", "training rows", "-"), ("valid", "validation rows", "o--")):
        found = [(point["step"], point[key]) for point in points if point[key] is not None]
        if found:
            axes.plot(*zip(*found, strict=True), style, label=label)
    axes.set(xlabel="step", ylabel="loss (nats a token)", title=f"{name}: loss while tuning")
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
    for label, part in (("in the queue", "queue"), ("training", "train"), ("from creation to end", "total")):
        print(f"{label:22} {'n/a' if seconds[part] is None else f'{seconds[part]:,.0f} s':>14}   {how['seconds']}")
    print(f"{'tokens billed':22} {report['tokens']['billed']:>14,}   {how['tokens.billed']}")
    print(f"{'money':22} {report['money_usd']:>12.4f} $   {how['money_usd']}")


def sample_answers(trainer: HostedTrainer, rows: int = ROWS) -> list[Json]:
    """Ask base and tuned model about the first validation rows: [{title, expected, base, tuned}]. It is paid for as any answers are."""
    task, records = _first_records(trainer, rows)
    table: list[Json] = [{"title": record["title"], "expected": task.expected(record), "base": "n/a", "tuned": "n/a"} for record in records]
    for system in trainer.contestant.systems():
        state = system.rpartition(".")[2]
        for place, answer in trainer.ask([task.prompt(record) for record in records], tuned=state == "tuned"):
            table[place][state] = answer.text if answer.text is not None else f"({answer.error})"
    return table


def print_answers(table: list[Json], width: int = 300) -> None:
    """Print the answers under each title, as plain text."""
    for row in table:
        print("TITLE     " + printable(row["title"]))
        for key in ("expected", "base", "tuned"):
            print(f"{key:9} {printable(row[key][:width])}")
        print()
