"""The seccomp profile: whole programs run under it on io_uring, and what it blocks is blocked."""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import os
import subprocess
import sys

import pytest

from zcloop.doctor.allowed_calls import ALLOWED
from zcloop.doctor.seccomp_profile import ARCHITECTURES, IO_URING, extended, profile

MACHINE = os.uname().machine
LIBRARY = ctypes.util.find_library("seccomp")
needs_libseccomp = pytest.mark.skipif(
    LIBRARY is None or MACHINE not in ARCHITECTURES,
    reason="makes a filter of the profile: needs libseccomp2 (apt-get install libseccomp2)",
)

# A program that gets the name of libseccomp and the file of a profile. It reads the profile as the
# runtime of a container does, puts itself under it, and becomes what its other arguments say.
LOADER = """
import ctypes, json, os, sys

class Comparison(ctypes.Structure):
    _fields_ = [("index", ctypes.c_uint), ("op", ctypes.c_int),
                ("value", ctypes.c_uint64), ("value_two", ctypes.c_uint64)]

OPERATIONS = {"SCMP_CMP_NE": 1, "SCMP_CMP_EQ": 4, "SCMP_CMP_MASKED_EQ": 7}
library = ctypes.CDLL(sys.argv.pop(1))
library.seccomp_init.restype = ctypes.c_void_p

def action(rule, errno):
    return {"SCMP_ACT_ALLOW": 0x7FFF0000, "SCMP_ACT_ERRNO": 0x00050000 | errno}[rule]

def checked(got):
    if got < 0:
        raise OSError(-got, os.strerror(-got))

with open(sys.argv[1]) as file:
    profile = json.load(file)
default = action(profile["defaultAction"], profile["defaultErrnoRet"])
filters = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(default)))
for name in profile["architectures"][1:]:
    short = name.removeprefix("SCMP_ARCH_").lower()
    token = library.seccomp_arch_resolve_name(short.encode())
    assert token, name
    checked(library.seccomp_arch_add(filters, ctypes.c_uint32(token)))
known = 0
for rule in profile["syscalls"]:
    arguments = [Comparison(one["index"], OPERATIONS[one["op"]], one["value"], one["valueTwo"])
                 for one in rule.get("args", [])]
    for comparison in arguments:
        if comparison.op == OPERATIONS["SCMP_CMP_MASKED_EQ"]:
            assert comparison.value_two == 0
    for name in rule["names"]:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number == -1:
            continue    # newer than this libseccomp, which runtimes pass over, too
        known += 1
        array = (Comparison * max(len(arguments), 1))(*arguments)
        checked(library.seccomp_rule_add_array(
            filters, ctypes.c_uint32(action(rule["action"], rule.get("errnoRet", 1))),
            number, len(arguments), array))
assert known > 300, known
checked(library.seccomp_load(filters))
os.execv(sys.argv[2], sys.argv[2:])
"""

CALLS = """
import ctypes, errno, json, os, threading
libc = ctypes.CDLL(None, use_errno=True)

def answer(number, *arguments):
    ctypes.set_errno(0)
    got = libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments))
    return errno.errorcode[ctypes.get_errno()] if got < 0 else "OK"

def socket(family):
    ctypes.set_errno(0)
    got = libc.socket(family, 1, 0)
    return errno.errorcode[ctypes.get_errno()] if got < 0 else "OK"

x86 = os.uname().machine == "x86_64"
params = ctypes.create_string_buffer(120)
threading.Thread(target=print, args=("",), kwargs={"end": ""}).start()     # by clone
print(json.dumps({
    "setup": answer(425, 4, ctypes.addressof(params)),
    "enter": answer(426, -1, 0, 0, 0, 0, 0),
    "register": answer(427, -1, 0, 0, 0),
    "kexec_load": answer(246 if x86 else 104, 0, 0, 0, 0),
    "bpf": answer(321 if x86 else 280, 0, 0, 0),
    "mount": answer(165 if x86 else 40, 0, 0, 0, 0, 0),
    "unshare": answer(272 if x86 else 97, 0),
    "perf_event_open": answer(298 if x86 else 241, 0, 0, 0, 0, 0),
    "clone3": answer(435, 0, 0),
    "keyctl": answer(250 if x86 else 219, 0, 0, 0, 0, 0),
    "a new user namespace": answer(56 if x86 else 220, 0x10000000, 0, 0, 0, 0),
    "personality": answer(135 if x86 else 92, 0xFFFFFFFF),
    "personality of SVr4": answer(135 if x86 else 92, 0x4000001),
    "vsock": socket(40),
    "tcp": socket(2),
}))
"""
SERVER = """
import asyncio, zcloop

async def echo(reader, writer):
    writer.write(await reader.read(100))
    await writer.drain()
    writer.close()

async def main():
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"hello")
    print((await reader.read(100)).decode())
    child = await asyncio.create_subprocess_exec("true")
    print(await child.wait(), await asyncio.to_thread(sum, [1, 2]))
    writer.close()
    server.close()

with asyncio.Runner(loop_factory=zcloop.new_event_loop) as runner:
    print(getattr(runner.get_loop(), "backend", "uring"))
    runner.run(main())
"""


@pytest.fixture(scope="module")
def printed(doctor):
    shown = doctor("--seccomp-profile")
    assert shown.returncode == 0 and shown.stderr == ""
    return shown.stdout


@pytest.fixture
def under(printed, tmp_path):
    """Run a Python program under the profile, and return its output."""

    def run(program):
        path = tmp_path / "io_uring.json"
        path.write_text(printed)
        python = [sys.executable, "-P", "-c"]
        command = [*python, LOADER, LIBRARY, str(path), *python, program]
        shown = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
        assert shown.stderr == ""
        return shown.stdout

    return run


@needs_libseccomp
def test_the_calls_of_io_uring_reach_the_kernel_and_what_is_blocked_does_not(needs_io_uring, under):
    found = json.loads(under(CALLS))
    assert found["setup"] == "OK"
    assert found["enter"] in ("EBADF", "EINVAL") and found["register"] in ("EBADF", "EINVAL")
    blocked = {"kexec_load", "bpf", "mount", "unshare", "perf_event_open", "keyctl"}
    blocked |= {"a new user namespace", "personality of SVr4", "vsock"}
    assert {name for name, answer in found.items() if answer == "EPERM"} == blocked
    assert found["clone3"] == "ENOSYS"
    assert found["personality"] == "OK" and found["tcp"] == "OK"


@needs_libseccomp
def test_zcloop_runs_on_io_uring_under_it(needs_io_uring, under):
    assert under(SERVER).split() == ["uring", "hello", "0", "3"]


def test_it_is_complete_and_of_this_machine(printed):
    found = json.loads(printed)
    assert found == profile(MACHINE)
    assert found["defaultAction"] == "SCMP_ACT_ERRNO"
    assert found["architectures"] == list(ARCHITECTURES[MACHINE])


def test_it_has_no_condition_that_a_runtime_may_not_know():
    for rule in profile("x86_64")["syscalls"]:
        assert set(rule) <= {"names", "action", "args", "errnoRet"}


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_no_call_is_named_twice_with_the_same_condition(machine):
    named = [
        (name, json.dumps(rule.get("args")))
        for rule in profile(machine)["syscalls"]
        for name in rule["names"]
    ]
    assert len(named) == len(set(named))


@pytest.mark.parametrize(
    "name",
    ["kexec_load", "init_module", "bpf", "mount", "setns", "reboot", "swapon", "settimeofday",
     "perf_event_open", "userfaultfd", "keyctl", "open_by_handle_at", "clone3", "unshare",
     "pivot_root", "move_pages", "process_madvise", "iopl", "quotactl", "acct"],
)  # fmt: skip
def test_dangerous_calls_are_not_allowed(name):
    assert name not in ALLOWED


def test_a_machine_whose_calls_are_unknown_is_an_error_that_says_what_to_do():
    with pytest.raises(ValueError, match="no profile for s390x, only for x86_64 and aarch64: give"):
        profile("s390x")


class TestBase:
    """`--seccomp-profile BASE`: the profile of a runtime, with io_uring allowed."""

    BASE = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": []}],
        "syscalls": [
            {"names": ["read", "io_uring_setup"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["io_uring_enter", "io_uring_register"], "action": "SCMP_ACT_ERRNO"},
            {"name": "bpf", "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_BPF"]}},
        ],
    }

    def test_everything_else_stays_as_it_is(self):
        before = json.dumps(self.BASE)
        found = extended(self.BASE)
        assert json.dumps(self.BASE) == before
        assert found["archMap"] == self.BASE["archMap"]
        assert found["syscalls"] == [
            {"names": list(IO_URING), "action": "SCMP_ACT_ALLOW"},
            {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_BPF"]}},
        ]
        assert extended(found) == found

    def test_it_is_read_from_a_file(self, doctor, tmp_path):
        (tmp_path / "base.json").write_text(json.dumps(self.BASE))
        shown = doctor("--seccomp-profile", str(tmp_path / "base.json"))
        assert json.loads(shown.stdout) == extended(self.BASE) and shown.returncode == 0

    @pytest.mark.parametrize("text", ["", "[]", '{"syscalls": 1}', '{"syscalls": [{}]}', "{"])
    def test_what_is_no_profile_is_an_error(self, text, doctor, tmp_path):
        (tmp_path / "base.json").write_text(text)
        shown = doctor("--seccomp-profile", str(tmp_path / "base.json"))
        assert shown.returncode == 64 and shown.stdout == ""
        assert f"error: {tmp_path}/base.json: " in shown.stderr

    def test_a_file_that_is_not_there_is_an_error(self, doctor):
        shown = doctor("--seccomp-profile", "/no/such/profile.json")
        assert shown.returncode == 64 and "'/no/such/profile.json'" in shown.stderr
