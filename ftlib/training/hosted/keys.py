"""Keys: where they are looked for, and how they stay out of everything that is written."""

from __future__ import annotations

import os
import sys

from ftlib.errors import Refused
from ftlib.training.hosted.provider import Provider


class Key:
    """A secret that prints as stars; ``reveal`` is called only where the client is made."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text.strip()

    def reveal(self) -> str:
        """The secret itself."""
        return self._text

    def redact(self, text: str) -> str:
        """A text without the secret, for messages that a service sent back."""
        return text.replace(self._text, "***") if len(self._text) > 3 else text

    def __repr__(self) -> str:
        return "Key(***)"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a key is not written down")


def find_key(provider: Provider, argument: str | None = None) -> Key:
    """The key of a provider: the argument, then the environment, then Colab's secrets; surrounding white space is removed.

    Colab is asked only from inside a Colab kernel: elsewhere ``userdata.get`` waits ten seconds for a page that is not there.
    Raises Refused naming where to put one.
    """
    candidates = [argument, *(os.environ.get(name) for name in provider.key_env)]
    for text in candidates:
        if text and text.strip():
            return _checked(text, provider)
    text = _from_colab(provider.key_env)
    if text and text.strip():
        return _checked(text, provider)
    name = provider.key_env[0] if provider.key_env else "an environment variable named in key_env"
    raise Refused(f"There is no key for {provider.name}: set {name} in the environment, or add it to Colab's secrets (the key icon).")


def _checked(text: str, provider: Provider) -> Key:
    """A key must be printable ASCII in one line, else the client's own error would print it."""
    stripped = text.strip()
    if not stripped.isascii() or not stripped.isprintable() or " " in stripped:
        raise Refused(f"The key for {provider.name} holds a space, a line end or a letter that no key has; copy it again.")
    return Key(stripped)


def _from_colab(names: list[str]) -> str | None:
    if "google.colab" not in sys.modules:
        return None
    from google.colab import userdata

    for name in names:
        try:
            found = userdata.get(name)
        except (userdata.SecretNotFoundError, userdata.NotebookAccessError):
            continue
        if found:
            return str(found)
    return None
