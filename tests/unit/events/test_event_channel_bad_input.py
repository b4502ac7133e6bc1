"""What cannot be: each is a clear exception, of the call or of the event; nothing is in flight."""

import concurrent.futures
import fcntl
import os
import pickle
import socket

import pytest
from channels import PATIENCE, channel_of
from peers import unix_pair

import zcloop
from zcloop import requests

pytestmark = pytest.mark.zcloop_only


class Things:
    """What the cases are about."""

    def __init__(self, sock, file, closed):
        self.sock = sock
        self.file = file
        self.closed_socket, self.closed_file, self.closed_fd = closed


@pytest.fixture
def things(tmp_path):
    closed_socket = socket.socket()
    closed_fd = fcntl.fcntl(closed_socket, fcntl.F_DUPFD_CLOEXEC, 900)  # nobody gets it next
    os.close(closed_fd)
    closed_socket.close()
    closed_file = (tmp_path / "closed").open("wb")
    closed_file.close()
    with unix_pair() as (sock, _), (tmp_path / "file").open("w+b", buffering=0) as file:
        yield Things(sock, file, (closed_socket, closed_file, closed_fd))


ROOM = bytearray(8)
# What: the call, the exception, and what it says.
CASES = {
    "an fd that is none": (lambda c, t: c.read("stdin", ROOM), TypeError, "fileno"),
    "a negative fd": (lambda c, t: c.recv(-1, ROOM), ValueError, "negative"),
    "a float": (lambda c, t: c.recv(1.5, ROOM), TypeError, "fileno"),
    "a huge fd": (lambda c, t: c.recv(1 << 40, ROOM), OverflowError, "int"),
    "a closed socket": (lambda c, t: c.recv(t.closed_socket, ROOM), ValueError, "negative"),
    "a closed file": (lambda c, t: c.write(t.closed_file, b"x"), ValueError, "closed"),
    "a closed fd, read": (lambda c, t: c.read(t.closed_fd, ROOM), OSError, "Bad file"),
    "a closed fd, sent to": (lambda c, t: c.send(t.closed_fd, b"x"), OSError, "Bad file"),
    "a closed fd, connected": (lambda c, t: c.connect(t.closed_fd, "x"), OSError, "Bad file"),
    "a closed fd, closed": (lambda c, t: c.close_fd(t.closed_fd), OSError, "Bad file"),
    "a file as a socket": (lambda c, t: c.recv(t.file, ROOM), OSError, "non-socket"),
    "a file connected": (lambda c, t: c.connect(t.file, "x"), OSError, "non-socket"),
    "a socket that does not listen": (lambda c, t: c.accept(t.sock), OSError, "Invalid"),
    "a huge splice": (
        lambda c, t: c.splice(t.file, t.sock, 1 << 40),
        OverflowError,
        "unsigned int",
    ),
    "a negative splice": (lambda c, t: c.splice(t.file, t.sock, -1), OverflowError, "negative"),
    "a splice without a pipe": (lambda c, t: c.splice(t.file, t.file, 1), OSError, "Invalid"),
    "huge room for ancillary data": (
        lambda c, t: c.recvmsg(t.sock, [ROOM], 1 << 40),
        ValueError,
        "ancillary",
    ),
    "a negative offset": (lambda c, t: c.read(t.file, ROOM, -2), ValueError, "negative offset"),
    "a huge offset": (lambda c, t: c.read(t.file, ROOM, 1 << 63), OverflowError, "long"),
    "an offset of a socket's own": (
        lambda c, t: c.writev(t.file, [b"x"], -9),
        ValueError,
        "negative offset",
    ),
    "bad flags of a read": (lambda c, t: c.read(t.file, ROOM, 0, 1 << 30), OSError, "supported"),
    "bad flags of an accept": (lambda c, t: c.accept(t.sock, 1 << 30), OSError, "Invalid"),
    "bad flags of a statx": (lambda c, t: c.statx(t.file, 1 << 30), OSError, "Invalid"),
    "flags that are no number": (lambda c, t: c.recv(t.sock, ROOM, "x"), TypeError, "int"),
    "huge flags": (lambda c, t: c.recv(t.sock, ROOM, 1 << 40), OverflowError, "int"),
    "no buffer": (lambda c, t: c.recv(t.sock, 8), TypeError, "bytes-like"),
    "text": (lambda c, t: c.send(t.sock, "text"), TypeError, "bytes-like"),
    "a read-only buffer": (lambda c, t: c.recv(t.sock, b"x"), BufferError, "not writable"),
    "a read-only piece": (lambda c, t: c.readv(t.file, [b"x"]), BufferError, "read-only"),
    "a piece that is no buffer": (lambda c, t: c.writev(t.file, [1]), TypeError, "bytes-like"),
    "a buffer with gaps": (
        lambda c, t: c.send(t.sock, memoryview(ROOM)[::2]),
        BufferError,
        "contiguous",
    ),
    "a released buffer": (lambda c, t: c.send(t.sock, released()), ValueError, "released"),
    "too many pieces": (lambda c, t: c.writev(t.file, [b""] * 1025), ValueError, "1024"),
    "a negative child": (lambda c, t: c.wait_child(-1), ValueError, "-1"),
    "a child that is none": (lambda c, t: c.wait_child(os.getpid()), ChildProcessError, "child"),
    "a huge child": (lambda c, t: c.wait_child(1 << 40), OverflowError, "int"),
    "a closed fd to poll": (lambda c, t: c.poll(t.closed_fd, 1), OSError, "Bad file"),
    "no path": (lambda c, t: c.open(None), TypeError, "NoneType"),
    "a path with a null": (lambda c, t: c.open("a\0b"), ValueError, "null"),
    "a path that is not there": (lambda c, t: c.open("/none"), FileNotFoundError, "'/none'"),
    "a host name": (
        lambda c, t: c.sendto(udp(t), b"x", ("example.org", 53)),
        ValueError,
        "getaddrinfo",
    ),
    "an IPv6 address for an IPv4 socket": (
        lambda c, t: c.sendto(udp(t), b"x", ("::1", 53)),
        ValueError,
        "family",
    ),
    "a port too large": (
        lambda c, t: c.sendto(udp(t), b"x", ("127.0.0.1", 65536)),
        OverflowError,
        "0 to 65535",
    ),
    "an address that is none": (lambda c, t: c.sendto(udp(t), b"x", 5), TypeError, "tuple"),
    "a path too long": (lambda c, t: c.connect(t.sock, "x" * 108), OSError, "too long"),
    "a negative timeout": (lambda c, t: c.timeout(-1), ValueError, "negative"),
    "a timeout that is not a number": (lambda c, t: c.timeout(float("nan")), ValueError, "nan"),
    "an endless timeout": (lambda c, t: c.timeout(float("inf")), ValueError, "inf"),
    "a negative wait": (lambda c, t: c.wait(-1), ValueError, "negative"),
    "a priority of a socket": (
        lambda c, t: zcloop.requests.EventRequest(
            "recv", t.sock, requests.network.recv(0, ROOM), priority=1
        ),
        ValueError,
        "no priorities",
    ),
    "a huge priority": (lambda c, t: c.read(t.file, ROOM, priority=1 << 20), ValueError, "ioprio"),
    "nothing to wait for": (lambda c, t: c.request(object()), TypeError, "wait for"),
    "a batch of something else": (lambda c, t: c.submit([1]), TypeError, "zcloop.requests"),
    "an unknown mode": (lambda c, t: c.submit([], mode="any"), ValueError, "'linked'"),
    "cancelling what is no request": (lambda c, t: c.cancel(1), TypeError, "EventRequest"),
    "a channel of no entries": (lambda c, t: zcloop.EventChannel(0), ValueError, "1 to 32768"),
    "a channel of too many": (lambda c, t: zcloop.EventChannel(1 << 20), ValueError, "32768"),
    "an unknown policy": (
        lambda c, t: zcloop.EventChannel(overflow="wait"),
        ValueError,
        "'drop'",
    ),
    "a closed channel, asked": (lambda c, t: closed().post(), ValueError, "closed"),
    "a closed channel, taken from": (lambda c, t: closed().next_event(), ValueError, "closed"),
    "a closed channel, waited on": (lambda c, t: closed().wait(), ValueError, "closed"),
    "a closed channel, polled": (lambda c, t: closed().fileno(), ValueError, "closed"),
    "a closed channel, taken over": (lambda c, t: closed().take_over(), ValueError, "closed"),
    "a closed channel, submitted to": (
        lambda c, t: closed().submit([requests.timeout(1)]),
        ValueError,
        "closed",
    ),
    "another thread, asking": (
        lambda c, t: in_thread(lambda: c.timeout(1)),
        RuntimeError,
        r"post\(\).*take_over\(\)",
    ),
    "another thread, taking": (
        lambda c, t: in_thread(c.next_event),
        RuntimeError,
        r"post\(\).*take_over\(\)",
    ),
    "another thread, waiting": (lambda c, t: in_thread(c.wait), RuntimeError, "another thread"),
    "another thread, submitting": (
        lambda c, t: in_thread(lambda: c.submit([requests.timeout(1)])),
        RuntimeError,
        "another thread",
    ),
    "another thread, closing": (lambda c, t: in_thread(c.close), RuntimeError, "another thread"),
    "a forked child, asking": (
        lambda c, t: in_child(lambda: c.recv(t.sock, ROOM)),
        RuntimeError,
        "child must make its own",
    ),
    "a forked child, taking": (lambda c, t: in_child(c.next_event), RuntimeError, "parent process"),
    "a forked child, submitting": (
        lambda c, t: in_child(lambda: c.submit([requests.timeout(1)])),
        RuntimeError,
        "parent process",
    ),
    "a forked child, waiting": (lambda c, t: in_child(c.wait), RuntimeError, "parent process"),
    "a forked child, taking over": (lambda c, t: in_child(c.take_over), RuntimeError, "parent"),
    "a forked child, posting": (lambda c, t: in_child(c.post), RuntimeError, "parent process"),
    "a forked child, polling": (lambda c, t: in_child(c.fileno), RuntimeError, "parent process"),
}


def in_thread(call):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


def in_child(call):
    """Raises what the call raises in a forked child."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            call()
        except Exception as error:
            os.write(writer, pickle.dumps(error))
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as answer:
        raised = answer.read()
    os.waitpid(child, 0)
    raise pickle.loads(raised)


def released():
    view = memoryview(b"x")
    view.release()
    return view


def closed():
    channel = zcloop.EventChannel()
    channel.close()
    return channel


def udp(things):
    """A datagram socket in the place of the Unix one, closed with it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        os.dup2(sock.fileno(), things.sock.fileno())
    return things.sock


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_a_clear_exception(name, things):
    call, kind, text = CASES[name]
    with channel_of() as channel:
        with pytest.raises(kind, match=text) as raised:
            call(channel, things)
            channel.wait(PATIENCE).check()
        assert type(raised.value) is kind or issubclass(kind, OSError)
        assert channel.inflight == 0
        channel.post("it works as before")
        assert channel.next_event().data == "it works as before"
