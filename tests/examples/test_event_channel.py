"""event_channel.py answers what is on the disk, and stops on a signal."""

import contextlib
import pathlib
import re
import signal
import socket
import subprocess
import sys

import pytest

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "examples" / "event_channel.py"
CLIENTS, MESSAGES = 10, 20

pytestmark = pytest.mark.filterwarnings("error")


@contextlib.contextmanager
def server(*arguments):
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-X", "faulthandler", EXAMPLE, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            announced = re.fullmatch(r"listening on (\S+):(\d+)\n", process.stdout.readline())
            yield process, (announced[1], int(announced[2]))
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_answered_message_is_in_the_journal(tmp_path, number):
    path = tmp_path / "journal"
    with server("--journal", path) as (process, address), contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(address, timeout=10))
            for _ in range(CLIENTS)
        ]
        for turn in range(MESSAGES):
            texts = [f"<{turn} of {client.getsockname()[1]}>".encode() for client in clients]
            for client, text in zip(clients, texts, strict=True):
                client.sendall(text)
            for client, text in zip(clients, texts, strict=True):
                assert client.recv(100) == text
                assert text in path.read_bytes()
        clients[0].close()
        clients[1].sendall(b"<still there>")
        assert clients[1].recv(100) == b"<still there>"
        process.send_signal(number)
        assert process.wait(10) == 0
        assert process.stderr.read() == ""


def test_the_report_says_what_it_cost(tmp_path):
    with server("--journal", tmp_path / "journal", "--report-seconds", "0.02") as (process, _):
        assert process.stdout.readline().startswith("0 messages, 2 system calls")
        assert process.stdout.readline().startswith("0 messages, 3 system calls")
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def test_a_full_disk_is_not_answered():
    with (
        server("--journal", "/dev/full") as (process, address),
        socket.create_connection(address, timeout=10) as client,
    ):
        client.sendall(b"cannot be kept")
        assert client.recv(100) == b""
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
