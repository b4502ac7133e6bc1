"""Network interfaces, and what zero-copy sends and receives could do on each; TCP's congestion
control.

A zero-copy send needs a driver that takes pages from anywhere (scatter-gather) and computes the
checksum in hardware. The kernel copies what stays in the machine for its receiver: by loopback, and
by the veth that joins namespaces (unless its peer runs an XDP program). Zero-copy receive (6.15)
needs a driver with queues that user space may own; zcloop does not use it.

A socket is asked for the interfaces of its own network namespace. /sys/class/net would show those
of the namespace that it was mounted in.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import socket
import struct
from dataclasses import dataclass

from zcloop.doctor.surroundings import Surroundings

# The numbers of <linux/sockios.h>, <linux/ethtool.h> and <linux/if.h>, by their names there, and
# the bytes of struct ethtool_drvinfo and struct ifreq.
_SIOCETHTOOL = 0x8946
_ETHTOOL_GDRVINFO, _ETHTOOL_GTXCSUM, _ETHTOOL_GSG = 0x03, 0x16, 0x18
_DRVINFO_SIZE = 196
_SIOCGIFFLAGS, _SIOCGIFMTU = 0x8913, 0x8921
_IFF_UP, _IFF_LOOPBACK, _IFF_RUNNING = 1 << 0, 1 << 3, 1 << 6
_IFREQ_SIZE = 40

# Drivers whose packets go on in this machine, to a socket or a program, which copies them.
_LOCAL = {"veth", "tun"}
# The drivers that had zero-copy receive in Linux 6.15.
_RECEIVING = {"bnxt_en", "fbnic", "gve", "mlx5_core"}


@dataclass(frozen=True)
class Interface:
    """One network interface. What cannot be found out is None."""

    name: str
    kind: str
    """loopback, or the driver's name."""
    is_up: bool
    mtu: int | None
    scatter_gather: bool | None
    send_checksum: bool | None
    zero_copy_send: str
    zero_copy_receive: str


def look() -> list[Interface]:
    """Every interface of this network namespace, by name."""
    try:
        names = sorted(name for _, name in socket.if_nameindex())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            return [_interface(sock, name) for name in names]
    except OSError:  # a sandbox
        return []


def congestion_control(around: Surroundings) -> tuple[str | None, list[str]]:
    """TCP's default in this network namespace, and all that are available."""
    available = around.read("proc/sys/net/ipv4/tcp_available_congestion_control") or ""
    return around.read("proc/sys/net/ipv4/tcp_congestion_control"), available.split()


def _interface(sock: socket.socket, name: str) -> Interface:
    flags = _number(sock, name, _SIOCGIFFLAGS, "=H") or 0
    kind = "loopback" if flags & _IFF_LOOPBACK else _driver(sock, name) or "unknown"
    gathers = _flag(sock, name, _ETHTOOL_GSG)
    sums = _flag(sock, name, _ETHTOOL_GTXCSUM)
    return Interface(
        name,
        kind,
        bool(flags & _IFF_UP and flags & _IFF_RUNNING),
        _number(sock, name, _SIOCGIFMTU, "=i"),
        gathers,
        sums,
        sending(kind, gathers, sums),
        receiving(kind),
    )


def sending(kind: str, gathers: bool | None, sums: bool | None) -> str:
    """Whether such an interface sends without a copy: `never`, `copies`, `possible` or `unknown`,
    and the reason behind a colon."""
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
    """What zero-copy receive could do on an interface of this kind."""
    if kind in _RECEIVING:
        return "possible from Linux 6.15 on with this driver, and not used by zcloop"
    return "never" if kind == "loopback" else "not with this driver"


def _ask(sock: socket.socket, name: str, request: int, argument: bytes = b"") -> bytes | None:
    """What an ioctl leaves in its struct ifreq, behind the name; None where it is refused."""
    asked = struct.pack("=16s", name.encode()[:15]) + argument
    with contextlib.suppress(OSError):
        return fcntl.ioctl(sock.fileno(), request, asked.ljust(_IFREQ_SIZE, b"\0"))[16:]
    return None


def _number(sock: socket.socket, name: str, request: int, form: str) -> int | None:
    answer = _ask(sock, name, request)
    return None if answer is None else int(struct.unpack_from(form, answer)[0])


def _ethtool(sock: socket.socket, name: str, command: int, size: int) -> bytes | None:
    """The answer of one old-style request of ethtool, or None."""
    buffer = ctypes.create_string_buffer(struct.pack("=I", command), size)
    answer = _ask(sock, name, _SIOCETHTOOL, struct.pack("@P", ctypes.addressof(buffer)))
    return None if answer is None else buffer.raw


def _flag(sock: socket.socket, name: str, command: int) -> bool | None:
    answer = _ethtool(sock, name, command, 8)
    return None if answer is None else struct.unpack_from("=I", answer, 4)[0] != 0


def _driver(sock: socket.socket, name: str) -> str | None:
    answer = _ethtool(sock, name, _ETHTOOL_GDRVINFO, _DRVINFO_SIZE)
    if answer is None:
        return None
    return answer[4:36].partition(b"\0")[0].decode(errors="replace") or None
