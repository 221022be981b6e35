"""Two HTTP servers on loopback: the one that is asked, and a second origin that gives and takes files.

A secret that a client sends to the wrong one of the two is seen.
"""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # connections that the client keeps open
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that go away are part of the tests."""


class Loopback:
    """Two servers with the same handler; use it in a `with`.

    Args:
        handler: Answers the requests of one connection.

    Attributes:
        endpoint: Address of the first.
        storage: Address of the second.
        stopped: Set at the end of the `with`, so that an answer that is held back ends.
    """

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self.stopped = threading.Event()
        self._servers = [_Listener(("127.0.0.1", 0), handler) for _ in range(2)]
        self.endpoint, self.storage = (f"http://127.0.0.1:{server.server_port}" for server in self._servers)
        self._threads = [
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
            for server in self._servers
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopped.set()
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()
