"""The service on a socket: HTTP/1.1 with kept connections, keys, and faults where they were asked for."""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ftlib.training.sandbox.api import MAX_FILE, Api, Request
from ftlib.training.sandbox.engine import Engine
from ftlib.training.sandbox.faults import AFTER, Faults
from ftlib.training.sandbox.replies import ApiError, Reply, error_of, limited, spoiled
from ftlib.training.sandbox.store import Store

log = logging.getLogger("ftlib")


class Sandbox:
    """A running service. ``url`` is its base address; ``faults`` can be changed while it runs; ``seen`` are the endpoints asked."""

    def __init__(
        self,
        root: Path,
        engine: Engine,
        key: str,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        faults: list[str] | None = None,
        requests_per_minute: int | None = None,
        stall_s: float = 30.0,
        drip_s: float = 0.2,
    ) -> None:
        self.faults, self.stall_s, self.drip_s = Faults(faults), stall_s, drip_s
        self.api = Api(Store(root), engine, self.faults, key)
        self.seen = self.api.seen
        self.limit = Limit(requests_per_minute)
        self.ending = threading.Event()
        self._server = _Server((host, port), _Handler)
        self._server.sandbox = self
        self.url = f"http://{host}:{self._server.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="sandbox-http", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop; the port is free and the state on disk when this returns."""
        self.ending.set()
        self._server.shutdown()
        self._server.server_close()
        self.api.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Limit:
    """So many chat requests a minute, of which those of two seconds may come at once, as a real account has it; None: no limit."""

    def __init__(self, per_minute: int | None) -> None:
        self.per_minute = per_minute or 0
        self._most = max(1.0, self.per_minute / 30)
        self._left, self._at, self._lock = self._most, time.monotonic(), threading.Lock()

    def wait(self) -> float:
        """0 where a request may pass, which it then has, else the seconds until one may."""
        if not self.per_minute:
            return 0.0
        with self._lock:
            now, rate = time.monotonic(), self.per_minute / 60
            self._left, self._at = min(self._most, self._left + (now - self._at) * rate), now
            if self._left < 1.0:
                return (1.0 - self._left) / rate
            self._left -= 1.0
            return 0.0


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    sandbox: Sandbox

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("a connection ended early", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave together
    server: _Server

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_DELETE = do_GET  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        log.debug("sandbox: " + format, *args)

    def _serve(self) -> None:
        sandbox = self.server.sandbox
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_FILE + 2**20:
            self.close_connection = True
            self._send(ApiError(413, "The file is larger than 512 MB.").reply)
            return
        request = Request(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, self.rfile.read(length))
        try:
            endpoint, handler, parts = sandbox.api.route(request)
            sandbox.seen.append(endpoint)
            sandbox.api.authorise(request)
        except ApiError as error:
            self._send(error.reply)
            return
        wait = sandbox.limit.wait() if endpoint == "chat" else 0.0
        if wait:
            self._send(limited(sandbox.limit.per_minute, wait))
            return
        fault = sandbox.faults.take(endpoint, "before", "after")
        if fault == "reset":
            self._reset()
        elif fault == "stall-first":
            sandbox.ending.wait(sandbox.stall_s)
            self._send(sandbox.api.handle(request, handler, parts))
        elif fault is not None and fault not in AFTER:
            self._send(error_of(fault, parts[0] if parts else "", request.headers.get("authorization", "")))
        else:
            reply = sandbox.api.handle(request, handler, parts)
            self._spoil(fault, reply) if fault else self._send(reply)

    def _send(self, reply: Reply, *, length: int | None = None) -> None:
        body = reply.body()
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.kind)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def _reset(self) -> None:
        """Drop the connection hard (RST), as a dying proxy does."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with contextlib.suppress(OSError):
            self.wfile.close()
            self.rfile.close()
        self.connection.close()

    def _spoil(self, fault: str, reply: Reply) -> None:
        """Do what an ``after`` fault does in place of sending the reply."""
        sandbox = self.server.sandbox
        self.close_connection = True
        if fault == "reset-after-commit":
            self._reset()
        elif fault == "close-after-commit":
            return
        elif fault == "stall":
            sandbox.ending.wait(sandbox.stall_s)
        elif fault == "truncated":
            self._send(Reply(reply.body()[: len(reply.body()) // 2], reply.status), length=len(reply.body()))
        elif fault in ("drip", "drip-head"):
            body = reply.body()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            slow = body if fault == "drip" else (head + "X-Slow: " + "x" * 4096).encode()
            if fault == "drip":
                self.wfile.write((head + "\r\n").encode())
            for place in range(len(slow)):
                if sandbox.ending.is_set():
                    return
                self.wfile.write(slow[place : place + 1])
                self.wfile.flush()
                time.sleep(sandbox.drip_s)
        else:
            self._send(spoiled(fault, reply))
