"""A model hub on 127.0.0.1: the endpoints that `huggingface_hub` asks, and ways to fail.

As on the real one, a file of weights is a redirect to another host (here `localhost`, the same
machine by another name), and its ETag is the SHA-256 of its content; that of a small file is the
hash of a git blob.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

WEIGHTS = (".safetensors", ".bin")


@dataclass
class Repository:
    """A model on the hub: its files at each revision, by the name of the revision."""

    revisions: dict[str, dict[str, bytes]]
    gated: bool = False

    def commit(self, revision: str) -> str | None:
        """The commit of a branch, a tag or a commit; None if there is none."""
        commits = {name: _commit(files) for name, files in self.revisions.items()}
        return commits.get(revision, revision if revision in commits.values() else None)

    def files(self, revision: str) -> dict[str, bytes]:
        """The files of a revision that exists."""
        commit = self.commit(revision)
        return next(files for files in self.revisions.values() if _commit(files) == commit)


@dataclass
class Hub:
    """What the server answers, and what it was asked: (method, path, Range header)."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    """Old name of a model → its new one."""
    refused_tokens: bool = False
    down: int | None = None
    """The status of every answer, such as 503."""
    cut: dict[str, int] = field(default_factory=dict)
    """File → bytes after which the connection ends, once."""
    damaged: set[str] = field(default_factory=set)
    """Files that arrive with one wrong byte."""
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    short: set[str] = field(default_factory=set)
    """Files that arrive without their last byte."""
    tokens: list[tuple[str, bool]] = field(default_factory=list)
    """The path of each request, and whether it held an access token."""
    url: str = ""
    content_url: str = ""

    def add(self, name: str, folder: Path, revision: str = "main") -> None:
        """A model with the files of a folder."""
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        repository = self.repositories.setdefault(name, Repository({}))
        repository.revisions[revision] = files

    def fetched(self) -> list[str]:
        """The names of the files whose content was asked for."""
        return [
            path.rpartition("/")[2] for method, path, _ in self.requests if _is_file(method, path)
        ]


def _is_file(method: str, path: str) -> bool:
    return method == "GET" and not path.startswith("/api/")


def _commit(files: dict[str, bytes]) -> str:
    parts = [f"{name} {_etag(name, content)}" for name, content in sorted(files.items())]
    return hashlib.sha1("\n".join(parts).encode()).hexdigest()


def _etag(name: str, content: bytes) -> str:
    if name.endswith(WEIGHTS):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        hub = self.hub
        hub.requests.append((self.command, path, self.headers.get("Range")))
        hub.tokens.append((path, "Authorization" in self.headers))
        if hub.down:
            return self._send(hub.down, b"down")
        if hub.refused_tokens and self.headers.get("Authorization"):
            return self._send(
                401, b"", {"X-Error-Message": "Invalid credentials in Authorization header"}
            )
        for old, new in hub.moved.items():
            if re.match(rf"(/api/models)?/{old}(/|$)", path):
                return self._send(307, b"", {"Location": self.path.replace(old, new, 1)})
        if found := re.fullmatch(r"/api/models/(.+?)/(revision|tree)/([^/]+)(/.*)?", path):
            return self._describe(found[1], found[2], found[3])
        if found := re.fullmatch(r"/api/models/(.+)", path):
            return self._describe(found[1], "revision", "main")
        if found := re.fullmatch(r"/(.+?)/resolve/([^/]+)/(.+)", path):
            return self._resolve(*found.groups())
        if found := re.fullmatch(r"/content/(.+?)/([0-9a-f]{40})/(.+)", path):
            return self._content(found[3], hub.repositories[found[1]].files(found[2])[found[3]])
        return self._send(200 if path == "/" else 404, b"")

    def _repository(self, name: str, revision: str) -> Repository | None:
        """The model, or None after an answer that says why there is none."""
        repository = self.hub.repositories.get(name)
        if repository is None:  # The real hub does not say whether a private one exists.
            self._send(401, b"", {"X-Error-Message": "Invalid username or password."})
        elif repository.commit(revision) is None:
            self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        else:
            return repository
        return None

    def _describe(self, name: str, what: str, revision: str) -> None:
        repository = self._repository(name, revision)
        if repository is None:
            return
        files = repository.files(revision)
        if what == "revision":
            siblings = [{"rfilename": file} for file in files]
            answer: object = {"id": name, "sha": repository.commit(revision), "siblings": siblings}
        else:
            answer = [_entry(file, content) for file, content in files.items()]
        self._send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _resolve(self, name: str, revision: str, file: str) -> None:
        repository = self._repository(name, revision)
        if repository is None:
            return
        commit, files = repository.commit(revision), repository.files(revision)
        headers = {"X-Repo-Commit": str(commit)}
        if repository.gated:
            headers |= {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted."}
            self._send(403 if self.headers.get("Authorization") else 401, b"", headers)
        elif file not in files:
            self._send(404, b"", headers | {"X-Error-Code": "EntryNotFound"})
        elif file.endswith(WEIGHTS):
            headers |= {
                "Location": f"{self.hub.content_url}/content/{name}/{commit}/{file}",
                "X-Linked-ETag": f'"{_etag(file, files[file])}"',
                "X-Linked-Size": str(len(files[file])),
            }
            self._send(302, b"", headers)
        else:
            self._content(file, files[file], headers)

    def _content(self, file: str, content: bytes, headers: dict[str, str] | None = None) -> None:
        headers = {"ETag": f'"{_etag(file, content)}"'} | (headers or {})
        if file in self.hub.damaged:
            content = content[:-1] + bytes([content[-1] ^ 1])
        if file in self.hub.short and self.command == "GET":
            content = content[:-1]
        status = 200
        if wanted := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or ""):
            first, size = int(wanted[1]), len(content)
            headers["Content-Range"] = f"bytes {first}-{size - 1}/{size}"
            status, content = 206, content[first:]
        stop = self.hub.cut.pop(file, None) if self.command == "GET" else None
        self._send(status, content, headers, stop)

    def _send(
        self,
        status: int,
        body: bytes,
        headers: dict[str, str] | None = None,
        stop: int | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[:stop])
        if stop is not None:
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(2)


def _entry(file: str, content: bytes) -> dict[str, object]:
    size, oid = len(content), _etag(file, content)
    entry: dict[str, object] = {"type": "file", "path": file, "oid": oid, "size": size}
    if file.endswith(WEIGHTS):
        entry |= {"oid": oid[:40], "lfs": {"oid": oid, "size": size, "pointerSize": 134}}
    return entry


@contextmanager
def hub_server() -> Iterator[Hub]:
    """A hub without models, on a port of its own; its address is `hub.url`."""
    hub = Hub()
    handler = type("_HandlerOfThisHub", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    hub.content_url = hub.url.replace("127.0.0.1", "localhost")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
