"""The local trainer of a contestant: what a run calls to tune and ask a model on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ftlib.catalogue import Model, find_model
from ftlib.drive import pull, push
from ftlib.errors import DataError, FtlibError, Refused, TrainingFailed, disk_sentence
from ftlib.files import read_json, read_jsonl, sha256_bytes, sha256_file, write_json
from ftlib.formatting.task import Prompt
from ftlib.profile import Contestant
from ftlib.runs import Run
from ftlib.training.local.distributed import main_process
from ftlib.training.local.rows import Example, from_prompt, from_rows
from ftlib.training.local.settings import TuneSettings, libraries, settings_for
from ftlib.training.trainer import Answer, Likelihood

T = TypeVar("T")
SCORED = 8  # texts whose likelihood is taken together; their logits stand in memory at once


class LocalTrainer:
    """Tunes and asks one contestant with a model loaded on this machine; base and tuned share one loaded model."""

    def __init__(self, run: Run, contestant: Contestant) -> None:
        self.run, self.contestant = run, contestant
        name = contestant.model or contestant.existing or ""
        self.model: Model = find_model(name, run.profile.models) if name else Model(name="recorded", id="recorded")
        self.folder = run.folder(contestant)
        self.tuning: TuneSettings = settings_for(contestant, model=self.model, seed=run.profile.seed)
        self._loaded: dict[str, Any] = {}
        self.engines: dict[str, tuple[int, Any]] = {}  # vLLM's, by source, with the tokens that a row may have

    @property
    def revision(self) -> str | None:
        """The model's revision: the contestant's, else the catalogue's."""
        return self.contestant.revision or self.model.revision

    @property
    def source(self) -> str | Path:
        """Hub id or folder; a model of ftlib's own is built first where it is not there yet."""
        if self.model.build is None:
            return self.model.id
        from ftlib.training.local.tiny import build_tiny

        return build_tiny(self.model.build)

    def settings(self) -> dict[str, Any]:
        """What the training depends on: model, revision, settings, library versions. No library is loaded for it."""
        identity: dict[str, Any] = {"model": self.model.id, "revision": self.revision}
        if self.model.build is not None:
            from ftlib.training.local.tiny import BUILDS

            identity["build"] = str(BUILDS[self.model.build])
        elif (weights := self._weights()) is not None:
            identity["weights"] = weights
        if not self.contestant.trains:
            return identity
        return {**identity, **self.tuning.plain(), "versions": libraries()}

    def _weights(self) -> str | None:
        """Hash of a model that is a folder of the user's; a model of the hub has its revision, one built here its build."""
        from ftlib.training.local.tuning import model_hash

        return None if self.model.build is not None else model_hash(Path(self.model.id))

    def estimate(self) -> dict[str, Any]:
        """Rows and steps before anything starts; ``ftlib.plan`` makes tokens, seconds and bytes of the same settings.

        ``steps`` is None where packing decides on them, by the lengths of rows that are not tokenised yet.
        """
        rows = sum(1 for _ in read_jsonl(self.folder / "train.jsonl")) if self.contestant.trains else 0
        per_step = self.tuning.batch * self.tuning.accumulate
        steps: int | None = 0 if not rows else self.tuning.steps or max(1, round(-(-rows // per_step) * self.tuning.epochs))
        if rows and self.tuning.packing and not self.tuning.steps:
            steps = None
        return {"examples": rows, "steps": steps, "rows_per_step": per_step, "money_usd": 0.0, "settings": self.tuning.plain()}

    def train(self) -> None:
        """Tune, going on from the newest checkpoint that verifies; writes ``adapter/`` and ``training.json``.

        Raises Refused, MissingExtra, DataError, or TrainingFailed.
        """
        about = {"contestant": self.contestant.name, "trainer": "local", "model": {"id": self.model.id, "revision": self.revision}}
        if not self.contestant.trains:
            few, recorded = self.contestant.few_shot is not None, self.contestant.recorded
            reason = f"its answers were recorded earlier ({recorded})" if recorded else "nothing is trained"
            reason = "few_shot puts training rows into the prompt and trains nothing" if few else reason
            write_json(self.folder / "training.json", {**about, "status": "nothing_to_train", "reason": reason, "method": "none"})
            return
        from ftlib.training.local.tuning import tune

        files = {name: self.folder / f"{name}.jsonl" for name in ("train", "valid")}
        train, valid = (from_rows(read_jsonl(path), path.name) if path.exists() else [] for path in files.values())
        if not train:
            raise DataError(f"{files['train']} holds no rows; there is nothing to train on.")
        inputs = {name: sha256_file(path) for name, path in files.items() if path.exists()}
        if (weights := self._weights()) is not None:
            inputs["model"] = weights
        try:
            if main_process():
                pull(self.run, self.folder / "checkpoints")
            tune(
                self.source, train, valid, self.tuning, self.folder, revision=self.revision, about={**about, "inputs": inputs},
                on_save=self._keep,
            )  # fmt: skip
            if main_process():
                push(self.run, self.folder)
        except FtlibError:
            raise
        except OSError as error:
            told = disk_sentence(error) or f"{error.strerror or error} ({error.filename or self.folder})."
            raise TrainingFailed(f"{self.contestant.name}: {told}") from error

    def _keep(self) -> None:
        """Copy the checkpoints to the drive, where the profile names one."""
        push(self.run, self.folder / "checkpoints")

    def ask(self, prompts: Sequence[Prompt], *, tuned: bool) -> Iterator[tuple[int, Answer]]:
        """Answer prompts in batches of like length, yielding (position, answer).

        Raises TrainingFailed where no adapter is there, Refused where the answers were recorded.
        """
        if self.contestant.recorded:
            raise Refused(f"{self.contestant.name}'s answers were recorded earlier; there is no model to ask.")
        if self.contestant.engine == "vllm":
            from ftlib.training.local.vllm import answer_all

            yield from answer_all(self, prompts, tuned=tuned)
            return
        from ftlib.training.local.generate import answer_batch

        decoding = self.contestant.decoding
        loaded = self.loaded(tuned)
        questions = [from_prompt(prompt) for prompt in prompts]

        def answer(places: list[int]) -> list[Answer]:
            first = prompts[places[0]]
            made = answer_batch(
                loaded, [questions[p] for p in places], tuned=tuned, max_new_tokens=decoding.max_new_tokens or first.max_new_tokens, stop=first.stop,
                temperature=decoding.temperature, seed=self.tuning.seed,
            )  # fmt: skip
            return [Answer(one.text, one.finish, sha256_bytes(one.rendered), one.tokens_in, one.tokens_out, one.seconds) for one in made]

        kinds = sorted({(prompt.max_new_tokens, prompt.stop) for prompt in prompts})
        for kind in kinds:
            places = [p for p, prompt in enumerate(prompts) if (prompt.max_new_tokens, prompt.stop) == kind]
            yield from self._in_batches(loaded, places, questions, decoding.batch, answer)

    def likelihood(self, prompts: Sequence[Prompt], expected: Sequence[str], *, tuned: bool) -> Iterator[tuple[int, Likelihood]]:
        """How likely each expected answer is after its prompt, yielding (position, likelihood)."""
        from ftlib.training.local.likelihood import likelihood_batch

        loaded = self.loaded(tuned)
        questions = [from_prompt(prompt) for prompt in prompts]

        def score(places: list[int]) -> list[Likelihood]:
            return likelihood_batch(loaded, [Example(tuple(questions[p]), expected[p]) for p in places], tuned=tuned)

        yield from self._in_batches(loaded, list(range(len(prompts))), questions, SCORED, score)

    def _in_batches(
        self, loaded: Any, places: list[int], questions: Sequence[Any], batch: int, work: Callable[[list[int]], list[T]]
    ) -> Iterator[tuple[int, T]]:
        """Do places together, those of like length first; a batch that memory is too small for is halved."""
        from ftlib.training.local.generate import by_length
        from ftlib.training.local.hub import out_of_memory
        from ftlib.training.local.tuning import free_memory

        todo = [[places[p] for p in group] for group in by_length(loaded, [questions[p] for p in places], batch)]
        while todo:
            group = todo.pop(0)
            try:
                done = work(group)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                if len(group) == 1:
                    size = len(loaded.template.prompts([questions[group[0]]])[0])
                    raise TrainingFailed(f"Memory ran out on one question of {size} tokens; free some, or choose a smaller model.") from error
                free_memory()
                todo[:0] = [group[: len(group) // 2], group[len(group) // 2 :]]
                continue
            yield from zip(group, done, strict=True)

    def loaded(self, tuned: bool = True) -> Any:
        """The model in memory: one for base and tuned, unless the contestant names an ``existing`` model beside its base."""
        other = self.contestant.existing if tuned and self.contestant.existing else None
        key = other or self.model.id
        if key not in self._loaded:
            from ftlib.training.local.load import load

            adapter = self.adapter()  # first: it takes long to get or build a model, and one that is not trained is known at once
            if self.engines:  # vLLM's takes most of the GPU
                self.close()
            self._loaded[key] = load(other or self.source, self.tuning, revision=None if other else self.revision, adapter=adapter)
        return self._loaded[key]

    def adapter(self) -> Path | None:
        """The adapter's folder, checked against training.json; None where nothing is trained. Raises TrainingFailed."""
        if not self.contestant.trains:
            return None
        folder, report = self.folder / "adapter", self.folder / "training.json"
        if not report.exists() or read_json(report).get("status") != "done":
            raise TrainingFailed(f"{self.contestant.name} is not trained yet; `ftlib train` or notebook 03_train_local does it.")
        weights = folder / "adapter_model.safetensors"
        if not weights.exists() or sha256_file(weights) != read_json(report)["adapter_sha256"]:
            raise TrainingFailed(
                f"{weights} is missing or not what training wrote (a published run holds no weights); to train again, delete {report.name} first."
            )
        return folder

    def close(self) -> None:
        """Give back the models' memory."""
        if self._loaded or self.engines:
            from ftlib.training.local.tuning import free_memory

            self._loaded.clear()
            self.engines.clear()
            free_memory()
