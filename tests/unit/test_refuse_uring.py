"""The launcher of the suite's second run: it refuses the calls of io_uring, and nothing else."""

import json
import pathlib
import subprocess
import sys

import pytest

LAUNCHER = pathlib.Path(__file__).parents[1] / "refuse_uring.py"
NAMES = ("setup", "enter", "register")
# Calls with arguments that no kernel takes: a bad address, a bad descriptor. The last one is
# io_uring_setup of the x32 interface, which most kernels do not have.
CALLS = """
import ctypes, errno, json, os
libc = ctypes.CDLL(None, use_errno=True)

def answer(number, *arguments):
    ctypes.set_errno(0)
    libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments))
    return errno.errorcode.get(ctypes.get_errno())

print(json.dumps({
    "setup": answer(425, 4, 0),
    "enter": answer(426, -1, 0, 0, 0, 0, 0),
    "register": answer(427, -1, 0, 0, 0),
    "pidfd_send_signal": answer(424, -1, 0, 0, 0),
    "open_tree": answer(428, -1, 0, 0),
    "x32 setup": answer(0x40000000 | 425, 4, 0),
}))
"""


def launch(*arguments, program=CALLS):
    command = [sys.executable, str(LAUNCHER), *arguments, "--", sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def answers(*arguments, program=CALLS):
    return json.loads(launch(*arguments, program=program).stdout)


@pytest.fixture(scope="module")
def unfiltered():
    """Return what this machine answers without the launcher."""
    shown = subprocess.run([sys.executable, "-c", CALLS], capture_output=True, check=True)
    return json.loads(shown.stdout)


@pytest.mark.parametrize("error", ["EPERM", "ENOSYS", "EACCES"])
def test_the_three_calls_get_the_errno_and_others_reach_the_kernel(error, unfiltered):
    refused = dict.fromkeys((*NAMES, "x32 setup"), error)
    assert answers("--errno", error) == {**unfiltered, **refused}


def test_eperm_is_the_answer_if_none_is_asked_for():
    assert answers()["setup"] == "EPERM"


@pytest.mark.parametrize("call", NAMES)
def test_one_call_alone_is_refused_if_that_is_asked_for(call, unfiltered):
    refused = {call: "EACCES"} | ({"x32 setup": "EACCES"} if call == "setup" else {})
    assert answers("--only", call, "--errno", "EACCES") == {**unfiltered, **refused}


def test_two_calls_are_refused_if_two_are_named(unfiltered):
    found = answers("--only", "enter", "--only", "register")
    assert found == {**unfiltered, "enter": "EPERM", "register": "EPERM"}


def test_children_of_the_command_keep_the_filter():
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {CALLS!r}])"
    assert answers(program=program)["setup"] == "EPERM"


def test_the_status_of_the_command_is_the_launchers():
    assert launch(program="raise SystemExit(7)").returncode == 7


def test_options_behind_the_dashes_are_the_commands():
    shown = subprocess.run(
        [sys.executable, str(LAUNCHER), "--", "echo", "--errno", "--"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == "--errno --\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no command: write it after --"),
        (["--"], "no command: write it after --"),
        (["true"], "unrecognized arguments: true"),
        (["--errno", "EFAULT", "--", "true"], "invalid choice: 'EFAULT'"),
        (["--only", "close", "--", "true"], "invalid choice: 'close'"),
        (["--", "/no/such/program"], "/no/such/program cannot be started: No such file"),
    ],
)
def test_a_wrong_command_line_is_an_error_that_says_what(arguments, said):
    command = [sys.executable, str(LAUNCHER), *arguments]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    assert shown.returncode in (1, 2) and said in shown.stderr
