"""The sandbox as a child process: started with the trainer that needs it, gone with it, however that ends."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import ftlib
from ftlib.errors import MissingExtra, ServiceDown, TrainingFailed
from ftlib.progress import QUIET, RELAY
from ftlib.training.sandbox.serve import CHILD, READY

START_S = 60.0


def environment(key: str) -> dict[str, str]:
    """The child's environment. It shows no progress, least of all to a runner that it may outlive by some seconds."""
    package = str(Path(ftlib.__file__).parent.parent)
    path = os.pathsep.join(part for part in (package, os.environ.get("PYTHONPATH")) if part)
    kept = {name: text for name, text in os.environ.items() if name != RELAY}
    return {**kept, "FTLIB_SANDBOX_KEY": key, CHILD: "1", QUIET: "1", "PYTHONPATH": path}


class SandboxChild:
    """A running service of one's own: ``url``, and the ``key`` that was made for it."""

    def __init__(self) -> None:
        self.key = "sk-sandbox-" + secrets.token_hex(16)
        self._said = tempfile.TemporaryFile("w+b")
        command = [sys.executable, "-m", "ftlib", "sandbox", "--port", "0"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, env=environment(self.key))
        self.url = self._await_ready()

    def _await_ready(self) -> str:
        """The address that it prints. Raises ServiceDown with the end of what it said where it did not start."""
        assert self._process.stdout is not None
        timer = threading.Timer(START_S, self._process.kill)
        timer.start()
        try:
            line = self._process.stdout.readline().decode("utf-8", "replace")
        finally:
            timer.cancel()
        if not line.startswith(READY):
            self.close()
            raise ServiceDown(f"The sandbox did not start: {self.last_words() or 'it said nothing'}.")
        return line.removeprefix(READY).strip()

    def make_ready(self) -> None:
        """Build the model behind the service where it is not there yet, with its progress shown: that is no part of a job's time.

        Raises TrainingFailed where the training libraries are absent.
        """
        from ftlib.training.local.load import require_training_extra
        from ftlib.training.sandbox.engine import TinyEngine

        try:
            require_training_extra()
        except MissingExtra as error:
            raise TrainingFailed(f"The sandbox cannot train: {error}") from None
        TinyEngine().prepare()

    def last_words(self) -> str:
        """The last line that it wrote to its standard error."""
        self._said.seek(0)
        lines = self._said.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1].replace(self.key, "***") if lines else ""

    def close(self) -> None:
        """End it; a job under way is taken up by the next one."""
        with contextlib.suppress(OSError):
            if self._process.stdin:
                self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
