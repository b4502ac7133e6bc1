"""Limits and huge pages, and what each network interface could do."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys

import pytest

from zcloop.doctor import interfaces, memory, text
from zcloop.doctor.surroundings import Surroundings
from zcloop.doctor.system_calls import SystemCalls

VETH = """
import json
from zcloop.doctor import interfaces
found = {one.name: one.kind + ": " + one.zero_copy_send for one in interfaces.look()}
print(json.dumps(found))
"""


def test_loopback_never_sends_without_a_copy():
    (found,) = [one for one in interfaces.look() if one.name == "lo"]
    assert found.kind == "loopback" and found.zero_copy_send.startswith("never")
    assert found.zero_copy_receive == "never"


def test_every_interface_is_there():
    with open("/proc/self/net/dev") as file:
        listed = [line.partition(":")[0].strip() for line in file if ":" in line]
    assert [one.name for one in interfaces.look()] == sorted(listed)


@pytest.mark.parametrize(
    ("kind", "gathers", "sums", "verdict"),
    [
        ("virtio_net", True, True, "possible"),
        ("virtio_net", False, True, "copies: the driver has no scatter-gather (ethtool -k)"),
        ("mlx5_core", True, False, "copies: the driver has no checksums (ethtool -k)"),
        ("e1000", False, False, "copies: the driver has no scatter-gather and no checksums"),
        ("veth", True, True, "copies: what leaves by veth goes on in this machine"),
        ("wireguard", None, None, "unknown: the driver does not say whether it has"),
        ("loopback", True, True, "never: what is sent to this machine is always copied"),
    ],
)  # fmt: skip
def test_what_a_zero_copy_send_does_follows_from_the_driver(kind, gathers, sums, verdict):
    assert interfaces.sending(kind, gathers, sums).startswith(verdict)


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"),
    reason="makes a network namespace: needs root, unshare and iproute2",
)
def test_a_veth_is_known_by_its_driver():
    import json

    links = 'ip link add zca type veth peer name zcb && ip link set zca up && exec "$@"'
    command = ["unshare", "--net", "sh", "-c", links, "sh"]
    shown = subprocess.run(
        [*command, sys.executable, "-P", "-c", VETH],
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(shown.stdout)
    assert found["zca"] == "veth: copies: what leaves by veth goes on in this machine"
    assert set(found) == {"zca", "zcb", "lo"}  # the namespace's own, whatever /sys shows


def test_congestion_control_is_the_kernels():
    default, available = interfaces.congestion_control(Surroundings())
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        used = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
    assert used.rstrip(b"\0").decode() == default
    assert default in available


def test_memory_without_a_limit_has_nothing_to_measure(tmp_path, monkeypatch):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text(
        "MemTotal:       100 kB\nHugePages_Total:       8\nHugePages_Free:        3\n"
        "Hugepagesize:       2048 kB\n"
    )
    pages = tmp_path / "sys/kernel/mm/transparent_hugepage"
    pages.mkdir(parents=True)
    (pages / "enabled").write_text("always [madvise] never\n")
    monkeypatch.setattr("resource.getrlimit", lambda _: (-1, -1))
    found = memory.look(SystemCalls(), Surroundings(tmp_path), has_ring=True)
    assert found.memlock_soft is None and not found.is_limited
    assert found.pinnable is found.ring_charge is found.lending_loops is None
    assert found.transparent_huge_pages == "madvise"
    assert (found.huge_page_size, found.huge_pages_free) == (2 << 20, 3)


def test_sizes_are_shown_in_the_largest_unit_that_leaves_no_rest():
    shown = [text.size(count) for count in (0, 1000, 1 << 20, 1536 << 10, 64 << 20, 1 << 30, None)]
    assert shown == [
        "0 bytes", "1000 bytes", "1 MiB", "1536 KiB", "64 MiB", "1 GiB", "unlimited",
    ]  # fmt: skip
