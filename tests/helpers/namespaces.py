"""Two network namespaces joined by veth, whose far end runs a native XDP_PASS program: the one
path without hardware on which the kernel transmits TCP without a copy (zero-copy skbs are copied
when they are looped back, and by a plain veth)."""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Callable

import pytest

CLONE_NEWNET = 0x40000000
BPF_PROG_LOAD, BPF_LINK_CREATE = 5, 28
BPF_PROG_TYPE_XDP, BPF_XDP = 6, 37
BPF_F_XDP_HAS_FRAGS = 1 << 5
XDP_FLAGS_DRV_MODE = 1 << 2
BPF_SYSCALL = {"x86_64": 321, "aarch64": 280}[os.uname().machine]

needed = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None or os.uname().machine != "x86_64",
    reason="makes network namespaces: needs root, iproute2, and the number of bpf() on x86-64",
)

_libc = ctypes.CDLL(None, use_errno=True)


def _bpf(command: int, attributes: bytes) -> int:
    buffer = ctypes.create_string_buffer(attributes.ljust(128, b"\0"), 128)
    fd = _libc.syscall(BPF_SYSCALL, command, buffer, 128)
    if fd < 0:
        raise OSError(ctypes.get_errno(), f"bpf command {command}")
    return fd


def attach_xdp_pass(interface: str) -> tuple[int, int]:
    """Every packet goes on: program and link, attached while their fds are open."""
    # r0 = XDP_PASS (2); exit
    code = ctypes.create_string_buffer(struct.pack("<BBhiBBhi", 0xB7, 0, 0, 2, 0x95, 0, 0, 0))
    licence = ctypes.create_string_buffer(b"GPL")
    program = _bpf(
        BPF_PROG_LOAD,
        struct.pack(
            "<IIQQIIQII16sII",
            BPF_PROG_TYPE_XDP, 2, ctypes.addressof(code), ctypes.addressof(licence),
            0, 0, 0, 0, BPF_F_XDP_HAS_FRAGS, b"zc_pass", 0, BPF_XDP,
        ),
    )  # fmt: skip
    index = socket.if_nametoindex(interface)
    link = _bpf(BPF_LINK_CREATE, struct.pack("<IIII", program, index, BPF_XDP, XDP_FLAGS_DRV_MODE))
    return program, link


def enter_namespace() -> None:
    if _libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def fork_host(serve: Callable[[Callable[[], object]], bool], *, is_xdp: bool, mtu: int) -> int:
    """Become 10.9.9.1, and fork 10.9.9.2; returns its pid once that has called `serve`'s argument.

    It ends when `serve` does, with status 0 if that was true. With `is_xdp` what is sent to it
    need not be copied.
    """
    enter_namespace()
    told, tell = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            enter_namespace()
            os.write(told[1], b"in")
            os.read(tell[0], 2)
            ip("addr", "add", "10.9.9.2/24", "dev", "zcb")
            ip("link", "set", "zcb", "mtu", str(mtu), "up")
            _attached = attach_xdp_pass("zcb") if is_xdp else None
            status = not serve(lambda: os.write(told[1], b"up"))
        finally:
            os._exit(status)
    os.read(told[0], 2)
    ip("link", "add", "zca", "type", "veth", "peer", "name", "zcb")
    ip("link", "set", "zcb", "netns", str(child))
    ip("addr", "add", "10.9.9.1/24", "dev", "zca")
    ip("link", "set", "zca", "mtu", str(mtu), "up")
    os.write(tell[1], b"go")
    os.read(told[0], 2)
    return child
