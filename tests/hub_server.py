"""A local server that imitates the Hugging Face hub: revisions, etags, redirects and small commits."""

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """The state of the server. `files` is {"org/repo": {"model.safetensors": bytes}}.

    Tests set the other attributes between two requests to simulate errors.
    """

    def __init__(self, files):
        self.files = files
        self.requests = []
        self.truncated = False  # the data are shorter than the announced length
        self.gated = set()
        self.private = set()
        self.full = False  # the server rejects commits
        self.commits = []  # (repository, revision, first line of the message, paths)
        self.revisions = {"main", "v1.0", COMMIT}

    def digest(self, data):
        return hashlib.sha256(data).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, headers=(), data=b""):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **dict(headers)}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def answer_json(self, value, status=200):
        self.answer(status, {"Content-Type": "application/json"}, json.dumps(value).encode())

    def do_GET(self):
        hub = self.server.hub
        hub.requests.append((self.command, self.path))
        path = self.path.split("?")[0].strip("/")
        if path.startswith("cdn/"):
            return self.send_file(hub.files[path[4:].rpartition("/")[0]][path.rpartition("/")[2]])
        if path.startswith("api/models/"):
            repository = path.removeprefix("api/models/")
            return self.answer_json({"id": repository, "private": repository in hub.private})
        if "/resolve/" not in path:
            return self.answer(404)
        org, name, _, revision, file = path.split("/", 4)
        repository = f"{org}/{name}"
        if repository in hub.gated:
            return self.answer(403, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to it is restricted."})
        if repository not in hub.files:
            return self.answer(401, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        if revision not in hub.revisions:
            return self.answer(404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"})
        commit = {"X-Repo-Commit": COMMIT}
        if file not in hub.files[repository]:
            return self.answer(404, {**commit, "X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"})
        data = hub.files[repository][file]
        if file.endswith(".json"):
            return self.answer(200, {**commit, "ETag": f'"{hashlib.sha1(data).hexdigest()}"'}, data)
        linked = {"X-Linked-Size": str(len(data)), "X-Linked-ETag": f'"{hub.digest(data)}"'}
        place = f"http://localhost:{self.server.server_port}/cdn/{repository}/{file}"
        return self.answer(302, {**commit, **linked, "Location": place})

    do_HEAD = do_GET

    def do_POST(self):
        hub = self.server.hub
        hub.requests.append((self.command, self.path))
        lines = [json.loads(line) for line in self.rfile.read(int(self.headers["Content-Length"])).splitlines()]
        address = f"http://127.0.0.1:{self.server.server_port}"
        _, kind, *rest = self.path.strip("/").split("/")
        if kind == "validate-yaml":
            return self.answer_json({"warnings": [], "errors": []})
        if kind == "repos":
            repository = f"{lines[0]['organization']}/{lines[0]['name']}"
            status = 409 if repository in hub.files else 200
            hub.files.setdefault(repository, {})
            if status == 200 and lines[0].get("visibility") == "private":
                hub.private.add(repository)
            return self.answer_json({"url": f"{address}/{repository}"}, status)
        repository, action, revision = "/".join(rest[:2]), rest[2], rest[3]
        if action == "branch":
            status = 409 if revision in hub.revisions else 201
            hub.revisions.add(revision)
            return self.answer_json({}, status)
        if revision not in hub.revisions or hub.full:
            return self.answer(507 if hub.full else 404)
        if action == "preupload":
            mode = {"uploadMode": "regular", "shouldIgnore": False}
            return self.answer_json({"files": [{"path": file["path"], **mode} for file in lines[0]["files"]]})
        files = {line["value"]["path"]: line["value"]["content"] for line in lines if line["key"] == "file"}
        hub.files[repository] |= {path: base64.b64decode(content) for path, content in files.items()}
        hub.commits.append((repository, revision, lines[0]["value"]["summary"], sorted(files)))
        self.answer_json({"commitUrl": f"{address}/{repository}/commit/{COMMIT}", "commitOid": COMMIT})

    def send_file(self, data):
        hub = self.server.hub
        first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-") or 0)
        rest = data[first:]
        headers = {"ETag": f'"{hub.digest(data)}"', "Content-Length": str(len(rest))}
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
        if hub.truncated:
            self.close_connection = True
            rest = rest[: len(rest) // 2]
        self.answer(206 if first else 200, headers, rest)

    def log_message(self, *message):
        pass


@contextmanager
def serving(hub):
    """Yields the URL of the server. The server stops at the end of the `with` block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.hub, server.daemon_threads = hub, True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
