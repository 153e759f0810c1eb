"""Runs ``pg-payments`` again and again, each time in a fresh fork of a process that has imported it once.

Starting Python and importing everything takes a second of processor time, a fork takes milliseconds. What is forked has
one thread, opened nothing and read no settings.
"""

import atexit
import json
import os
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn


class CommandServer:
    """The process that is forked, as seen by the tests. It starts with the first command and ends with the tests."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def run(self, arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str] | None:
        """The command's end, or None while another one is running."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            with tempfile.TemporaryDirectory(prefix="pg-payments-command-") as directory:
                out, err = Path(directory, "out"), Path(directory, "err")
                request = [list(arguments), dict(environment), str(Path.cwd()), str(out), str(err)]
                status = self._ask(request, environment)
                return subprocess.CompletedProcess(list(arguments), status, out.read_text(), err.read_text())
        finally:
            self._lock.release()

    def _ask(self, request: object, environment: Mapping[str, str]) -> int:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.command_server"],
                cwd=Path(__file__).resolve().parents[2],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())


def _serve() -> None:
    """Forks for every request on stdin, and answers with the exit status."""
    from pg_payments.cli.main import main

    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(*request)
            _end(main)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _become(arguments: list[str], environment: dict[str, str], directory: str, out: str, err: str) -> None:
    """A process like any other, with nothing to read and files to write to."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    new = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for descriptor, path, flags in ((0, os.devnull, os.O_RDONLY), (1, out, new), (2, err, new)):
        os.dup2(os.open(path, flags, 0o600), descriptor)
    sys.argv = ["pg-payments", *arguments]


def _end(main: Callable[[], None]) -> NoReturn:
    """Runs ``main`` and ends as Python does, but takes no module apart, which would take longer than most commands."""
    status = 0
    try:
        main()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    except BaseException:
        traceback.print_exc()
        status = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    _serve()
