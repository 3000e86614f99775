"""The four verbs of a hosted service (upload, start, watch, ask), whatever its client is called."""

from __future__ import annotations

import json
from typing import Any, Protocol

from ftlib.errors import MissingExtra, Refused
from ftlib.training.hosted.failures import Failure, as_failure
from ftlib.training.hosted.keys import Key
from ftlib.training.hosted.provider import Provider

Json = dict[str, Any]


class Service(Protocol):
    """One provider, spoken to. Every method makes one request and returns plain JSON; it raises Failure.

    Jobs carry ``id, status, model, fine_tuned_model, trained_tokens, created_at, finished_at, result_files, metadata,
    training_file, error`` as far as the provider tells them.
    """

    async def model(self, name: str) -> Json: ...
    async def upload(self, name: str, data: bytes, purpose: str) -> Json: ...
    async def file(self, file_id: str) -> Json: ...
    async def files(self, after: str | None) -> Json: ...
    async def delete(self, file_id: str) -> Json: ...
    async def content(self, file_id: str) -> bytes: ...
    async def start(self, request: Json) -> Json: ...
    async def job(self, job_id: str) -> Json: ...
    async def jobs(self, after: str | None, key: str | None) -> Json: ...
    async def events(self, job_id: str, after: str | None) -> Json: ...
    async def checkpoints(self, job_id: str) -> Json: ...
    async def act(self, job_id: str, verb: str) -> Json: ...
    async def chat(self, request: Json) -> Json: ...
    async def batch(self, request: Json | None, batch_id: str | None) -> Json: ...
    async def batches(self, after: str | None) -> Json: ...
    async def aclose(self) -> None: ...


def decode(raw: bytes, key: Key) -> Json:
    """The JSON object in a reply's body. Raises Failure ``malformed`` for HTML, a fragment, or anything but an object."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        start = key.redact(raw[:80].decode("utf-8", "replace"))
        raise Failure("malformed", f"the reply is not JSON ({error.__class__.__name__}); it begins {start!r}") from None
    if not isinstance(value, dict):
        raise Failure("malformed", f"the reply is a JSON {type(value).__name__}, not an object")
    return value


def redacted(error: BaseException, key: Key) -> Failure:
    """A client's exception as a Failure whose text holds no secret."""
    failure = as_failure(error)
    failure.message = key.redact(failure.message)
    return failure


def reachable(provider: Provider) -> None:
    """Raises Refused where nothing says at which address a provider is."""
    if not provider.address:
        raise Refused(f"The address of {provider.name} is not known: set {provider.base_url_env} to it.")


def connect(provider: Provider, key: Key) -> Service:
    """The service of a provider. Raises MissingExtra where its client is not installed, Refused without an address."""
    reachable(provider)
    if provider.client == "together":
        from ftlib.training.hosted.together_service import TogetherService

        together: Service = TogetherService(provider, key)
        return together
    try:
        from ftlib.training.hosted.openai_service import OpenAIService
    except ImportError:
        raise MissingExtra("Hosted contestants need the openai library: pip install 'openai>=2.54,<4'.") from None
    return OpenAIService(provider, key)
