"""Real server processes: started, known to be ready by what they print, and stopped with us."""

from __future__ import annotations

import collections
import contextlib
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

READY_SECONDS = 30
STOP_SECONDS = 15
# A lost race for a port is tried again with another one.
START_ATTEMPTS_MAX = 3
LOG_LINES_MAX = 1000


def required(program: str, package: str, *directories: str | os.PathLike) -> str:
    """The path of a program; without it the test is skipped, or failed where CI=true."""
    path = os.pathsep.join([*map(str, directories), os.environ.get("PATH", os.defpath)])
    found = shutil.which(program, path=path)
    if found is None:
        reason = f"{program} is missing: apt-get install {package}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return found


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class NotReady(Exception):
    """The process ended, or was silent for too long, before the line it was waited for."""


class Server:
    """A child process whose output is read by a thread, so that it never blocks on a full pipe.

    The kernel ends it when we die (setpriv --pdeathsig), even by SIGKILL.
    """

    def __init__(
        self,
        command: Sequence[str | os.PathLike],
        *,
        user: str | None = None,
        environment: dict[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        prefix = [required("setpriv", "util-linux"), "--pdeathsig", stop_signal.name[3:]]
        if user is not None:
            group = str(pwd.getpwnam(user).pw_gid)
            prefix += ["--reuid", user, "--regid", group, "--init-groups"]
        self.stop_signal = stop_signal
        self.lines: collections.deque[str] = collections.deque(maxlen=LOG_LINES_MAX)
        self.progress = threading.Condition()
        self.ended = False
        self.process = subprocess.Popen(
            [*prefix, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd="/",
            env={**os.environ, **(environment or {})},
        )
        self.reader = threading.Thread(target=self._read, name=f"log of {command[0]}", daemon=True)
        self.reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            with self.progress:
                self.lines.append(line.rstrip("\n"))
                self.progress.notify_all()
        with self.progress:
            self.ended = True
            self.progress.notify_all()

    @property
    def log(self) -> str:
        with self.progress:
            return "\n".join(self.lines)

    def wait_for_line(self, pattern: str, count: int = 1) -> re.Match[str]:
        """The `count`th line that `pattern` matches, of all it printed and will print."""

        def match() -> re.Match[str] | None:
            found = [each for line in self.lines if (each := re.search(pattern, line))]
            return found[count - 1] if len(found) >= count else None

        with self.progress:
            self.progress.wait_for(lambda: match() or self.ended, READY_SECONDS)
            if found := match():
                return found
        raise NotReady(f"no line like {pattern!r} in:\n{self.log}")

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        status = self.process.wait(seconds)
        self.reader.join(seconds)
        return status

    def stop(self, number: signal.Signals | None = None) -> int:
        """Ask it to end; its exit status. One that does not end in time is killed: an error."""
        if self.process.poll() is None:
            self.process.send_signal(number or self.stop_signal)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.wait()
            raise
        finally:
            self.process.stdout.close()


@dataclass(frozen=True)
class Redis:
    port: int
    unix_socket: str
    pid: int


@contextlib.contextmanager
def redis() -> Iterator[Redis]:
    program = required("redis-server", "redis-server")
    with tempfile.TemporaryDirectory(prefix="zcloop-redis-") as directory:
        unix_socket = f"{directory}/redis.sock"

        def command(port: int) -> list[str]:
            return [
                *(program, "--port", str(port), "--bind", "127.0.0.1"),
                *("--unixsocket", unix_socket, "--dir", directory),
                *("--save", "", "--appendonly", "no", "--daemonize", "no"),
            ]

        with running(command, "Ready to accept connections") as (server, port):
            yield Redis(port, unix_socket, server.process.pid)


@dataclass(frozen=True)
class Postgres:
    port: int
    socket_directory: str
    user: str
    database: str


@contextlib.contextmanager
def postgres(server_chain: str, server_key: str) -> Iterator[Postgres]:
    """A fresh cluster that also speaks TLS; it runs as `postgres` when we are root."""
    directories = sorted(
        pathlib.Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda path: float(path.parent.name),
        reverse=True,
    )
    initdb = required("initdb", "postgresql", *directories)
    program = required("postgres", "postgresql", *directories)
    account = "postgres" if os.geteuid() == 0 else None
    directory = tempfile.mkdtemp(prefix="zcloop-postgres-")
    try:
        for name, path in (("server.pem", server_chain), ("server.key", server_key)):
            shutil.copy(path, f"{directory}/{name}")
            os.chmod(f"{directory}/{name}", 0o600)
        for path in (directory, f"{directory}/server.pem", f"{directory}/server.key"):
            if account:
                shutil.chown(path, account)
        data = f"{directory}/data"
        how = ["-U", "zcloop", "--auth=trust", "--no-sync", "--no-locale", "--encoding=UTF8"]
        creation = Server([initdb, "-D", data, *how], user=account)
        if creation.wait(60) != 0:
            raise NotReady(creation.log)
        creation.stop()

        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": directory,
            "fsync": "off",
            "shared_buffers": "16MB",
            "max_connections": "40",
            "ssl": "on",
            "ssl_cert_file": f"{directory}/server.pem",
            "ssl_key_file": f"{directory}/server.key",
        }

        def command(port: int) -> list[str]:
            options = [f"-c{name}={value}" for name, value in settings.items()]
            return [program, "-D", data, "-p", str(port), *options]

        # SIGINT is what PostgreSQL calls a fast shutdown: it does not wait for its clients.
        ready = "database system is ready to accept connections"
        with running(command, ready, user=account, stop_signal=signal.SIGINT) as (_, port):
            yield Postgres(port, directory, "zcloop", "postgres")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def running(command, ready: str, **how) -> Iterator[tuple[Server, int]]:
    """A server, started on a free port, that printed that it is ready."""
    for attempt in range(1, START_ATTEMPTS_MAX + 1):
        port = free_port()
        server = Server(command(port), **how)
        try:
            server.wait_for_line(ready)
            break
        except NotReady:
            server.stop()
            if attempt == START_ATTEMPTS_MAX:
                raise
    try:
        yield server, port
    finally:
        server.stop()
