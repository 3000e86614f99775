"""Creating something that costs money, once.

With a client's defaults one lost reply creates, and bills, a job three times. Here the intent is on disk before the
call, the call is made once and carries a key, and the id is on disk after it. When a reply is lost, or the process
dies, the thing is looked up by its key; before the call is made again, the lost one is made worthless. Where neither can
be done, a person is asked.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from ftlib.errors import Refused, ServiceDown, TrainingFailed, Unclear
from ftlib.files import read_json, write_json
from ftlib.training.hosted.failures import Failure
from ftlib.training.hosted.link import Link
from ftlib.training.hosted.service import Json

log = logging.getLogger("ftlib")
T = TypeVar("T")
ROUNDS = 3  # calls that certainly created nothing, before giving up until the next run
LOOK_S = 1.0


class Intent:
    """``intent.json`` of a contestant: what is to be created, under which key, and how far that came.

    ``parts`` holds, for each of train, valid and job, {state: intended | called | done, id, called_at, failed_at, gone: [ids deleted since]}.
    """

    def __init__(self, path: Path, content: Json, on_save: Callable[[], None] | None = None) -> None:
        """``on_save`` is called when it is on disk, and so before what it announces."""
        self.path, self.content, self.on_save = path, content, on_save

    @classmethod
    def of(cls, path: Path, what: Json, on_save: Callable[[], None] | None = None) -> Intent:
        """The intent to create ``what`` (hashes and settings), not written yet: the one on disk where that is the same, be it from before
        a change that was taken back, so that nothing is bought again; else a new one with a new key.
        """
        latest = dict(read_json(path)) if path.exists() else {}
        earlier: list[Json] = latest.pop("earlier", [])
        known = [*earlier, *([latest] if latest else [])]
        same = next((one for one in known if one.get("what") == what), None)
        content = same or {"key": f"ftlib-{uuid.uuid4().hex[:16]}", "what": what, "parts": {}}
        return cls(path, {**content, "earlier": [one for one in known if one is not same]}, on_save)

    @classmethod
    def open(cls, path: Path, what: Json, on_save: Callable[[], None] | None = None) -> Intent:
        """``of``, written down."""
        intent = cls.of(path, what, on_save)
        intent.save()
        return intent

    @property
    def key(self) -> str:
        """What the created things carry."""
        return str(self.content["key"])

    def part(self, name: str) -> Json:
        """The state of one part."""
        entry: Json = self.content["parts"].setdefault(name, {"state": "intended", "id": None})
        return entry

    def mark(self, name: str, **fields: Any) -> None:
        """Change a part's state on disk."""
        self.part(name).update(fields)
        self.save()

    def save(self) -> None:
        """Write the intent, whole or not at all."""
        write_json(self.path, self.content)
        if self.on_save is not None:
            self.on_save()


def create_once(
    link: Link,
    intent: Intent,
    part: str,
    *,
    what: str,
    request: Callable[[], T],
    call: Callable[[T], Coroutine[Any, Any, Json]],
    look: Callable[[], str | None] | None,
    fence: str | None = None,
    seconds: float | None = None,
) -> str:
    """The id of a part, created now or earlier, never twice.

    Args:
        what: a few words for messages.
        request: makes what is sent; asked again before each call.
        call: sends it, in one request.
        look: finds the part's id by the key in the provider's lists, None where it is not there; None where the provider has no such list.
        fence: the part (an uploaded file) without which a request that was lost can create nothing (see ``_fence_off``); None where
            a second thing costs nothing.
        seconds: the deadline of the call, where it is not the provider's usual one.

    Raises Refused (nothing was created), TrainingFailed (the request is wrong), ServiceDown (try later) or Unclear (a person must look).
    """
    entry = intent.part(part)
    if entry.get("id"):
        return str(entry["id"])
    failure: Failure | None = None
    for attempt in range(ROUNDS + 1):
        if entry["state"] == "called":
            found = _settle(link, intent, part, what, look, fence)
            if found:
                return found
        if attempt == ROUNDS:
            break
        if failure is not None:
            link.clock.sleep(failure.retry_after if failure.retry_after is not None else link.backoff(attempt))
        sent = request()
        intent.mark(part, state="called", called_at=link.clock.now(), failed_at=None)
        try:
            made = link.once(call(sent), seconds)
        except Failure as error:
            failure = error
            _give_up_if_refused(link, intent, part, what, failure)
            if failure.kind in ("unsent", "rate"):
                intent.mark(part, state="intended")
                continue
        else:
            if isinstance(made.get("id"), str) and made["id"]:
                intent.mark(part, state="done", id=made["id"])
                return str(made["id"])
            failure = Failure("malformed", "the reply names no id")
        intent.mark(part, failed_at=link.clock.now())
        log.warning("%s: %s: %s; looking whether it was created", link.provider.name, what, failure)
    raise ServiceDown(f"{link.provider.name}: {what} was not created ({failure}); run again later, nothing was spent.")


def _give_up_if_refused(link: Link, intent: Intent, part: str, what: str, failure: Failure) -> None:
    """Raise where the service said no: then nothing was created, and asking again would change nothing."""
    if failure.kind in ("refused", "bad", "filtered"):
        intent.mark(part, state="intended")
        if failure.kind == "refused":
            raise Refused(f"{link.provider.name} refused {what}: {failure}")
        raise TrainingFailed(f"{link.provider.name} turned {what} down: {failure}")


def _settle(link: Link, intent: Intent, part: str, what: str, look: Callable[[], str | None] | None, fence: str | None) -> str | None:
    """After a call whose outcome is not known: the id of what it created, or None once it creates nothing any more.

    A created thing may take a while to appear in the lists, so these are asked until the provider's grace time is over. It
    begins when the call failed; after a kill, when the call would have been given up at the latest.
    """
    if look is None:
        raise _unclear(link, intent, part, what, "this provider cannot be asked whether it was created")
    entry = intent.part(part)
    found = _look_until(link, look, (entry.get("failed_at") or float(entry["called_at"]) + link.provider.attempt_s) + link.provider.lookup_grace_s)
    if not found and fence is not None:
        _fence_off(link, intent, part, what, fence)
        found = _look_until(link, look, link.clock.now() + link.provider.lookup_grace_s)
    if found:
        log.info("%s: %s is there already: %s", link.provider.name, what, found)
        intent.mark(part, state="done", id=found)
        return found
    if fence is not None:
        gone = intent.part(fence)
        intent.content["parts"][fence] = {"state": "intended", "id": None, "gone": [*gone.get("gone", []), gone["id"]]}
    intent.mark(part, state="intended")
    return None


def _look_until(link: Link, look: Callable[[], str | None], until: float) -> str | None:
    patience = min(until - link.clock.now(), link.provider.attempt_s + link.provider.lookup_grace_s)  # a clock may have been set back since
    over = link.clock.elapsed() + patience
    while True:
        found = look()
        left = over - link.clock.elapsed()
        if found or left <= 0:
            return found
        link.clock.sleep(min(left, max(LOOK_S, link.provider.lookup_grace_s / 10)))


def _fence_off(link: Link, intent: Intent, part: str, what: str, fence: str) -> None:
    """Make a lost request worthless before another is sent, however late it is carried out: the file that it names is deleted.

    The next request names another upload. Raises Unclear where the file cannot be deleted, or comes back under the same id.
    """
    why = "it is in no list yet but may still be carried out"
    if not link.provider.can.files_unique:
        raise _unclear(link, intent, part, what, why)
    file_id = str(intent.part(fence)["id"])
    log.info("%s: %s is in no list; %s is deleted, so that the lost request cannot create it later", link.provider.name, what, file_id)
    try:
        gone = link.patiently(f"the removal of {file_id}", lambda: _removed(link, file_id))["gone"]
    except Refused as error:
        raise _unclear(link, intent, part, what, f"{why} ({error})") from None
    if not gone:
        raise _unclear(link, intent, part, what, f"{why} (its file {file_id} cannot be deleted)")


async def _removed(link: Link, file_id: str) -> Json:
    """Delete a file: {gone: whether the service has it no more}."""
    gone = False
    for ask in (link.service.delete, link.service.file):
        try:
            await ask(file_id)
            gone = False
        except Failure as failure:
            if failure.status not in (404, 410):
                raise
            gone = True
    return {"gone": gone}


def _unclear(link: Link, intent: Intent, part: str, what: str, why: str) -> Unclear:
    return Unclear(
        f"The reply to {what} at {link.provider.name} was lost, and {why}. Look at {link.provider.console} for {intent.key}: if it is there, "
        f'put its id into parts.{part}.id of {intent.path}; if it is not, put "intended" into parts.{part}.state. Then run again.'
    )
