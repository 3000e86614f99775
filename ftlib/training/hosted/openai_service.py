"""A service spoken to through the ``openai`` client: OpenAI, Azure, Nebius, the sandbox, and whatever follows them.

Replies are taken raw and parsed here: the client's typed objects hide missing fields, pass HTML on as a text and raise
errors of other libraries for broken JSON. It never retries: retries that know about money are ours.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any
from urllib.parse import urlsplit

import openai

from ftlib.training.hosted.keys import Key
from ftlib.training.hosted.provider import Provider
from ftlib.training.hosted.service import Json, decode, redacted

PAGE = 100
PER_CLIENT = 10


class OpenAIService:
    """See ``ftlib.training.hosted.service.Service``."""

    def __init__(self, provider: Provider, key: Key) -> None:
        self.provider = provider
        self._key = key
        self._client = self._connect()
        self._busy: dict[openai.AsyncOpenAI, int] = {self._client: 0}  # answers under way, by client

    def _connect(self) -> openai.AsyncOpenAI:
        address = self.provider.address or ""
        plain = address.startswith("http://")  # making a TLS context takes longer than an answer
        return openai.AsyncOpenAI(
            api_key=self._key.reveal(),
            base_url=address,
            max_retries=0,
            timeout=self.provider.attempt_s,
            http_client=openai.DefaultAsyncHttpxClient(trust_env=not is_loopback(address), verify=not plain),
        )

    async def _bytes(self, call: Awaitable[Any]) -> bytes:
        """The body of a raw reply; the client's exceptions become Failures, without the key."""
        try:
            reply = await call
            return bytes(reply.http_response.content)
        except Exception as error:
            raise redacted(error, self._key) from None

    async def _json(self, call: Awaitable[Any]) -> Json:
        return decode(await self._bytes(call), self._key)

    async def model(self, name: str) -> Json:
        """What is known of a model, with its shutdown date where it has one."""
        return await self._json(self._client.models.with_raw_response.retrieve(name))

    async def upload(self, name: str, data: bytes, purpose: str) -> Json:
        """Send a file."""
        return await self._json(
            self._client.files.with_raw_response.create(file=(name, data, "application/jsonl"), purpose=purpose)  # type: ignore[arg-type]
        )

    async def file(self, file_id: str) -> Json:
        """One file's record."""
        return await self._json(self._client.files.with_raw_response.retrieve(file_id))

    async def files(self, after: str | None) -> Json:
        """One page of files."""
        return await self._json(self._client.files.with_raw_response.list(limit=PAGE, **_after(after)))

    async def delete(self, file_id: str) -> Json:
        """Remove a file."""
        return await self._json(self._client.files.with_raw_response.delete(file_id))

    async def content(self, file_id: str) -> bytes:
        """A file's bytes."""
        return await self._bytes(self._client.files.with_raw_response.content(file_id))

    async def start(self, request: Json) -> Json:
        """Create a job."""
        return await self._json(self._client.fine_tuning.jobs.with_raw_response.create(**request))

    async def job(self, job_id: str) -> Json:
        """One job."""
        return await self._json(self._client.fine_tuning.jobs.with_raw_response.retrieve(job_id))

    async def jobs(self, after: str | None, key: str | None) -> Json:
        """One page of jobs, newest first; with a key, those that carry it (a provider may ignore the filter)."""
        more: Json = {"metadata": {"ftlib_key": key}} if key and self.provider.can.metadata else {}
        return await self._json(self._client.fine_tuning.jobs.with_raw_response.list(limit=PAGE, **_after(after), **more))

    async def events(self, job_id: str, after: str | None) -> Json:
        """One page of a job's events, newest first."""
        return await self._json(self._client.fine_tuning.jobs.with_raw_response.list_events(job_id, limit=PAGE, **_after(after)))

    async def checkpoints(self, job_id: str) -> Json:
        """A job's checkpoints."""
        return await self._json(self._client.fine_tuning.jobs.checkpoints.with_raw_response.list(job_id, limit=PAGE))

    async def act(self, job_id: str, verb: str) -> Json:
        """``cancel``, ``pause`` or ``resume`` a job."""
        return await self._json(getattr(self._client.fine_tuning.jobs.with_raw_response, verb)(job_id))

    async def chat(self, request: Json) -> Json:
        """One answer.

        Sent by the client's ``post``, which leaves out the walk over every field that ``create`` does, and spread over clients of
        ten connections each, because a connection pool looks at all of its connections for every request: half the processor time.
        """
        client = min(self._busy, key=lambda one: self._busy[one])
        if self._busy[client] >= PER_CLIENT:
            client = self._connect()
        self._busy[client] = self._busy.get(client, 0) + 1
        try:
            reply = await client.post("/chat/completions", cast_to=object, body=request)
        except Exception as error:
            raise redacted(error, self._key) from None
        finally:
            self._busy[client] -= 1
        return reply if isinstance(reply, dict) else decode(str(reply).encode("utf-8", "replace"), self._key)

    async def batch(self, request: Json | None, batch_id: str | None) -> Json:
        """Create a batch, or look at one."""
        if request is not None:
            return await self._json(self._client.batches.with_raw_response.create(**request))
        return await self._json(self._client.batches.with_raw_response.retrieve(str(batch_id)))

    async def batches(self, after: str | None) -> Json:
        """One page of batches, newest first."""
        return await self._json(self._client.batches.with_raw_response.list(limit=PAGE, **_after(after)))

    async def aclose(self) -> None:
        """Close the connections."""
        for client in self._busy:
            await client.close()


def _after(after: str | None) -> Json:
    return {"after": after} if after else {}


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own, which no proxy of the environment can reach."""
    host = (urlsplit(address).hostname or "").lower()
    return host in ("localhost", "::1") or host.startswith("127.")
