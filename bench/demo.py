"""The demonstration of `make demo`: one HTTP server, three loops, every answer checked.

`python -m bench.demo` starts examples/http_server.py on each loop in turn, checks its answers, puts
load on it, and prints one table. The first answer of the first loop's server is the right one,
since one program must answer the same on every loop. The status is 0 if every answer was right.
"""

from __future__ import annotations

import argparse
import http.client
import shutil
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench import artefacts
from bench.contestants import probe
from bench.loops import parse_contestant
from bench.measure import drive_client, drive_wrk
from bench.processes import (
    ROOT,
    Cores,
    MeasurementError,
    Server,
    cpu_seconds,
    exclusive,
    pick_cores,
    running_server,
)
from bench.sample import Sample
from bench.scenarios import Scenario

CHECK_SECONDS = 0.7
CONNECTIONS = 64
LOAD = Scenario("demo", "demo", client="http", connections=CONNECTIONS)


def first_answer(server: Server) -> bytes:
    """Ask with the standard library's client, and return the body of the answer."""
    connection = http.client.HTTPConnection(server.place, timeout=5)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise MeasurementError(f"no answer to GET /: {error}") from error
    finally:
        connection.close()
    if answer.status != 200 or not body:
        raise MeasurementError(f"GET / gave status {answer.status} and {len(body)} bytes")
    return body


def read_answer(connection: socket.socket) -> tuple[bytes, bytes]:
    """Read one answer; return its head and body."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            raise MeasurementError("the server closed the connection")
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split()[0])
    while len(body) < length and (part := connection.recv(65536)):
        body += part
    return head, body


def drive_python(server: Server, seconds: float, body: bytes) -> Sample:
    """Put on load from this process, where there is no C compiler: slower, and as strict."""
    host, _, port = server.place.rpartition(":")
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    connections = [socket.create_connection((host, int(port)), 5) for _ in range(CONNECTIONS)]
    answers = 0
    cpu, start = cpu_seconds(server.pid), time.perf_counter()
    try:
        while time.perf_counter() - start < seconds:
            for connection in connections:
                connection.sendall(request)
            for connection in connections:
                head, answer = read_answer(connection)
                if not head.startswith(b"HTTP/1.1 200") or answer != body:
                    raise MeasurementError(f"a wrong answer: {head[:40]!r} {answer[:40]!r}")
                answers += 1
    except (OSError, IndexError, ValueError) as error:
        raise MeasurementError(f"no proper answer: {error}") from error
    finally:
        for connection in connections:
            connection.close()
    return Sample(answers, time.perf_counter() - start, cpu_seconds(server.pid) - cpu)


def pick_driver(cores: Cores) -> tuple[str, Callable[[Server, float, bytes], Sample]]:
    """Choose who puts the load on: wrk, or our client in C, or the one in Python."""
    if shutil.which("wrk"):
        return "wrk", lambda server, seconds, _: drive_wrk(
            CONNECTIONS, server, cores.client, seconds
        )
    if artefacts.has_compiler():
        return "bench/client", lambda server, seconds, body: drive_client(
            LOAD, server, cores.client, seconds, 0, body
        )
    return "Python", drive_python


def check(server: Server, cores: Cores, body: bytes) -> int:
    """Compare every answer under load for a while, and return how many there were."""
    if not artefacts.has_compiler():
        return drive_python(server, CHECK_SECONDS, body).ops
    return drive_client(LOAD, server, cores.client, CHECK_SECONDS, 0, body).ops


def main() -> int:
    """Print the table. Return 1 if an answer was wrong, or zcloop cannot run."""
    parser = argparse.ArgumentParser(prog="python -m bench.demo", description=__doc__)
    parser.add_argument("--loop", default="zcloop", help="the loop in question")
    parser.add_argument("--against", default="asyncio,uvloop", metavar="LOOP,...")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--server", default=str(Path(ROOT) / "examples" / "http_server.py"))
    arguments = parser.parse_args()
    cores = pick_cores()
    name, drive = pick_driver(cores)
    print(f"{Path(arguments.server).name}, {CONNECTIONS} connections, load by {name}\n")
    print(f"{'loop':<12}{'requests/s':>12}{'CPU us/request':>17}{'answers checked':>18}")
    body = b""
    problems = []
    labels = [*filter(None, arguments.against.split(",")), arguments.loop]
    for label in dict.fromkeys(labels):
        try:
            one = probe(parse_contestant(label))
        except ValueError as error:
            print(f"{label:<12}  cannot be made: {error}", flush=True)
            if label == arguments.loop:
                problems.append(f"{label} cannot be made: {error}")
            continue
        command = [one.python, arguments.server, "--loop", one.factory]
        command += ["--host", "127.0.0.1", "--port", "0"]
        try:
            with exclusive(), running_server(command, cores.server) as server:
                answer = first_answer(server)
                body = body or answer
                checked = check(server, cores, body)
                sample = drive(server, arguments.seconds, body)
        except (MeasurementError, artefacts.ArtefactError) as error:
            print(f"{label:<12}  failed: {error}", flush=True)
            problems.append(f"{label}: {error}")
            continue
        print(
            f"{label:<12}{sample.ops_per_second:>12,.0f}{sample.cpu_us_per_op:>17.2f}"
            f"{checked:>18,}",
            flush=True,
        )
    if not problems:
        print("\nEvery answer was right.")
    for problem in problems:
        print(f"demo: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
