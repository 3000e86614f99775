"""Replies: their form, errors in the API's own words, and those that a fault makes."""

from __future__ import annotations

import email.utils
import json
import math
import time
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Reply:
    """One HTTP reply: a JSON value or bytes, with its status."""

    value: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    kind: str = "application/json"

    def body(self) -> bytes:
        """The bytes to send."""
        return self.value if isinstance(self.value, bytes) else json.dumps(self.value, ensure_ascii=False).encode("utf-8", "replace")


class ApiError(Exception):
    """A request that the service turns down; ``reply`` says so in the API's words."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        kind = "invalid_request_error" if status < 500 else "server_error"
        self.reply = Reply({"error": {"message": message, "type": kind, "param": param, "code": code}}, status, headers or {})


PAGE = b"<!DOCTYPE html><html><body><h1>Something went wrong</h1></body></html>"


def error_of(fault: str, model: str, authorization: str) -> Reply:
    """What a ``before`` fault answers."""
    if fault == "502-html":
        return Reply(PAGE, 502, kind="text/html")
    date = email.utils.formatdate(time.time() + 1, usegmt=True)
    table: dict[str, tuple[int, str, str | None, dict[str, str]]] = {
        "500": (500, "The server had an error while processing your request.", None, {}),
        "503-retry-after": (503, "The engine is currently overloaded.", None, {"Retry-After": "1"}),
        "429": (429, "Rate limit reached.", "rate_limit_exceeded", {"Retry-After": "1"}),
        "429-ms": (429, "Rate limit reached.", "rate_limit_exceeded", {"retry-after-ms": "200"}),
        "429-date": (429, "Rate limit reached.", "rate_limit_exceeded", {"Retry-After": date}),
        "429-long": (429, "Rate limit reached.", "rate_limit_exceeded", {"Retry-After": "3600"}),
        "429-bare": (429, "Rate limit reached.", "rate_limit_exceeded", {}),
        "quota": (429, "You exceeded your current quota, please check your plan and billing details.", "insufficient_quota", {"Retry-After": "1"}),
        "balance": (402, "Your balance is empty; top it up.", "billing_not_active", {}),
        "401": (401, f"Incorrect API key provided: {authorization.removeprefix('Bearer ')}.", "invalid_api_key", {}),
        "403": (403, "Your organization does not have access to fine-tuning.", "training_not_available", {}),
        "region": (403, "Country, region, or territory not supported", "unsupported_country_region_territory", {}),
        "model-gone": (404, f"The model `{model}` has been shut down.", "model_not_found", {}),
        "not-deployed": (400, "Unable to access this model; create and start an endpoint for it.", "model_not_available", {}),
        "400": (400, "This request is not valid.", "invalid_value", {}),
        "filter-400": (400, "The response was filtered due to the prompt triggering the content management policy.", "content_filter", {}),
    }
    status, message, code, headers = table[fault]
    return ApiError(status, message, code=code, headers=headers).reply


def limited(per_minute: int, wait_s: float) -> Reply:
    """What a request above the limit is answered with."""
    said = f"Rate limit reached: {per_minute} requests a minute. Please try again in {wait_s:.3f}s."
    headers = {"Retry-After": str(math.ceil(wait_s)), "retry-after-ms": str(math.ceil(wait_s * 1000)), "x-ratelimit-limit-requests": str(per_minute)}
    return ApiError(429, said, code="rate_limit_exceeded", headers={**headers, "x-ratelimit-remaining-requests": "0"}).reply


def spoiled(fault: str, reply: Reply) -> Reply:
    """The reply that an ``after`` fault sends in place of a good one."""
    if fault == "500-after-commit":
        return error_of("500", "", "")
    bodies = {
        "html": PAGE,
        "empty-object": b"{}",
        "empty-body": b"",
        "malformed": reply.body()[: len(reply.body()) // 2],
        "json-list": b"[]",
        "not-utf8": b'{"id": "\xff\xfe"}',
    }
    return Reply(bodies[fault], 200, kind="text/html" if fault == "html" else "application/json")


def reshape(fault: str, answer: dict[str, Any]) -> dict[str, Any]:
    """A chat completion as a ``shape`` fault makes it."""
    choice: dict[str, Any] = {**answer["choices"][0], "message": dict(answer["choices"][0]["message"])}
    if fault in ("no-usage", "null-usage"):
        rest = {key: value for key, value in answer.items() if key != "usage"}
        return rest if fault == "no-usage" else {**rest, "usage": {"prompt_tokens": None, "completion_tokens": None}}
    if fault in ("no-choices", "null-choices"):
        return {**answer, "choices": [] if fault == "no-choices" else None}
    if fault == "no-message":
        choice.pop("message")
    elif fault in ("null-content", "wrong-type"):
        choice["message"]["content"] = None if fault == "null-content" else 7
    elif fault == "refusal":
        choice["message"] |= {"content": None, "refusal": "I'm sorry, I can't help with that."}
    elif fault == "filtered":
        choice |= {"finish_reason": "content_filter"}
        choice["message"]["content"] = ""
    elif fault == "unknown-finish":
        choice["finish_reason"] = "exhausted"
    else:
        choice.pop("finish_reason")
    return {**answer, "choices": [choice]}
