"""A server on this machine that misbehaves as data hosts do."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass
class Loopback:
    """`files` maps a path to (behaviour, bytes); `requests` has (path, Range)."""

    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    address: str = ""

    def serve(self, path: str, behaviour: str, content: bytes = b"") -> str:
        """Add a file; return its address."""
        self.files[path] = (behaviour, content)
        return f"{self.address}{path}"


@contextmanager
def run_loopback() -> Iterator[Loopback]:
    """Run the server while the block runs."""
    loopback = Loopback()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            wanted = self.headers.get("Range")
            loopback.requests.append((self.path, wanted))
            behaviour, content = loopback.files.get(self.path, ("missing", b""))
            if behaviour == "missing":
                self.send_error(404)
                return
            if behaviour == "html":
                self._answer(200, b"<html>Sorry</html>", kind="text/html")
                return
            if behaviour == "disguised html":
                self._answer(200, b"\n<!DOCTYPE html><p>Sorry")
                return
            if behaviour == "breaks" and wanted:
                self.send_error(404)
                return
            start = 0
            if wanted and behaviour != "ignores range":
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if start >= len(content):
                    self.send_error(416)
                    return
            rest = content[start:]
            # Drops only what it sends from the first byte on.
            drops = behaviour in ("drops", "breaks") and not start
            sent = rest[: len(rest) // 2] if drops else rest
            self._answer(206 if start else 200, rest, start=start, sent=sent)

        def _answer(
            self, status, content, kind="application/octet-stream", start=0, sent=None
        ):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            if status == 206:
                end = start + len(content)
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{end}")
            self.end_headers()
            self.wfile.write(content if sent is None else sent)

        def log_message(self, format, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        loopback.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield loopback
        finally:
            server.shutdown()
            thread.join()
