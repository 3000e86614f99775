"""What notebook 03 shows of a local contestant: what will be trained on what, what it took, what it answers."""

from __future__ import annotations

from itertools import islice
from typing import Any

from ftlib.curation.showing import cut
from ftlib.files import read_json, read_jsonl
from ftlib.formatting.task import load_task
from ftlib.runs import Run
from ftlib.terminal import printable
from ftlib.training.local.trainer import LocalTrainer
from ftlib.training.trainer import contestant_name

Json = dict[str, Any]
GIB = 1024**3


def local_name(profile: str, contestant: str) -> str:
    """The contestant asked for, or the profile's first local one. Raises ProfileError where there is none."""
    return contestant_name(profile, contestant, "local")


def plan(trainer: LocalTrainer) -> None:
    """Print model, rows, steps and settings before anything is loaded."""
    found, settings = trainer.estimate(), trainer.tuning
    if trainer.contestant.recorded:
        print(f"the answers of {trainer.contestant.name} were recorded earlier ({trainer.contestant.recorded}); nothing is trained")
        return
    where = " (built here)" if trainer.model.build else f" at {trainer.revision}" if trainer.revision else ""
    print(f"{'model':22} {trainer.model.id}{where}")
    if not trainer.contestant.trains:
        print("nothing is trained for this contestant")
        return
    print(f"{'rows':22} {found['examples']:,}, {settings.batch} at once x {settings.accumulate} batches = {found['rows_per_step']} a step")
    steps = "as many as the rows fill when packed" if found["steps"] is None else f"{found['steps']:,}"
    print(f"{'steps':22} {steps}" + (f", within {settings.minutes:g} minutes" if settings.minutes else ""))
    print(f"{'LoRA':22} rank {settings.r}, alpha {settings.alpha}, learning rate {settings.lr:g}, {settings.schedule} schedule")
    print(f"{'longest row':22} {settings.max_length} tokens; longer ones " + ("are cut" if settings.truncate else "stop the training"))


def loss_figure(run: Run, name: str) -> Any:
    """Training and validation loss by tokens seen, as a matplotlib figure; None where nothing was trained."""
    report = read_json(run.folder(name) / "training.json")
    points = report.get("loss") or []
    if not points:
        print("no loss curve: " + str(report.get("reason") or report["status"]))
        return None
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.subplots()
    train = [(point["tokens"], point["train"]) for point in points if point["train"] is not None]
    axes.plot(*zip(*train, strict=True), color="0.75", linewidth=1, label="training rows, step by step")
    axes.plot(*zip(*_smoothed(train), strict=True), color="C0", label="training rows, averaged over 10 steps")
    valid = [(point["tokens"], point["valid"]) for point in points if point["valid"] is not None]
    if valid:
        axes.plot(*zip(*valid, strict=True), "o--", color="C1", label="validation rows")
    axes.set(xlabel="tokens seen", ylabel="loss (nats a token)", title=f"{name}: loss on the answers while tuning")
    axes.legend(fontsize=8)
    return figure


def png(figure: Any) -> bytes:
    """A figure as PNG, which a notebook shows whatever its plotting backend."""
    from io import BytesIO

    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _smoothed(points: list[tuple[int, float]], window: int = 10) -> list[tuple[int, float]]:
    """Each loss averaged with those of the steps before it."""
    losses = [[y for _, y in points[max(0, i + 1 - window) : i + 1]] for i in range(len(points))]
    return [(x, sum(near) / len(near)) for (x, _), near in zip(points, losses, strict=True)]


def took(run: Run, name: str) -> None:
    """Print what the training took, as measured; what is not known with its reason."""
    report = read_json(run.folder(name) / "training.json")
    print(f"{'status':30} {report['status']}" + (f": {report['reason']}" if report.get("reason") else ""))
    if report["status"] != "done":
        return
    for key, seconds in report["seconds"].items():
        if seconds is not None:
            print(f"{'seconds, ' + key.replace('_', ' '):30} {seconds:>14,.1f}")
    examples, tokens, memory = report["examples"], report["tokens"], report["memory"]
    rows: list[tuple[str, Any, str]] = [
        ("examples seen / distinct", examples["seen"], f" / {examples['distinct']:,}"), ("tokens seen", tokens["seen"], ""),
        ("tokens the loss was taken on", tokens["supervised"], ""), ("padding tokens", tokens["padding"], ""),
        ("tokens a second", round(report["rates"]["tokens_per_second"] or 0), ""), ("trainable parameters", report["parameters"]["trainable"],
         f" of {report['parameters']['total']:,} ({report['parameters']['share']:.1%})"), ("adapter, bytes", report["adapter_bytes"], ""),
    ]  # fmt: skip
    for label, value, more in rows:
        print(f"{label:30} {value:>14,}{more}")
    for label, key in (("process", "rss_bytes"), ("GPU allocated", "allocated_bytes"), ("GPU reserved", "reserved_bytes")):
        known = memory[key] is not None
        print(f"{'peak memory, ' + label:30} " + (f"{memory[key] / GIB:>10.2f} GiB" if known else f"{'n/a':>14} ({report['na']['memory.' + key]})"))
    energy = report["energy_wh"]
    print(f"{'energy':30} " + (f"{energy:>11.2f} Wh" if energy is not None else f"{'n/a':>14} ({report['na']['energy_wh']})"))
    print(f"{'device':30} {report['device']['name']}, {report['precision']['dtype']}: {report['precision']['reason']}")


def side_by_side(trainer: LocalTrainer, rows: int = 3, width: int = 300) -> None:
    """Ask base and tuned model, one loaded model for both, about the first validation rows; print the answers under each title."""
    run, contestant = trainer.run, trainer.contestant
    if contestant.recorded:
        print("no model is asked: the answers were recorded earlier; notebook 05 scores them")
        return
    task = load_task(contestant.task or run.profile.task)
    records = list(islice(read_jsonl(run.curated_for(contestant) / "valid.jsonl"), rows))
    found: dict[str, dict[int, str]] = {}
    for system in contestant.systems():
        prompts = [task.prompt(record) for record in records]
        found[system] = {place: str(answer.text) for place, answer in trainer.ask(prompts, tuned=system.endswith(".tuned"))}
    for place, record in enumerate(records):
        print(f"{'TITLE':9} {printable(record['title'])}")
        print(f"{'expected':9} {printable(cut(task.expected(record), width))}")
        for system, answers in found.items():
            print(f"{system.rpartition('.')[2]:9} {printable(cut(answers[place], width))}")
        print()
