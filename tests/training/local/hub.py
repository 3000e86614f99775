"""A model hub on the loopback, as far as the real client asks it: files by revision, its own error codes, a commit taken in."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "c0ffee" + "0" * 34


@contextmanager
def serving(model: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Serve ``model`` as ``me/open`` (and, to nobody, as ``me/gated``); yields the address, and what is pushed to ``me/mine``."""
    pushed: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def reply(self, code: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(code)
            for name, value in {"Content-Length": str(len(body)), **{key.replace("_", "-"): value for key, value in headers.items()}}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_GET(self) -> None:
            parts = self.path.split("?")[0].strip("/").split("/")
            repo, rest = "/".join(parts[:2]), parts[2:]
            if parts[0] == "api":
                repo, rest = "/".join(parts[2:4]), []
            if repo == "me/gated":
                return self.reply(401, b"", X_Error_Code="GatedRepo")
            if repo != "me/open":
                return self.reply(401, b"", X_Error_Code="RepoNotFound")
            if rest and rest[1] not in ("main", COMMIT):
                return self.reply(404, b"", X_Error_Code="RevisionNotFound")
            file = model / "/".join(rest[2:])
            if not rest or not file.is_file():
                return self.reply(404, b"", X_Error_Code="EntryNotFound", X_Repo_Commit=COMMIT)
            data = file.read_bytes()
            return self.reply(200, data, X_Repo_Commit=COMMIT, ETag=f'"{hashlib.sha256(data).hexdigest()}"')

        do_HEAD = do_GET  # noqa: N815  # the name that http.server calls

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers["Authorization"] != "Bearer hf_writer":
                return self.reply(403, b"{}")
            answer: dict[str, Any] = {"url": "https://huggingface.co/me/mine"}
            if self.path.endswith("/preupload/main"):
                answer = {"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in json.loads(body)["files"]]}
            elif self.path.endswith("/commit/main"):
                lines = [json.loads(line) for line in body.splitlines()]
                pushed.update({f["value"]["path"]: base64.b64decode(f["value"]["content"]) for f in lines if f["key"] == "file"})
                answer = {"success": True, "commitOid": COMMIT, "commitUrl": f"https://huggingface.co/me/mine/commit/{COMMIT}", "hookOutput": ""}
            return self.reply(200, json.dumps(answer).encode(), Content_Type="application/json")

        def log_message(self, *_: Any) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", pushed
    finally:
        server.shutdown()
        server.server_close()
