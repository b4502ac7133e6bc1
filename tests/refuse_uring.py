"""Runs a command for which the system calls of io_uring are refused, as containers refuse them.

    python tests/refuse_uring.py [--errno EPERM] [--only setup|enter|register]... -- COMMAND...

Docker, containerd and Podman answer EPERM, gVisor and kernels without io_uring ENOSYS, SELinux
EACCES. A seccomp filter gives the same answer here, without a container, root or a library. The
command, and everything that it starts, keeps the filter to its end. An ordinary user may install a
filter only with no_new_privs, so sudo does not work in the command.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import os
import struct
import sys
from collections.abc import Iterable, Sequence

# Newer system calls have the same number on all architectures but alpha and mips.
CALLS = {"setup": 425, "enter": 426, "register": 427}
ERRORS = ("EPERM", "ENOSYS", "EACCES")
MACHINES = ("x86_64", "aarch64")

PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2
SECCOMP_RET_ALLOW = 0x7FFF0000
SECCOMP_RET_ERRNO = 0x00050000

# Codes of classic BPF instructions, from <linux/bpf_common.h>.
LOAD_WORD = 0x20  # BPF_LD | BPF_W | BPF_ABS
AND = 0x54  # BPF_ALU | BPF_AND | BPF_K
JUMP_IF_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
RETURN = 0x06  # BPF_RET | BPF_K
NUMBER_OFFSET = 0  # bytes, of `nr` in struct seccomp_data
# A call by the x32 interface of x86-64 has this bit set in its number.
WITHOUT_X32_BIT = 0xBFFFFFFF


class _Program(ctypes.Structure):
    """The kernel's struct sock_fprog."""

    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def instruction(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One struct sock_filter. The jumps count instructions to skip."""
    return struct.pack("=HBBI", code, if_true, if_false, operand)


def refusing(numbers: Iterable[int], error: int) -> list[bytes]:
    """Make the instructions of a filter that answers `error` to these calls, and allows others."""
    refused = list(numbers)
    tests = [
        instruction(JUMP_IF_EQUAL, number, len(refused) - place)
        for place, number in enumerate(refused)
    ]
    return [
        instruction(LOAD_WORD, NUMBER_OFFSET),
        instruction(AND, WITHOUT_X32_BIT),
        *tests,
        instruction(RETURN, SECCOMP_RET_ALLOW),
        instruction(RETURN, SECCOMP_RET_ERRNO | error),
    ]


def install(instructions: Sequence[bytes]) -> None:
    """Put the calling thread, and what it starts from now on, under the filter, for good."""
    libc = ctypes.CDLL(None, use_errno=True)
    program = _Program(len(instructions), b"".join(instructions))
    pointer = ctypes.c_void_p(ctypes.addressof(program))
    zero = ctypes.c_ulong(0)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero):
        raise OSError(ctypes.get_errno(), "no_new_privs was refused")
    if libc.prctl(PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), pointer, zero, zero):
        raise OSError(ctypes.get_errno(), "the seccomp filter was refused")


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        description="Run a command for which the system calls of io_uring are refused.",
        usage="%(prog)s [--errno NAME] [--only CALL]... -- COMMAND...",
    )
    parser.add_argument("--errno", choices=ERRORS, default="EPERM", help="(EPERM)")
    parser.add_argument(
        "--only", choices=CALLS, action="append", help="refuse this call alone; may be repeated"
    )
    options, command = list(arguments), []
    if "--" in options:
        place = options.index("--")
        options, command = options[:place], options[place + 1 :]
    chosen = parser.parse_args(options)
    if not command:
        parser.error("no command: write it after --")
    if os.uname().machine not in MACHINES:
        parser.error(f"this machine is {os.uname().machine}, not one of {', '.join(MACHINES)}")
    calls = chosen.only or CALLS
    install(refusing((CALLS[call] for call in calls), getattr(errno, chosen.errno)))
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]} cannot be started: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
