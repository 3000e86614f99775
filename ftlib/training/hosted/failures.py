"""What went wrong with a call, in the few kinds that the rest of the code tells apart.

The client's exceptions are told by status and class name, because openai and together have classes of their own with
the same names, and openai 2 and 3 rest on different HTTP libraries.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["refused", "rate", "server", "lost", "unsent", "malformed", "bad", "filtered"]

# Codes that no retry mends: the account, the region or the model, not this request.
REFUSALS = {
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "account_deactivated",
    "invalid_api_key",
    "model_not_found",
    "model_not_available",
    "unsupported_country_region_territory",
    "access_terminated",
    "DeploymentNotFound",
    "organization_not_found",
    "model_shutdown",
}
FILTERED = {"content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation"}


@dataclass
class Failure(Exception):
    """One call that did not end well.

    ``refused``: the account, model or region; no retry. ``rate``: too fast, wait. ``server``: its error, nothing was done.
    ``lost``: the request may have arrived, the reply did not. ``unsent``: it never arrived. ``malformed``: a reply that
    cannot be read. ``bad``: this request is wrong. ``filtered``: the provider's filter stopped it.
    """

    kind: Kind
    message: str
    retry_after: float | None = None  # seconds
    status: int | None = None
    code: str | None = None

    def __str__(self) -> str:
        return self.message


def as_failure(error: BaseException) -> Failure:
    """The Failure that a client's exception stands for; the exception itself where it is one already."""
    if isinstance(error, Failure):
        return error
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        return _from_status(status, error)
    names = {type(cause).__name__ for cause in _causes(error)}
    if names & {"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol", "LocalProtocolError", "InvalidURL", "ConnectionRefusedError"}:
        return Failure("unsent", f"the service cannot be reached ({_words(error)})")
    if isinstance(error, TimeoutError | asyncio.TimeoutError) or "APITimeoutError" in names:
        return Failure("lost", "no whole reply came in time")
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return Failure("malformed", f"the reply is not valid JSON ({_words(error)})")
    return Failure("lost", f"the connection broke before the reply was whole ({_words(error)})")


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    here: BaseException | None = error
    while here is not None and here not in found:
        found.append(here)
        here = here.__cause__ or here.__context__
    return found


def _words(error: BaseException) -> str:
    text = str(error).split("\n")[0][:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _from_status(status: int, error: BaseException) -> Failure:
    body = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, Mapping) else None
    detail: Mapping[str, Any] = inner if isinstance(inner, Mapping) else {}
    code = str(detail.get("code") or detail.get("type") or getattr(error, "code", None) or "") or None
    said = str(detail.get("message") or getattr(error, "message", "") or error)[:500]
    message = f"HTTP {status}: {said}" if said else f"HTTP {status}"
    response = getattr(error, "response", None)
    wait = retry_after(getattr(response, "headers", {}) or {})
    kinds = {str(detail.get("code")), str(detail.get("type")), str((detail.get("innererror") or {}).get("code"))}
    if kinds & FILTERED:
        return Failure("filtered", message, status=status, code=code)
    if kinds & REFUSALS or status in (401, 402, 403, 404, 410):
        return Failure("refused", message, status=status, code=code)
    if status == 429:
        return Failure("rate", message, wait, status, code)
    if status in (408, 409) or status >= 500:
        return Failure("server", message, wait, status, code)
    return Failure("bad", message, status=status, code=code)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait as a reply's headers ask: ``retry-after-ms``, or ``Retry-After`` in seconds or as a date (RFC 9110)."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    date = email.utils.parsedate_tz(headers.get("retry-after", ""))
    return max(0.0, email.utils.mktime_tz(date) - time.time()) if date else None
