"""A service that tells the key that it got back, in every way it can, never answers, or passes a request on to an honest one."""

from __future__ import annotations

import json
import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

STALL_S = 20.0  # longer than any client here waits


class Telltale:
    """A running service. ``url`` is its base address; ``manner`` can be changed while it runs; ``got`` are the keys that it was sent.

    Manners: ``error`` and ``page`` tell the key in the body, a header and a status of 401 or 200; ``slow`` never answers; ``honest`` passes on.
    """

    def __init__(self, behind: str = "", manner: str = "error") -> None:
        self.behind, self.manner, self.got = behind, manner, list[str]()
        self.ending = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.telltale = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def __enter__(self) -> Telltale:
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    telltale: Telltale

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed, or waited no longer, is what this is for."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        told = self.server.telltale
        key = self.headers.get("Authorization", "").removeprefix("Bearer ")
        told.got.append(key)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if told.manner == "slow":
            told.ending.wait(STALL_S)
        elif told.manner == "honest":
            self._pass_on(told.behind, body)
        else:
            error = {"message": f"Incorrect API key provided: {key}", "type": "invalid_request_error", "code": "invalid_api_key", "param": key}
            status, text = (401, json.dumps({"error": error})) if told.manner == "error" else (200, f"<html>{key}</html>")
            self._reply(status, text.encode(), {"X-Request-Id": key})

    do_POST = do_DELETE = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _pass_on(self, behind: str, body: bytes) -> None:
        connection = HTTPConnection(urlsplit(behind).netloc)
        connection.request(self.command, self.path, body, dict(self.headers.items()))
        reply = connection.getresponse()
        kept = {name: value for name, value in reply.getheaders() if name.lower() in ("content-type", "retry-after", "x-request-id")}
        self._reply(reply.status, reply.read(), kept)
        connection.close()

    def _reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
