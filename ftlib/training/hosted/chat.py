"""One chat completion, as it is asked and as it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftlib.files import hash_json
from ftlib.formatting.task import Prompt
from ftlib.profile import Decoding
from ftlib.training.hosted.failures import Failure
from ftlib.training.hosted.provider import Provider
from ftlib.training.trainer import Finish

Json = dict[str, Any]
FINISH: dict[Any, Finish] = {"stop": "stop", "eos": "stop", "length": "length", "content_filter": "filtered"}


@dataclass(frozen=True)
class Reading:
    """What a completion says: text, finish, its raw usage, the service's fingerprint."""

    text: str
    finish: Finish
    usage: Mapping[str, Any]
    fingerprint: str | None


def request_for(prompt: Prompt, model: str, provider: Provider, decoding: Decoding, seed: int) -> Json:
    """The request that asks a prompt."""
    request: Json = {
        "model": model,
        "messages": prompt.messages(),
        "temperature": decoding.temperature,
        provider.max_tokens: decoding.max_new_tokens or prompt.max_new_tokens,
        "seed": seed,
    }
    if prompt.stop:
        request["stop"] = list(prompt.stop)
    return request


def limit_of(request: Json) -> int:
    """The most tokens that a request's answer can have."""
    return int(request.get("max_completion_tokens") or request["max_tokens"])


def rendered_hash(messages: Sequence[Mapping[str, Any]]) -> str:
    """Hash of what the service received; how it renders messages into a template it does not say."""
    return hash_json(list(messages))


def read_completion(reply: Json) -> Reading:
    """The answer in a completion. A refusal and a filtered answer are answers. Raises Failure ``malformed`` for anything else."""
    choices = reply.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise Failure("malformed", "the reply holds no choices")
    message = choices[0].get("message")
    if not isinstance(message, dict):
        raise Failure("malformed", "the reply's choice holds no message")
    finish: Finish = FINISH.get(choices[0].get("finish_reason"), "stop")
    refusal, content = message.get("refusal"), message.get("content")
    usage = reply.get("usage")
    counts: Mapping[str, Any] = usage if isinstance(usage, dict) else {}
    fingerprint = reply.get("system_fingerprint")
    said = str(fingerprint) if fingerprint else None
    if isinstance(refusal, str) and refusal and not content:
        return Reading(refusal, "refusal", counts, said)
    if content is None and finish == "filtered":
        return Reading("", finish, counts, said)
    if not isinstance(content, str):
        raise Failure("malformed", f"the reply's content is {'null' if content is None else 'no text'}")
    return Reading(content, finish, counts, said)
