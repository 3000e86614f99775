"""What happens between the steps of a training: evaluations, checkpoints, the time budget, progress, and being told to stop."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback

from ftlib.errors import TrainingFailed
from ftlib.progress import bar
from ftlib.training.local.distributed import agreed, processes
from ftlib.training.local.settings import TuneSettings
from ftlib.training.local.tally import Tally

log = logging.getLogger("ftlib")
TIMED_STEPS = 5  # steps after which the end is foretold; the first is left out, because a GPU compiles in it
RESERVE = 0.05  # share of the budget kept for saving
EVALUATIONS, PATIENT_EVALUATIONS = 4, 10  # in a whole training, the second where early stopping goes by them
Event = dict[str, Any]


class Watch(TrainerCallback):  # type: ignore[misc]
    """Decides after each step whether to evaluate, save or stop; all processes of a distributed run decide alike."""

    def __init__(
        self,
        settings: TuneSettings,
        tally: Tally,
        *,
        held_out: int,
        on_event: Callable[[Event], None] | None,
        should_stop: Callable[[], bool] | None,
    ) -> None:
        self.settings, self.tally, self.held_out = settings, tally, held_out  # rows to evaluate on
        self.on_event, self.should_stop = on_event, should_stop
        self.stopped: str | None = None  # why it ended before its plan
        self._spent_before = sum(tally.seconds.values())
        self._times: list[float] = []
        self._evaluations = PATIENT_EVALUATIONS if settings.early_stopping else EVALUATIONS
        self._longest_evaluation = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clocks and the bar."""
        now = time.perf_counter()
        self._began = self._last_step = self._last_save = now
        self._eval_every = -(-state.max_steps // self._evaluations)
        self._bar = bar(desc="training", total=state.max_steps, unit="step", initial=state.global_step) if state.is_world_process_zero else None

    def on_step_end(self, args: Any, state: Any, control: Any, **kw: Any) -> None:
        """Count the step; decide what follows it."""
        now = time.perf_counter()
        self._times.append(now - self._last_step)
        self._last_step = now
        step = state.global_step
        if self.tally.first_step is None:
            self.tally.first_step = self._times[0]
        self.tally.tokens_at[str(step)] = self.tally.tokens
        if self._bar is not None:
            self._bar.update(1)
        if len(self._times) == TIMED_STEPS and self.settings.minutes:
            self._foretell(state, kw["lr_scheduler"])
        if self._agree(self.should_stop is not None and self.should_stop()):
            self._stop(control, "it was told to stop")
        if self.settings.minutes and self._agree(self._left() < 1.5 * self.pace()):
            self._stop(control, f"its {self.settings.minutes:g} minutes are over")
        if step >= state.max_steps:
            control.should_training_stop = True
        last = bool(control.should_training_stop)
        control.should_evaluate = bool(self.held_out) and (last or step % self._eval_every == 0) and self._time_to_evaluate(last)
        control.should_save = last or self._save_is_due(step, now)

    def _save_is_due(self, step: int, now: float) -> bool:
        by_steps = self.settings.checkpoint_steps
        by_minutes = self.settings.checkpoint_minutes
        due = by_steps is not None and step % by_steps == 0
        return due or (by_minutes is not None and self._agree(now - self._last_save >= 60 * by_minutes))

    def _stop(self, control: Any, why: str) -> None:
        self.stopped = why
        control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Hand the losses on; end a training whose loss is no number any more, which nothing mends."""
        for key, name in (("loss", "training"), ("eval_loss", "validation")):
            value = (logs or {}).get(key)
            if value is not None and not math.isfinite(value):
                raise TrainingFailed(
                    f"The {name} loss is {value} at step {state.global_step}: the training has diverged, and no adapter of it is kept. "
                    f"A lower learning rate mends that most often (lr: in the contestant; it was {self.settings.lr:g})."
                )
        if self.on_event and logs and state.is_world_process_zero and ("loss" in logs or "eval_loss" in logs):
            self.on_event({
                "step": state.global_step, "steps": state.max_steps, "epoch": state.epoch, "tokens": self.tally.tokens,
                "train_loss": logs.get("loss"), "train_accuracy": logs.get("mean_token_accuracy"),
                "valid_loss": logs.get("eval_loss"), "valid_accuracy": logs.get("eval_mean_token_accuracy"),
            })  # fmt: skip

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop early where the validation loss no longer improves."""
        now = time.perf_counter()
        self._longest_evaluation = max(self._longest_evaluation, now - self._last_step)
        self._last_step = now  # the evaluation is no part of the next step's time
        patience = self.settings.early_stopping
        if patience is None:
            return
        losses = [entry["eval_loss"] for entry in state.log_history if "eval_loss" in entry]
        best = losses.index(min(losses))
        if best == len(losses) - 1:
            control.should_save = True  # so that the best weights are there to go back to
        elif len(losses) - 1 - best >= patience and not control.should_training_stop:
            self._stop(control, f"the validation loss has not improved for {patience} evaluations")
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the time to the next save."""
        self._last_save = self._last_step = time.perf_counter()

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()

    def pace(self) -> float:
        """Seconds a step takes, the first left out."""
        later = self._times[1:] or self._times
        return sum(later) / len(later)

    def evaluation(self) -> float:
        """Seconds an evaluation takes: the longest so far, else a third of what training on its rows would (it only goes forward)."""
        if len(self._times) < 2:
            return self._longest_evaluation
        return self._longest_evaluation or self.pace() * self.held_out / (self.settings.batch * self.settings.accumulate * processes()) / 3

    def _time_to_evaluate(self, last: bool) -> bool:
        """Whether an evaluation is within the budget; one before the last leaves time for that."""
        if not self.settings.minutes or self._agree(self._left() > (-60 * self.settings.minutes * RESERVE if last else self.evaluation())):
            return True
        if last:
            log.warning("there is no time left for the last evaluation, which takes about %.0f s", self.evaluation())
        return False

    def _left(self) -> float:
        """Seconds of the budget that are left for steps; the last evaluation is taken off."""
        budget = 60 * (self.settings.minutes or 0)
        return budget * (1 - RESERVE) - self._spent_before - (time.perf_counter() - self._began) - self.evaluation()

    def _foretell(self, state: Any, scheduler: Any) -> None:
        """Say when training will end, and shorten the plan, learning-rate schedule included, where the budget asks for it."""
        remaining, pace = state.max_steps - state.global_step, self.pace()
        left = self._left()
        fits = max(1, int((left - min((self._evaluations - 1) * self.evaluation(), left / 2)) / pace))  # what evaluations before the last may take
        first = f"the first took {self._times[0]:.1f} s" if self._times[0] > 1.5 * pace else "the first no longer than the others"
        log.info("a step takes %.2f s (%s): the remaining %d end in about %.1f min", pace, first, remaining, remaining * pace / 60)
        fits = int(agreed(fits, "min"))
        if fits >= remaining:
            return
        planned = state.global_step + fits
        log.warning("%d steps do not fit into %g minutes: the plan is shortened to %d", state.max_steps, self.settings.minutes, planned)
        self.tally.planned = state.max_steps = planned
        self._eval_every = -(-planned // self._evaluations)
        reschedule(scheduler, self.settings, planned)
        if self._bar is not None:
            self._bar.total = planned

    def _agree(self, flag: bool) -> bool:
        return bool(agreed(int(flag), "max"))


def warmup_steps(settings: TuneSettings, steps: int) -> int:
    """Warm-up as a number of steps."""
    return int(settings.warmup * steps)


def reschedule(scheduler: Any, settings: TuneSettings, steps: int) -> None:
    """Give a running scheduler the shape it would have had for ``steps`` steps."""
    import torch
    from transformers import get_scheduler

    inner = getattr(scheduler, "scheduler", scheduler)
    dummy = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    fresh = get_scheduler(settings.schedule, dummy, num_warmup_steps=warmup_steps(settings, steps), num_training_steps=steps)
    inner.lr_lambdas = [fresh.lr_lambdas[0]] * len(inner.lr_lambdas)
