"""Regions: what they hand out, what they say of themselves, and how they end."""

import gc
import mmap
import signal
import threading

import pytest

import zcloop

pytestmark = pytest.mark.zcloop_only

KIB = 1024
MIB = 1024 * KIB


@pytest.fixture
def region():
    with zcloop.Region(1 * MIB) as made:
        yield made
        gc.collect()


def is_balanced(statistics):
    used = statistics["kernel"] + statistics["lease"] + statistics["reserve"]
    return statistics["size"] == used + statistics["free"]


# ---- making one ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, mmap.PAGESIZE, mmap.PAGESIZE + 1, 3 * MIB - 1])
def test_a_region_is_whole_pages(size):
    with zcloop.Region(size) as region:
        assert region.size % mmap.PAGESIZE == 0
        assert size <= region.size < size + mmap.PAGESIZE


def test_huge_pages_round_up_to_two_mib():
    with zcloop.Region(1, huge_pages=True) as region, region.reserve(2 * MIB) as view:
        view[-1] = 1
        assert region.size == len(view) == 2 * MIB


def test_a_region_without_size_is_a_value_error():
    with pytest.raises(ValueError, match="size of at least one byte"):
        zcloop.Region(0)


@pytest.mark.parametrize("size", [1 << 60, (1 << 64) - 1])
def test_a_region_that_cannot_be_mapped_is_an_os_error(size):
    with pytest.raises(OSError, match=r"mapping \d+ bytes"):
        zcloop.Region(size)


@pytest.mark.parametrize("size", [-1, 1 << 64])
def test_a_size_that_is_none_is_an_overflow_error(size):
    with pytest.raises(OverflowError):
        zcloop.Region(size)


@pytest.mark.parametrize("pinned", [True, False])
def test_pinned_is_what_was_asked_for(pinned):
    with zcloop.Region(4096, pinned=pinned) as region:
        assert region.pinned is pinned


def test_regions_are_pinned_by_default():
    with zcloop.Region(4096) as region:
        assert region.pinned


# ---- reserving -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 1023, 1024, 1025, 100_000, MIB])
def test_a_reservation_is_a_writable_view_of_the_size(region, size):
    with region.reserve(size) as view:
        assert (view.nbytes, view.format, view.readonly) == (size, "B", False)
        view[0] = view[-1] = 7
        assert region.free_bytes == region.size - max(KIB, 1 << (size - 1).bit_length())
    assert region.free_bytes == region.size


def test_a_reservation_of_nothing_is_a_value_error(region):
    with pytest.raises(ValueError, match="at least one byte"):
        region.reserve(0)


@pytest.mark.parametrize("size", [-1, 1 << 64])
def test_a_reservation_of_an_impossible_size_is_an_overflow_error(region, size):
    with pytest.raises(OverflowError):
        region.reserve(size)


@pytest.mark.parametrize("size", [MIB + 1, 1 << 31, 1 << 41, 1 << 42, 1 << 62, 1 << 63,
                                  (1 << 64) - 1024, (1 << 64) - 1023, (1 << 64) - 1])  # fmt: skip
def test_a_reservation_larger_than_the_region_is_refused(region, size):
    with pytest.raises(zcloop.RegionExhaustedError, match=f"no free block of {size} bytes"):
        region.reserve(size)
    assert region.free_bytes == region.size


def test_exhaustion_says_what_is_in_use_and_what_to_do(region):
    with region.reserve(512 * KIB), pytest.raises(zcloop.RegionExhaustedError) as caught:
        region.reserve(MIB)
    assert isinstance(caught.value, MemoryError)
    assert str(caught.value) == (
        "no free block of 1048576 bytes in <Region of 1048576 bytes, 524288 in use>: "
        "release views, reserve less, or make a larger region"
    )
    assert region.free_bytes == region.size


def test_a_refused_reservation_takes_nothing(region):
    views = [region.reserve(KIB) for _ in range(KIB)]
    before = region.statistics()
    with pytest.raises(zcloop.RegionExhaustedError):
        region.reserve(1)
    assert region.statistics() == before
    for view in views:
        view.release()


def test_used_max_is_the_most_that_was_ever_out(region):
    assert region.used_max == 0
    with region.reserve(100 * KIB), region.reserve(1):
        assert region.used_max == 129 * KIB
    with region.reserve(KIB):
        assert region.used_max == 129 * KIB == region.statistics()["used_max"]


def test_reservations_do_not_overlap(region):
    views = [region.reserve(size) for size in (1, 1024, 5000, 70_000, 3, 2048)]
    for number, view in enumerate(views):
        view[:] = bytes([number]) * len(view)
    for number, view in enumerate(views):
        assert bytes(view) == bytes([number]) * len(view)
        view.release()


def test_statistics_balance_and_count_blocks(region):
    views = [region.reserve(size) for size in (1, 3000, 20_000)]
    found = region.statistics()
    assert is_balanced(found)
    assert (found["reserve"], found["reserve_blocks"]) == (37 * KIB, 3)
    assert found["kernel"] == found["lease"] == found["kernel_blocks"] == found["lease_blocks"] == 0
    for view in views:
        view.release()
    assert region.statistics() == {**found, "reserve": 0, "reserve_blocks": 0, "free": MIB}


def test_leases_tell_sizes_newest_first_and_ages(region):
    with region.reserve(10), region.reserve(20):
        newest, oldest = region.leases()
        assert (newest["size"], oldest["size"]) == (20, 10)
        assert newest["use"] == oldest["use"] == "reserve"
        assert newest["owner"] is oldest["owner"] is None
        assert 0 <= newest["age"] <= oldest["age"] + 0.01 < 1
    assert region.leases() == []


def test_leases_may_be_listed_while_the_collector_ends_some(region):
    """The collector runs while the list is being made, and takes entries out of it."""

    class Holder:
        pass

    def make_cycle():
        holder = Holder()
        holder.myself, holder.view = holder, region.reserve(1)

    kept = []
    threshold = gc.get_threshold()
    gc.collect()
    try:
        for start in range(0, 100, 5):
            gc.disable()
            for _ in range(200):
                make_cycle()
            kept.append(region.reserve(2))
            # Not at once, but when about so many entries have been made.
            gc.set_threshold(gc.get_count()[0] + start)
            gc.enable()
            sizes = [lease["size"] for lease in region.leases()]
            assert set(sizes) <= {1, 2} and sizes.count(2) == len(kept)
            gc.collect()
            assert [lease["size"] for lease in region.leases()] == [2] * len(kept)
    finally:
        gc.set_threshold(*threshold)
        gc.enable()
        for view in kept:
            view.release()


# ---- threads -------------------------------------------------------------------------------------


@pytest.mark.seconds(60)
def test_threads_may_reserve_and_release_at_once(region):
    failures = []

    def work(number):
        try:
            pattern = bytes([number])
            for step in range(3000):
                try:
                    view = region.reserve(1 + step * 37 % 9000)
                except zcloop.RegionExhaustedError:
                    continue
                view[:] = pattern * len(view)
                other = region.reserve(1) if step % 3 else view[1:]
                assert bytes(view) == pattern * len(view)
                other.release()
                view.release()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert is_balanced(region.statistics())
        region.leases()
    for thread in threads:
        thread.join()
    assert failures == []
    assert region.free_bytes == region.size


def test_what_one_thread_reserved_another_may_release(region):
    views = [region.reserve(5000) for _ in range(20)]
    thread = threading.Thread(target=lambda: [view.release() for view in views])
    thread.start()
    thread.join()
    assert region.free_bytes == region.size


# ---- closing -------------------------------------------------------------------------------------


def test_close_is_idempotent_and_final():
    region = zcloop.Region(MIB)
    region.close()
    region.close()
    assert region.is_closed and region.is_closing
    assert repr(region) == "<Region of 1048576 bytes, closed>"
    with pytest.raises(ValueError, match="the region is closed"):
        region.reserve(1)


def test_the_end_of_a_with_closes():
    with zcloop.Region(MIB) as region:
        assert not region.is_closed
    assert region.is_closed


def test_close_while_lent_raises_and_says_who_holds_what(region):
    with region.reserve(3000):
        with pytest.raises(BufferError) as caught:
            region.close()
        assert str(caught.value) == (
            "1 blocks of the region are out: 3000 bytes by a reservation; "
            "release their views, or close with a timeout to wait for them"
        )
        assert not region.is_closed and not region.is_closing
        region.reserve(1).release()


def test_close_with_a_timeout_gives_up_and_goes_on_as_before(region):
    with region.reserve(1):
        with pytest.raises(BufferError):
            region.close(0.01)
        assert not region.is_closing
        region.reserve(1).release()


@pytest.mark.parametrize("timeout", [None, 20])
def test_close_waits_for_what_another_thread_releases(timeout):
    region = zcloop.Region(MIB)
    views = [region.reserve(1000) for _ in range(3)]

    def release():
        while not region.is_closing:
            pass
        for view in views:
            with pytest.raises(ValueError, match="the region is closed"):
                region.reserve(1)
            view.release()

    thread = threading.Thread(target=release)
    thread.start()
    region.close(timeout)
    thread.join()
    assert region.is_closed


def test_every_thread_that_waits_for_the_close_returns():
    region = zcloop.Region(MIB)
    view = region.reserve(1000)
    threads = [threading.Thread(target=region.close, args=(None,), daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    while not region.is_closing:
        pass
    view.release()
    for thread in threads:
        thread.join(5)
    assert [thread.is_alive() for thread in threads] == [False] * 3
    assert region.is_closed


def test_a_close_that_fails_does_not_end_another_that_waits():
    region = zcloop.Region(MIB)
    view = region.reserve(1000)
    thread = threading.Thread(target=region.close, args=(None,), daemon=True)
    thread.start()
    while not region.is_closing:
        pass
    with pytest.raises(BufferError):
        region.close()
    with pytest.raises(ValueError, match="the region is closed"):
        region.reserve(1)
    view.release()
    thread.join(5)
    assert not thread.is_alive() and region.is_closed


def test_an_interrupted_close_leaves_the_region_as_it_was(region):
    interrupted = threading.Event()

    def interrupt(number, frame):
        if region.is_closing and not interrupted.is_set():
            interrupted.set()
            raise KeyboardInterrupt

    def send():
        # Again and again: the first may come before the thread sleeps, and not wake it.
        while not interrupted.wait(0.001):
            signal.pthread_kill(main, signal.SIGUSR1)

    previous = signal.signal(signal.SIGUSR1, interrupt)
    main = threading.get_ident()
    view = region.reserve(1)
    thread = threading.Thread(target=send)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            region.close(None)
    finally:
        interrupted.set()
        thread.join()
        signal.signal(signal.SIGUSR1, previous)
    assert not region.is_closing
    region.reserve(1).release()
    view.release()


def test_the_memory_outlives_the_last_reference_to_its_region():
    view = zcloop.Region(MIB).reserve(100)
    gc.collect()
    view[:] = b"x" * 100
    assert bytes(view) == b"x" * 100
    view.release()
