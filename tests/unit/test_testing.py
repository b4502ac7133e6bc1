"""zcloop.testing: a test that leaves leases out fails, and says whose they are."""

import subprocess
import sys
import textwrap

import pytest

import zcloop
from zcloop.testing import assert_no_leases

pytestmark = pytest.mark.zcloop_only

TESTS = """
import socket, zcloop
{head}

kept = []

def receive():
    region = zcloop.Region(65536)
    one, other = socket.socketpair()
    with zcloop.ZeroCopySocket(one, region) as ours, other:
        other.send(bytes(3000))
        kept.append(ours.recv())

def test_before():
    receive()

def test_leaks(no_leaked_leases):
    receive()

def test_is_clean_though_others_leaked(no_leaked_leases):
    receive()
    kept.pop().release()
"""


@pytest.mark.parametrize(
    "head", ["from zcloop.testing import no_leaked_leases", 'pytest_plugins = ["zcloop.testing"]']
)
def test_the_fixture_fails_only_the_test_that_leaks(tmp_path, head):
    (tmp_path / "test_them.py").write_text(textwrap.dedent(TESTS.format(head=head)))
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_them.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=25,
    )
    assert "3 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert "ERROR test_them.py::test_leaks" in done.stdout
    assert "3000 bytes held by ZeroCopySocket for" in done.stdout
    assert "received by ZeroCopySocket" in done.stdout


def test_a_reservation_that_is_out_is_named():
    leak = pytest.raises(AssertionError, match="100 bytes held by a reservation for")
    with zcloop.Region(4096) as region, region.reserve(100), leak:
        assert_no_leases()
    assert_no_leases()


def test_trace_leases_tells_what_held_before():
    before = zcloop.trace_leases("full")
    assert zcloop.trace_leases("off") == "full"
    assert zcloop.trace_leases(before) == "off"


def test_import_of_zcloop_does_not_import_pytest():
    script = "import sys, zcloop; assert 'pytest' not in sys.modules"
    subprocess.run([sys.executable, "-P", "-c", script], cwd="/", check=True)
