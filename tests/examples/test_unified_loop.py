"""unified_loop.py waits for six kinds of events by one select() over one fd, and starts no thread.

It runs in a process of its own, under a recorder of the calls that could wait or start a thread.
"""

import json
import pathlib
import subprocess
import sys

import pytest

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "examples" / "unified_loop.py"
KINDS = ["child", "file", "queue", "semaphore", "socket", "timer"]

RECORDER = """
import json, runpy, select, sys
calls, started = [], []
def record(event, arguments):
    if event == "_thread.start_new_thread":
        started.append(repr(arguments))
real = select.select
def recorded(*arguments):
    ready = real(*arguments)
    calls.append([[len(each) for each in arguments[:3]], len(arguments), len(ready[0])])
    return ready
select.select = recorded
sys.addaudithook(record)
path = sys.argv[1]
sys.argv[:] = sys.argv[1:]
runpy.run_path(path, run_name="__main__")
print(json.dumps({"calls": calls, "started": started}))
"""

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.zcloop_only]


def run(*command):
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-X", "faulthandler", *command],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.splitlines()


def kinds_of(lines, number):
    told = [line.partition(", ")[2] for line in lines if line.startswith(f"round {number}, ")]
    return [line.partition(":")[0] for line in told]


def test_all_six_kinds_come_in_each_round():
    lines = run(EXAMPLE, "--rounds", "2", "--seconds", "0.01")
    assert sorted(kinds_of(lines, 1)) == KINDS
    assert sorted(kinds_of(lines, 2)) == KINDS
    assert len(lines) == 13
    assert lines[-1].startswith("12 events, ")
    assert lines[-1].endswith(" waits, threads: 1")


def test_what_the_child_sent_is_what_comes():
    lines = run(EXAMPLE, "--rounds", "3", "--seconds", "0")
    for number in range(1, 4):
        assert f"round {number}, socket: hello from child {number}" in lines
        assert f"round {number}, queue: job {number}, priority {number}" in lines
        assert f"round {number}, child: exit status 0" in lines


def test_it_sleeps_in_one_select_over_one_descriptor_until_something_happens():
    """Each wait is one call without a timeout, and each call has brought an event: were it busy
    waiting, there would be more of them than events."""
    *lines, recorded = run("-P", "-c", RECORDER, EXAMPLE, "--rounds", "20", "--seconds", "0.05")
    recorded = json.loads(recorded)
    assert recorded["started"] == []
    assert 20 <= len(recorded["calls"]) <= 120
    assert lines[-1] == f"120 events, {len(recorded['calls'])} waits, threads: 1"
    assert all(call == [[1, 0, 0], 3, 1] for call in recorded["calls"])


def test_a_file_that_cannot_be_opened_is_told():
    ended = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLE, "--file", "/nonexistent"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode != 0
    assert ended.stderr.endswith("No such file or directory: '/nonexistent'\n")
