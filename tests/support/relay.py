"""A host between client and Postgres that can fall silent: connections stay open and nothing comes through."""

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlencode

from psycopg.conninfo import conninfo_to_dict

CHUNK = 65536


class Relay:
    """Passes on what comes, as long as it is not `silent`; what comes meanwhile is passed on afterwards."""

    def __init__(self, conninfo: str) -> None:
        given = conninfo_to_dict(conninfo)
        host, port = str(given.get("host") or "localhost"), int(str(given.get("port") or 5432))
        self._target = f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ended = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self.port = int(self._listener.getsockname()[1])
        self.silent = False
        self._abandoning = False
        self._abandoned: list[socket.socket] = []

    def abandon(self) -> None:
        """What is connected now hears nothing any more, as from a host that vanished; who comes anew is served."""
        self._abandoning = True

    def url(self, conninfo: str) -> str:
        """The same connection string, through here."""
        given = conninfo_to_dict(conninfo) | {"host": "127.0.0.1", "port": self.port, "sslmode": "disable"}
        return f"postgresql:///?{urlencode({name: str(value) for name, value in given.items()}, quote_via=quote)}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        for end in [*(key.fileobj for key in self._selector.get_map().values()), *self._abandoned]:
            with suppress(OSError):
                end.close()  # type: ignore[union-attr]

    def _run(self) -> None:
        while not self._ended.is_set():
            if self.silent:
                self._ended.wait(0.02)
                continue
            if self._abandoning:
                self._abandoning = False
                self._leave_all()
            for key, _ in self._selector.select(0.02):
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._pass_on(key.fileobj, key.data)  # type: ignore[arg-type]

    def _leave_all(self) -> None:
        for key in list(self._selector.get_map().values()):
            if key.fileobj is not self._listener:
                self._selector.unregister(key.fileobj)
                self._abandoned.append(key.fileobj)  # type: ignore[arg-type]

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        family = socket.AF_UNIX if isinstance(self._target, str) else socket.AF_INET
        server = socket.socket(family, socket.SOCK_STREAM)
        try:
            server.connect(self._target)
        except OSError:
            client.close()
            return
        self._selector.register(client, selectors.EVENT_READ, server)
        self._selector.register(server, selectors.EVENT_READ, client)

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        try:
            if data := source.recv(CHUNK):
                target.sendall(data)
                return
        except OSError:
            pass
        for end in (source, target):
            with suppress(KeyError, ValueError):
                self._selector.unregister(end)
            end.close()
