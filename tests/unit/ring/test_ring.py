"""One io_uring: its self-test, its thread, its end."""

import threading

import pytest

from zcloop._native.ring.uring import UringRing as Ring
from zcloop._native.ring.uring import self_test

# The kernel's ring, by itself.
pytestmark = pytest.mark.needs("uring")


def test_the_self_test_passes():
    self_test()


def test_it_passes_in_any_thread():
    thread = threading.Thread(target=self_test)
    thread.start()
    thread.join()


def test_a_ring_has_the_entries_it_was_asked_for():
    ring = Ring(8, 64)
    assert (ring.entries, ring.cq_entries) == (8, 64)
    assert ring.enters == ring.submissions == 0
    assert ring.fileno() > 2
    ring.close()


def test_close_is_idempotent_and_frees_the_descriptor():
    import os

    ring = Ring(8, 64)
    fd = ring.fileno()
    assert "io_uring" in os.readlink(f"/proc/self/fd/{fd}")
    ring.close()
    ring.close()
    assert not os.path.exists(f"/proc/self/fd/{fd}")


def test_collection_frees_the_descriptor():
    Ring(8, 64)


def test_sizes_beyond_the_kernels_limit_are_clamped():
    ring = Ring(1 << 20, 1 << 21)
    assert ring.entries == 32768 and ring.cq_entries == 65536
    ring.close()


def test_no_entries_at_all_are_an_os_error():
    with pytest.raises(OSError):
        Ring(0, 0)


def test_a_shared_ring_belongs_to_no_thread():
    single_issuer, defer_taskrun, coop_taskrun = 1 << 12, 1 << 13, 1 << 8
    ring = Ring(8, 64, is_shared=True)
    assert ring.setup_flags & (single_issuer | defer_taskrun | coop_taskrun) == 0
    ring.close()
