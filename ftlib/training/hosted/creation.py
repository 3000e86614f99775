"""Creating something that costs money, once.

With a client's defaults one lost reply creates, and bills, a job three times. Here the intent is on disk before the
call, the call is made once and carries a key, and the id is on disk after it. When a reply is lost, or the process
dies, the thing is looked up by its key. Where the provider cannot tell, a person is asked.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from ftlib.errors import Refused, ServiceDown, TrainingFailed, Unclear
from ftlib.files import read_json, write_json
from ftlib.training.hosted.failures import Failure
from ftlib.training.hosted.link import Link
from ftlib.training.hosted.service import Json

log = logging.getLogger("ftlib")
ROUNDS = 3  # calls that certainly created nothing, before giving up until the next run
LOOK_S = 1.0


class Intent:
    """``intent.json`` of a contestant: what is to be created, under which key, and how far that came.

    ``parts`` holds, for each of train, valid and job, {state: intended | called | done, id, called_at}.
    """

    def __init__(self, path: Path, content: Json) -> None:
        self.path, self.content = path, content

    @classmethod
    def open(cls, path: Path, what: Json) -> Intent:
        """The intent to create ``what`` (hashes and settings): the one on disk where it is the same, else a new one with a new key."""
        earlier: list[Json] = []
        if path.exists():
            content = dict(read_json(path))
            if content.get("what") == what:
                return cls(path, content)
            earlier = [*content.pop("earlier", []), content]
        intent = cls(path, {"key": f"ftlib-{uuid.uuid4().hex[:16]}", "what": what, "parts": {}, "earlier": earlier})
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


def create_once(
    link: Link, intent: Intent, part: str, *, what: str, call: Callable[[], Coroutine[Any, Any, Json]], look: Callable[[], str | None] | None
) -> str:
    """The id of a part, created now or earlier, never twice.

    Args:
        what: a few words for messages.
        call: makes the one request that creates it.
        look: finds its id by the key in the provider's lists, None where it is not there; None where the provider has no such list.

    Raises Refused (nothing was created), TrainingFailed (the request is wrong), ServiceDown (try later) or Unclear (a person must look).
    """
    entry = intent.part(part)
    if entry.get("id"):
        return str(entry["id"])
    if entry["state"] == "called":
        found = _settle(link, intent, part, what, look)
        if found:
            return found
    failure: Failure | None = None
    for attempt in range(ROUNDS):
        if failure is not None:
            link.clock.sleep(failure.retry_after if failure.retry_after is not None else link.backoff(attempt))
        intent.mark(part, state="called", called_at=link.clock.now(), failed_at=None)
        try:
            made = link.once(call())
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
        found = _settle(link, intent, part, what, look)
        if found:
            return found
    raise ServiceDown(f"{link.provider.name}: {what} was not created ({failure}); run again later, nothing was spent.")


def _give_up_if_refused(link: Link, intent: Intent, part: str, what: str, failure: Failure) -> None:
    """Raise where the service said no: then nothing was created, and asking again would change nothing."""
    if failure.kind in ("refused", "bad", "filtered"):
        intent.mark(part, state="intended")
        if failure.kind == "refused":
            raise Refused(f"{link.provider.name} refused {what}: {failure}")
        raise TrainingFailed(f"{link.provider.name} turned {what} down: {failure}")


def _settle(link: Link, intent: Intent, part: str, what: str, look: Callable[[], str | None] | None) -> str | None:
    """After a call whose outcome is not known: the id of what it created, or None once it certainly created nothing.

    A created thing may take a while to appear in the lists, and a request that was under way may still be carried out, so
    the lists are asked until the provider's grace time is over. It begins when the call failed; after a kill, when the
    call would have been given up at the latest.
    """
    if look is None:
        raise Unclear(
            f"The reply to {what} at {link.provider.name} was lost, and this provider cannot be asked whether it was created. Look at "
            f"{link.provider.console} for {intent.key}: if it is there, put its id into parts.{part}.id of {intent.path}; if not, remove that file. "
            "Then run again."
        )
    entry = intent.part(part)
    over_at = entry.get("failed_at") or float(entry["called_at"]) + link.provider.attempt_s
    while True:
        found = look()
        if found:
            log.info("%s: %s is there already: %s", link.provider.name, what, found)
            intent.mark(part, state="done", id=found)
            return found
        left = over_at + link.provider.lookup_grace_s - link.clock.now()
        if left <= 0:
            intent.mark(part, state="intended")
            return None
        link.clock.sleep(min(left, max(LOOK_S, link.provider.lookup_grace_s / 10)))
