"""A server that speaks as much of the Hugging Face Hub's protocol as a pull needs."""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" + "0" * 34
LARGE = 10_000  # bytes, beyond which a file is listed with its SHA-256


class Mirror(ThreadingHTTPServer):
    """Repositories by name, each a folder's files by path; remembers what it was asked.

    Attributes:
        asked: method, path and headers of every request, in order.
        breaks: paths whose next transfer ends half way.
        spoiled: paths whose content is sent with its last byte changed.
        longer: paths that are sent with so many bytes more than are listed.
        listing: bytes that are sent instead of a repository's tree.
        about: bytes that are sent instead of what a repository is.
    """

    daemon_threads = True

    def __init__(self, repositories: dict[str, dict[str, bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories = repositories
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.breaks: set[str] = set()
        self.spoiled: set[str] = set()
        self.longer: dict[str, int] = {}
        self.listing: bytes | None = None
        self.about: bytes | None = None
        self.sent_bytes = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def sent(self, path: str) -> list[dict[str, str]]:
        """Headers of all transfers of a file."""
        return [h for method, asked, h in self.asked if method == "GET" and asked.endswith(path)]


@contextmanager
def mirror(repositories: dict[str, dict[str, bytes]]) -> Iterator[Mirror]:
    with Mirror(repositories) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def read_folder(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


class _Handler(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        self.server.asked.append((self.command, self.path, dict(self.headers.items())))
        path = unquote(urlsplit(self.path).path)
        if found := re.fullmatch(
            r"/api/models/(\w[\w.-]*/[\w.-]+)(?:/(tree|revision)/(.+))?", path
        ):
            self._api(*found.groups())
        elif found := re.fullmatch(r"/(\w[\w.-]*/[\w.-]+)/resolve/\w+/(.+)", path):
            self._file(*found.groups())
        else:
            self._json(404, {"error": "no such path"})

    def _api(self, repo: str, kind: str | None, revision: str | None) -> None:
        if repo not in self.server.repositories:
            self._json(401, {"error": "Repository not found"}, "RepoNotFound")
        elif revision not in (None, "main", COMMIT):
            self._json(404, {"error": "Revision not found"}, "RevisionNotFound")
        elif kind == "tree" and self.server.listing is not None:
            self._send(200, self.server.listing)
        elif kind != "tree" and self.server.about is not None:
            self._send(200, self.server.about)
        elif kind == "tree":
            files = self.server.repositories[repo].items()
            self._json(200, [_entry(path, content) for path, content in files])
        else:
            self._json(200, {"_id": "1", "id": repo, "sha": COMMIT, "private": False})

    def _file(self, repo: str, path: str) -> None:
        content = self.server.repositories[repo][path]
        if path in self.server.spoiled:
            content = content[:-1] + bytes([content[-1] ^ 1])
        if path in self.server.longer:
            self._endless(content, self.server.longer[path])
            return
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if path in self.server.breaks:
            self.server.breaks.discard(path)
            self.wfile.write(content[start : (start + len(content)) // 2])
            self.close_connection = True
        else:
            self.wfile.write(content[start:])

    def _endless(self, content: bytes, more: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content) + more))
        self.end_headers()
        with suppress(ConnectionError):
            self.wfile.write(content)
            for _ in range(more >> 20):
                self.wfile.write(bytes(1 << 20))
                self.server.sent_bytes += 1 << 20
        self.close_connection = True

    def _json(self, status: int, content: Any, code: str | None = None) -> None:
        self._send(status, json.dumps(content).encode(), code)

    def _send(self, status: int, body: bytes, code: str | None = None) -> None:
        self.send_response(status)
        if code is not None:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _entry(path: str, content: bytes) -> dict[str, Any]:
    blob = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": blob}
    if len(content) > LARGE:
        sha256 = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 134}
    return entry
