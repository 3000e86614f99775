"""The trainer of contestants behind an API: estimate, train once, ask within the budget."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ftlib.catalogue import Model, find_model
from ftlib.drive import push
from ftlib.errors import BudgetExceeded, Refused, ServiceDown, TrainingFailed
from ftlib.files import hash_json, read_json, sha256_file, write_json
from ftlib.formatting.task import Prompt
from ftlib.profile import Contestant
from ftlib.runs import Run
from ftlib.training.hosted import before, report
from ftlib.training.hosted.answering import Asker
from ftlib.training.hosted.batch_answering import BatchAsker
from ftlib.training.hosted.chat import limit_of, request_for
from ftlib.training.hosted.clock import Clock
from ftlib.training.hosted.creation import Intent
from ftlib.training.hosted.keys import Key, find_key
from ftlib.training.hosted.ledger import Ledger, Reservation
from ftlib.training.hosted.link import Link
from ftlib.training.hosted.metrics import from_checkpoints, from_events, parse_metrics
from ftlib.training.hosted.pace import Pace
from ftlib.training.hosted.provider import Provider, load_provider
from ftlib.training.hosted.rates import Rates, chat_rates, training_rate
from ftlib.training.hosted.service import Service, connect, reachable
from ftlib.training.hosted.starting import job_request, start
from ftlib.training.hosted.watching import JobFile, watch
from ftlib.training.hosted.wire import Wire
from ftlib.training.trainer import Answer

log = logging.getLogger("ftlib")
Json = dict[str, Any]
LOADS_S = 900.0
SANDBOX = "the sandbox, started for this run"


class HostedTrainer:
    """See ``ftlib.training.trainer.Trainer``. Nothing is connected before it is needed."""

    def __init__(
        self, run: Run, contestant: Contestant, *, key: str | None = None, clock: Clock | None = None, service: Service | None = None
    ) -> None:
        """``key`` goes before the environment; ``clock`` and ``service`` are for tests."""
        self.run, self.contestant = run, contestant
        named = contestant.provider
        self.provider: Provider = load_provider(named, run.profile.providers) if named else Provider(name="recorded")
        self.ledger = Ledger(run.path / "ledger.jsonl", run.profile.budget_usd)
        self._given_key, self._clock, self._service = key, clock, service
        self._link: Link | None = None
        self._child: Any = None

    # -- what it is ----------------------------------------------------------------------------------------------
    @property
    def model(self) -> Model:
        """The catalogue's entry of the contestant's model."""
        return find_model(self.contestant.model, self.run.profile.models)

    @property
    def base_model(self) -> str:
        """The model's id as this provider spells it."""
        return self.model.id_at(self.provider.name)

    def settings(self) -> Json:
        """What the outcome depends on besides the files. Versions of client libraries are none of it: a job is not bought again for them."""
        c = self.contestant
        if not c.trains:
            return {
                "provider": self.provider.name,
                "model": c.model,
                "existing": c.existing,
                "few_shot": c.few_shot,
                "recorded": sha256_file(Path(c.recorded)) if c.recorded else None,
            }
        return {
            "provider": self.provider.name,
            "model": self.base_model,
            "epochs": None if c.epochs is None else int(c.epochs),
            "batch": c.batch,
            "lr_multiplier": c.lr_multiplier,
            "seed": self._seed(),
        }

    def _files(self) -> dict[str, Path]:
        folder = self.run.folder(self.contestant)
        return {name: folder / f"{name}.jsonl" for name in ("train", "valid") if (folder / f"{name}.jsonl").exists()}

    def _cost(self) -> before.Cost:
        files = self._files()
        if "train" not in files:
            raise Refused(f"{self.run.folder(self.contestant) / 'train.jsonl'} does not exist; run notebook 02 (or `ftlib run`) first.")
        epochs, prices = self.settings()["epochs"], self.run.profile.prices
        return before.training_cost(self.provider, self.model, self.base_model, files["train"], epochs, prices, files.get("valid"))

    def estimate(self) -> Json:
        """Tokens and dollars of the training, and the budget it is held against; makes no request."""
        if not self.contestant.trains:
            return {"status": "nothing_to_train"}
        return {
            **self._cost().data(),
            "provider": self.provider.name,
            "model": self.base_model,
            "budget_usd": self.run.profile.budget_usd,
            "spent_usd": self.ledger.spent_usd,
            "how": {"money_usd": "estimated", "tokens": "estimated"},
        }

    def preview(self) -> Json:
        """Exactly what `train` would send and cost, sending nothing: files with their sizes, the job's request, the estimate.

        ``refused`` is why nothing would be sent as things stand, or None. Raises Refused where a price is not known.
        """
        if not self.contestant.trains:
            return {"sends": [], "estimate": self.estimate(), "refused": None}
        estimate, ids = self.estimate(), {name: f"ID-OF-{name}.jsonl" for name in self._files()}
        request = job_request(self.provider, self.settings(), "ftlib-KEY", self.contestant.name, ids)
        files = [
            {"to": "files", "purpose": "fine-tune", "file": f"ftlib-KEY-{path.name}", "bytes": path.stat().st_size, "sha256": sha256_file(path)}
            for path in self._files().values()
        ]
        return {
            "address": self.provider.address or (SANDBOX if self.provider.name == "sandbox" else f"the address in {self.provider.base_url_env}"),
            "sends": [*files, {"to": "fine_tuning/jobs", **request}],
            "estimate": estimate,
            "refused": self._objection(estimate["worst_usd"]),
        }

    def preview_answers(self, prompts: Sequence[Prompt], *, tuned: bool) -> tuple[Json, float]:
        """The first request that asking these prompts would send, and the most that all of them can cost in dollars; sends nothing.

        A model that is yet to be tuned is called MODEL-TO-BE. Raises Refused where it cannot be asked, or a price is not known.
        """
        try:
            model = self.asked_model(tuned=tuned)
        except Refused:
            if not tuned or not self.contestant.trains:
                raise
            model = "MODEL-TO-BE"
        requests, rates = self._requests(prompts, model), self._rates(model, tuned=tuned)
        return requests[0], sum(rates.worst(request["messages"], limit_of(request)) for request in requests)

    def asked_hashes(self, prompts: Sequence[Prompt], *, tuned: bool) -> list[str]:
        """Of each prompt what its answer depends on: the request, where it goes, and the job whose model answers. Raises Refused as `ask` does."""
        where = [self.provider.name, self.run.profile.providers.get(self.provider.name, {}).get("base_url")]
        requests = self._requests(prompts, self.asked_model(tuned=tuned))
        made = read_json(self.run.folder(self.contestant) / "job.json")["id"] if tuned and self.contestant.trains else None
        return [hash_json([where, made, request]) for request in requests]

    # -- connection ----------------------------------------------------------------------------------------------
    def link(self) -> Link:
        """The connection, made at first use; the sandbox is started where none is given."""
        if self._link is None:
            service = self._service or connect(*self._where())
            self._link = Link(self.provider, service, Wire(), self._clock, seed=self.run.profile.seed)
        return self._link

    def _where(self) -> tuple[Provider, Key]:
        if self.provider.name == "sandbox" and not self.provider.address:
            from ftlib.training.hosted.sandbox_child import SandboxChild

            self._child = SandboxChild()
            import msgspec

            self.provider = msgspec.structs.replace(self.provider, base_url=self._child.url)
            return self.provider, Key(self._child.key)
        return self.provider, find_key(self.provider, self._given_key)

    def close(self) -> None:
        """Close connections, the ledger, and the sandbox that was started for this trainer."""
        self.ledger.close()
        if self._link is not None:
            try:
                self._link.wire.call(self._link.service.aclose(), deadline_s=10)
            finally:
                self._link.wire.close()
                self._link = None
        if self._child is not None:
            self._child.close()
            self._child = None

    # -- training ------------------------------------------------------------------------------------------------
    def train(self) -> None:
        """Upload, start and watch the job, each exactly once whatever is lost on the way; writes job.json and training.json.

        Raises Refused, TrainingFailed, Unclear or ServiceDown; a later call goes on where this one ended.
        """
        folder = self.run.folder(self.contestant)
        if not self.contestant.trains:
            write_json(folder / "training.json", report.nothing_to_train(self.run, self.contestant, self._why_nothing()))
            return
        files, cost = self._files(), self._cost()
        intent = self._intent(files)
        if intent.part("job")["state"] == "intended":  # one that may be there already is not given up for what forbids a new one
            self._check(files)
        intent.save()
        reservation = self._reserve(cost, intent)
        link = self.link()
        try:
            if self._child is not None:
                self._child.make_ready()
            record = self._job(link, intent, files)
        except (Refused, TrainingFailed):
            if intent.part("job")["state"] == "intended":  # else there may be a job
                self.ledger.release(f"train {intent.key}", "there is no job")
            raise
        try:
            result = watch(link, record, own=self._child is not None)
        except TrainingFailed:
            self._settle_failed(reservation, intent, record.content)
            raise
        usd, curve = self._settle(reservation, result), self._curve(link, record)
        made = report.training_report(self.run, self.contestant, self.provider, result, cost, curve, usd, self.settings())
        write_json(folder / "training.json", made)

    def _intent(self, files: Mapping[str, Path]) -> Intent:
        """What is to be created of these files, under which key; nothing is written."""
        what = {"settings": self.settings(), "files": {name: sha256_file(path) for name, path in files.items()}}
        return Intent.of(self.run.folder(self.contestant) / "intent.json", what, self._keep)

    def _keep(self) -> None:
        """Copy what is bought, and what it may cost, to the drive before it is paid for, where the profile names one."""
        for path in (self.run.folder(self.contestant), self.ledger.path):
            push(self.run, path, mirror=False)

    def _check(self, files: Mapping[str, Path]) -> None:
        """Raises Refused where a bad file, a date that is past or the budget's absence stands against it: nothing is sent."""
        before.check_files(self.provider, self.contestant.model, files["train"], files.get("valid"))
        before.check_dates(self.model, self.provider, tuning=True)
        before.require_budget(self.provider, self.run.profile.budget_usd, f"Training {self.base_model}")

    def _objection(self, worst_usd: float) -> str | None:
        """Why `train` would send nothing as things stand; None where nothing that is known here stands against it."""
        files, left = self._files(), self.ledger.left_usd
        intent = self._intent(files)
        if intent.part("job")["state"] != "intended":
            return None
        try:
            self._check(files)
            if self.provider.name != "sandbox":
                reachable(self.provider)
                find_key(self.provider, self._given_key)
        except Refused as error:
            return str(error)
        if self.provider.free or worst_usd <= left or self.ledger.holds(f"train {intent.key}"):
            return None
        return f"it may cost {worst_usd:.4f} dollars and {left:.4f} of the budget are left; raise budget_usd."

    def _why_nothing(self) -> str:
        c = self.contestant
        if c.recorded:
            return f"its answers were recorded earlier ({c.recorded})"
        return f"{c.existing} exists already" if c.existing else f"{c.few_shot} examples stand in the prompt instead"

    def _reserve(self, cost: before.Cost, intent: Intent) -> Reservation | None:
        """Set the job's worst case aside, once for its key; that of a job that is there was set aside before it was made.

        Raises Refused where the budget does not hold it.
        """
        if self.provider.free:
            return None
        key = f"train {intent.key}"
        if intent.part("job").get("id"):
            return Reservation(self.ledger, key, cost.worst_usd)
        try:
            return self.ledger.reserve(cost.worst_usd, f"the training of {self.contestant.name}", key=key)
        except BudgetExceeded as error:
            raise Refused(str(error)) from None

    def _job(self, link: Link, intent: Intent, files: Mapping[str, Path]) -> JobFile:
        """The job, looked up or created."""
        record = JobFile(self.run.folder(self.contestant) / "job.json")
        if not intent.part("job").get("id"):
            before.check_available(link, self.base_model)
            start(link, intent, files, self.settings(), self.contestant.name)
        job_id = str(intent.part("job")["id"])
        uploaded = {role: intent.part(role).get("id") for role in files}
        record.begin(job_id, provider=self.provider.name, key=intent.key, files=uploaded, status=None)
        return record

    def _settle(self, reservation: Reservation | None, record: Json) -> float | None:
        """Put what was billed into the ledger; None where the provider says neither that nor how many tokens it trained."""
        trained, usd = record.get("trained_tokens") or 0, float(record.get("billed_usd") or 0.0)
        if reservation is None:
            return 0.0
        if not usd and not trained:
            return None
        if not usd:
            rate, _, least = training_rate(self.provider, self.base_model, self.run.profile.prices)
            usd = max(least, trained * rate)
        reservation.settle(usd, tokens=trained)
        return usd

    def _settle_failed(self, reservation: Reservation | None, intent: Intent, record: Json) -> None:
        """Of a job that is over without a model, put what it was billed into the ledger, or nothing where its file was turned down.

        Where the provider tells neither, its worst case stays set aside.
        """
        error = record.get("error")
        if record.get("status") not in ("failed", "cancelled"):
            return
        if record.get("trained_tokens"):
            self._settle(reservation, record)
        elif isinstance(error, dict) and error.get("param") in ("training_file", "validation_file"):
            self.ledger.release(f"train {intent.key}", "its file was turned down")

    def _curve(self, link: Link, record: JobFile) -> list[Json]:
        """The loss curve: from the result file, else from events or checkpoints. The job has succeeded; a file that cannot be had changes nothing."""
        results = record.content.get("result_files") or []
        for file_id in results if isinstance(results, list) else []:
            name = str(file_id)
            try:
                points = parse_metrics(link.patiently("the result file", lambda: link.service.content(name), tries=3))  # noqa: B023  called at once
            except (Refused, ServiceDown) as error:
                log.warning("the loss curve is taken from the events: %s", error)
                continue
            if points:
                return points
        return from_events(record.content["events"]) or from_checkpoints(record.content.get("checkpoints") or [])

    # -- answering -----------------------------------------------------------------------------------------------
    def ask(self, prompts: Sequence[Prompt], *, tuned: bool) -> Iterator[tuple[int, Answer]]:
        """Answers as they come, at most ``concurrency`` of them between being asked for and being stored by the caller.

        Raises Refused (the model, the account, the budget's absence) or BudgetExceeded, after what was paid for is yielded.
        """
        model = self.asked_model(tuned=tuned)
        before.require_budget(self.provider, self.run.profile.budget_usd, f"Asking {model}")
        rates, requests = self._rates(model, tuned=tuned), self._requests(prompts, model)
        if self.contestant.batch_api:
            if not self.provider.can.batch:
                raise Refused(f"{self.provider.name} has no batch endpoint; remove batch_api from {self.contestant.name}.")
            folder = self.run.folder(self.contestant) / "batches"
            yield from BatchAsker(self.link(), rates, self.ledger, folder, self._keep).ask(requests)
            return
        loads = self._loads_until() if tuned and self.contestant.trains else 0.0
        asker = Asker(self.link(), rates, self.ledger, self._pace(), self.contestant.concurrency, self._seed(), loads)
        yield from asker.ask(requests)

    def _loads_until(self) -> float:
        """When the tuned model has surely been loaded, in seconds since 1970: OpenAI gives it some minutes, in which it is not found."""
        return float(read_json(self.run.folder(self.contestant) / "job.json").get("finished_at") or 0.0) + LOADS_S

    def _seed(self) -> int:
        return self.run.profile.seed if self.contestant.seed is None else self.contestant.seed

    def _requests(self, prompts: Sequence[Prompt], model: str) -> list[Json]:
        return [request_for(prompt, model, self.provider, self.contestant.decoding, self._seed()) for prompt in prompts]

    def _rates(self, model: str, *, tuned: bool) -> Rates:
        """The rates of the model that answers under a name, which a deployment may have given it."""
        c = self.contestant
        behind, of_tune = (c.existing, False) if tuned and c.existing else (self.base_model, tuned and c.trains)
        return chat_rates(self.provider, model, self.run.profile.prices, known_as=behind, tuned=of_tune)

    def _pace(self) -> Pace:
        c = self.contestant
        return Pace(c.requests_per_minute or self.provider.requests_per_minute, c.tokens_per_minute or self.provider.tokens_per_minute)

    def asked_model(self, *, tuned: bool) -> str:
        """The name under which the base or the tuned model answers. Raises Refused where it does not answer yet."""
        c = self.contestant
        if c.recorded:
            raise Refused(f"{c.name}'s answers were recorded earlier; there is no model to ask.")
        if not tuned or c.few_shot is not None:
            return self.provider.served.get(self.base_model, self.base_model)
        if c.existing:
            return self.provider.served.get(c.existing, c.existing)
        path = self.run.folder(c) / "job.json"
        if not path.exists():
            raise Refused(f"{c.name} has not been trained; run notebook 04 (or `ftlib train`) first.")
        record = read_json(path)
        name = record.get("fine_tuned_model")
        if c.name in self.provider.served:
            return self.provider.served[c.name]
        if self.provider.needs_deployment and record.get("status") == "succeeded":
            raise Refused(
                f"{name or record['id']} is trained and must be deployed before it answers: deploy it at {self.provider.console}, then give the "
                f"deployment's name in the profile as providers: {{{self.provider.name}: {{served: {{{c.name}: NAME}}}}}}."
            )
        if not name:
            raise Refused(f"The job of {c.name} has made no model (its state is {record.get('status')}).")
        return str(name)
