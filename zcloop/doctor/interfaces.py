"""Network interfaces, and what zero-copy sends and receives could do on each; TCP's congestion
control.

A zero-copy send needs a driver that takes pages from anywhere (scatter-gather) and computes the
checksum in hardware. What never leaves the machine is copied for its receiver: loopback, and the
veth that joins namespaces (unless its peer runs an XDP program). Zero-copy receive (6.15) needs a driver with queues that user space may own;
zcloop does not use it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
from dataclasses import dataclass

from zcloop.doctor.surroundings import Surroundings

_SIOCETHTOOL = 0x8946
_ETHTOOL_GDRVINFO, _ETHTOOL_GTXCSUM, _ETHTOOL_GSG = 0x03, 0x16, 0x18
_DRVINFO_SIZE = 196
_LOOPBACK = 772  # ARPHRD_LOOPBACK

# Drivers whose packets go on in this machine, to a socket or a program, which copies them.
_LOCAL = {"veth", "tun"}
# Those that had zero-copy receive when this was written.
_RECEIVING = {"bnxt_en", "fbnic", "gve", "mlx5_core"}


@dataclass(frozen=True)
class Interface:
    """One of /sys/class/net. What cannot be found out is None."""

    name: str
    kind: str
    """loopback, or the driver's name."""
    is_up: bool
    mtu: int | None
    scatter_gather: bool | None
    send_checksum: bool | None
    zero_copy_send: str
    zero_copy_receive: str


def look(around: Surroundings) -> list[Interface]:
    """Every interface of this network namespace, by name."""
    try:
        names = sorted(os.listdir(around.root / "sys/class/net"))
    except OSError:
        return []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        return [_interface(around, sock, name) for name in names if name != "bonding_masters"]


def congestion_control(around: Surroundings) -> tuple[str | None, list[str]]:
    """TCP's default in this network namespace, and all that are available."""
    available = around.read("proc/sys/net/ipv4/tcp_available_congestion_control") or ""
    return around.read("proc/sys/net/ipv4/tcp_congestion_control"), available.split()


def _interface(around: Surroundings, sock: socket.socket, name: str) -> Interface:
    folder = f"sys/class/net/{name}"
    is_loopback = around.number(f"{folder}/type") == _LOOPBACK
    kind = "loopback" if is_loopback else _driver(sock, name) or "unknown"
    gathers = _flag(sock, name, _ETHTOOL_GSG)
    sums = _flag(sock, name, _ETHTOOL_GTXCSUM)
    # Loopback is always up, and says "unknown".
    is_up = is_loopback or around.read(f"{folder}/operstate") in ("up", "unknown")
    return Interface(
        name,
        kind,
        is_up,
        around.number(f"{folder}/mtu"),
        gathers,
        sums,
        sending(kind, gathers, sums),
        receiving(kind),
    )


def sending(kind: str, gathers: bool | None, sums: bool | None) -> str:
    """What a zero-copy send by such an interface does: never, copies, possible or unknown."""
    if kind == "loopback":
        return "never: what is sent to this machine is always copied"
    if kind in _LOCAL:
        return f"copies: what leaves by {kind} goes on in this machine"
    if gathers is None or sums is None:
        return "unknown: the driver does not say whether it has scatter-gather and checksums"
    lacking = [word for word, has in (("scatter-gather", gathers), ("checksums", sums)) if not has]
    if lacking:
        return f"copies: the driver has no {' and no '.join(lacking)} (ethtool -k)"
    return "possible"


def receiving(kind: str) -> str:
    """What zero-copy receive could do on such an interface."""
    if kind in _RECEIVING:
        return "possible from Linux 6.15 on with this driver, and not used by zcloop"
    return "never" if kind == "loopback" else "not with this driver"


def _ethtool(sock: socket.socket, name: str, command: int, size: int) -> bytes | None:
    """The answer of one old-style request of ethtool, or None."""
    buffer = ctypes.create_string_buffer(struct.pack("=I", command), size)
    asked = struct.pack("@16sP", name.encode()[:15], ctypes.addressof(buffer)).ljust(40, b"\0")
    with contextlib.suppress(OSError):
        fcntl.ioctl(sock.fileno(), _SIOCETHTOOL, asked)
        return buffer.raw
    return None


def _flag(sock: socket.socket, name: str, command: int) -> bool | None:
    answer = _ethtool(sock, name, command, 8)
    return None if answer is None else struct.unpack_from("=I", answer, 4)[0] != 0


def _driver(sock: socket.socket, name: str) -> str | None:
    answer = _ethtool(sock, name, _ETHTOOL_GDRVINFO, _DRVINFO_SIZE)
    if answer is None:
        return None
    return answer[4:36].partition(b"\0")[0].decode(errors="replace") or None
