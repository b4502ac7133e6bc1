"""Leases: a block is out exactly as long as something can reach it."""

import array
import ctypes
import gc
import json
import re
import struct
import sys
import threading

import pytest

import zcloop

pytestmark = pytest.mark.zcloop_only

SIZE = 64 * 1024


@pytest.fixture
def region():
    with zcloop.Region(SIZE) as made:
        yield made
        gc.collect()


def is_home(region):
    return region.free_bytes == region.size and region.leases() == []


def test_release_gives_the_block_back_at_once(region):
    view = region.reserve(10)
    view.release()
    assert is_home(region)


def test_releasing_twice_is_one_release(region):
    view, other = region.reserve(10), region.reserve(10)
    view.release()
    view.release()
    assert len(region.leases()) == 1
    other.release()


@pytest.mark.parametrize(
    "use",
    [bytes, len, memoryview, lambda view: view[0], lambda view: view.__setitem__(0, 1),
     lambda view: view.nbytes, lambda view: view.obj, lambda view: struct.unpack_from("B", view)],
    ids=["bytes", "len", "memoryview", "get", "set", "nbytes", "obj", "struct"],
)  # fmt: skip
def test_use_after_release_is_a_value_error(region, use):
    view = region.reserve(10)
    view.release()
    with pytest.raises(ValueError, match="released"):
        use(view)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2]])
def test_a_slice_keeps_the_block(region, order):
    view = region.reserve(1000)
    views = [view, view[10:20], view.cast("I")[1:]]
    for index in order:
        assert len(region.leases()) == 1
        views[index].release()
    assert is_home(region)


def test_a_dropped_view_gives_the_block_back(region):
    region.reserve(10)
    gc.collect()
    assert is_home(region)


def test_a_cycle_that_holds_a_view_gives_it_back_when_collected(region):
    class Holder:
        pass

    holder = Holder()
    holder.myself, holder.view, holder.part = holder, region.reserve(10), None
    holder.part = holder.view[2:]
    del holder
    gc.collect()
    assert is_home(region)


def test_release_in_another_thread(region):
    view = region.reserve(10)
    thread = threading.Thread(target=view.release)
    thread.start()
    thread.join()
    assert is_home(region)


# ---- other exports -------------------------------------------------------------------------------


def test_a_ctypes_array_keeps_the_block(region):
    view = region.reserve(16)
    array_ = (ctypes.c_uint8 * 16).from_buffer(view)
    view.release()
    assert len(region.leases()) == 1
    array_[3] = 200
    assert array_[3] == 200
    del array_
    gc.collect()
    assert is_home(region)


def test_a_numpy_array_keeps_the_block(region):
    numpy = pytest.importorskip("numpy", reason="numpy is not installed")
    view = region.reserve(16)
    found = numpy.frombuffer(view, numpy.uint8)
    del view
    assert len(region.leases()) == 1
    found[:] = 3
    del found
    gc.collect()
    assert is_home(region)


def test_struct_re_and_array_read_in_place(region):
    with region.reserve(100) as view:
        view[:] = bytes(100)
        view[:11] = b"GET / HTTP/"
        struct.pack_into("!I", view, 20, 0x01020304)
        assert struct.unpack_from("!I", view, 20) == (0x01020304,)
        assert struct.unpack("!I", view[20:24]) == (0x01020304,)
        assert array.array("B", view[20:24]).tolist() == [1, 2, 3, 4]
        assert re.match(rb"GET (\S+)", view).group(1) == b"/"
    assert is_home(region)


def test_a_match_keeps_the_block(region):
    view = region.reserve(100)
    view[:5] = b"a=b;c"
    match = re.search(rb"=(.)", view)
    del view
    assert match.group(1) == b"b" and len(region.leases()) == 1
    del match
    assert is_home(region)


def test_json_wants_bytes_and_says_so(region):
    with region.reserve(2) as view:
        view[:] = b"{}"
        with pytest.raises(TypeError, match="memoryview"):
            json.loads(view)
        assert json.loads(bytes(view)) == {}


def test_the_exporter_can_be_exported_again_as_long_as_it_is_held(region):
    view = region.reserve(10)
    view[:] = b"0123456789"
    exporter = view.obj
    view.release()
    with region.reserve(10) as other:
        other[:] = b"x" * 10
        again = memoryview(exporter)
        assert bytes(again) == b"0123456789"
        del exporter
        again.release()
    assert is_home(region)


def test_an_exporter_is_not_made_by_hand(region):
    with region.reserve(1) as view:
        kind = type(view.obj)
    with pytest.raises(TypeError, match="made by zcloop alone"):
        kind()
    with pytest.raises(TypeError):
        type("Sub", (kind,), {})


def test_a_read_only_view_is_read_only_and_keeps_the_block(region):
    view = region.reserve(4)
    shown = view.toreadonly()
    view.release()
    with pytest.raises(TypeError, match="read-only"):
        shown[0] = 1
    assert len(region.leases()) == 1
    shown.release()
    assert is_home(region)


def test_a_released_block_is_used_again_and_no_view_shows_it(region):
    view = region.reserve(SIZE)
    part = view[5:10]
    view.release()
    with pytest.raises(zcloop.RegionExhaustedError):
        region.reserve(SIZE)
    part.release()
    with region.reserve(SIZE), pytest.raises(ValueError):
        bytes(part)


def test_references_are_balanced(region):
    before = sys.getrefcount(region)
    for _ in range(100):
        view = region.reserve(10)
        part = view[2:]
        view.release()
        part.release()
    assert sys.getrefcount(region) == before
