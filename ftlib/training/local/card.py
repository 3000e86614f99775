"""The model card of an adapter: what it learned from, how, how it scored, and whose licence its base has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ftlib.catalogue import Model
from ftlib.files import read_json
from ftlib.profile import Contestant
from ftlib.runs import Run


def card(run: Run, contestant: Contestant, model: Model, report: dict[str, Any]) -> str:
    """The card as Markdown with the hub's metadata block; what is not known is said."""
    published = model.build is None and not Path(model.id).is_dir()
    base = f"{model.name} (built by ftlib)" if model.build else model.id if published else f"{Path(model.id).name} (a local folder)"
    base += f" at revision {report['model']['revision']}" if report["model"].get("revision") else ""
    settings = report["settings"]
    licence = model.licence or "not known to ftlib; look at the base model's page"
    lines = [
        "---", "library_name: peft", *([f"base_model: {model.id}"] if published else []),
        *([f"license: {model.licence.lower()}"] if model.licence else []), "tags: [lora, ftlib]", "---", "",
        f"# {contestant.name}", "",
        f"A LoRA adapter for {base}, tuned for the task `{contestant.task or run.profile.task}` by ftlib.", "",
        "## Data", "", *_data(run, contestant, report), "",
        "## Training", "",
        f"{report['examples']['seen']} examples seen ({report['examples']['distinct']} distinct) in {report['steps']} steps, "
        f"{report['tokens']['seen']} tokens, {report['seconds']['total']} s on {report['device']['name']} in {report['precision']['dtype']}. "
        f"LoRA r={settings['r']}, alpha={settings['alpha']}, learning rate {settings['lr']:g}, "
        f"{settings['batch']} x {settings['accumulate']} rows a step, {report['method']}.", "",
        "## Scores", "", *_scores(run, contestant), "",
        "## Licence", "", f"The base model's licence holds for the adapter too: {licence}.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _data(run: Run, contestant: Contestant, report: dict[str, Any]) -> list[str]:
    data = run.profile.data
    hashes = ", ".join(f"{name}.jsonl sha256 {digest[:16]}…" for name, digest in report.get("inputs", {}).items())
    recipe = run.profile.recipe_of(contestant)
    return [f"Source `{Path(data.source).name}`, recipe `{recipe}`, seed {run.profile.seed} ({hashes or 'no hashes recorded'})."]


def _interval(entry: dict[str, Any]) -> str:
    """A metric's interval, which one item does not have."""
    return "n/a" if entry["low"] is None else f"{entry['low']:.4g} to {entry['high']:.4g}"


def _scores(run: Run, contestant: Contestant) -> list[str]:
    path = run.path / "scores" / "summary.json"
    systems = read_json(path)["systems"] if path.exists() else {}
    rows = [
        f"| {name} | {metric} | {entry['value']:.4g} | {_interval(entry)} | {entry['n']} |"
        for name in contestant.systems() if name in systems
        for metric, entry in systems[name]["metrics"].items() if entry.get("value") is not None
    ]  # fmt: skip
    if not rows:
        return ["Not evaluated yet."]
    return ["| system | metric | value | 95 % interval | items |", "|---|---|---|---|---|", *rows]
