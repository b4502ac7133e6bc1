"""Regions and buffer rings."""

import mmap

import pytest

from zcloop._native.memory.buffer_ring import BufferRing
from zcloop._native.memory.mapping import Mapping


def test_a_region_is_whole_pages():
    for size in (1, mmap.PAGESIZE, mmap.PAGESIZE + 1):
        region = Mapping(size)
        assert region.size % mmap.PAGESIZE == 0 and region.size >= size
        region.close()
        region.close()


def test_a_mapping_without_size_is_a_value_error():
    with pytest.raises(ValueError, match="size of at least one byte"):
        Mapping(0)


def test_memory_that_cannot_be_mapped_is_an_os_error():
    with pytest.raises(OSError, match=r"mapping \d+ bytes"):
        Mapping(1 << 60)


@pytest.mark.parametrize("count", [0, 3, 65536])
def test_a_buffer_ring_takes_a_power_of_two_of_slots(count):
    with pytest.raises(ValueError, match="power of two"):
        BufferRing(1, count, 4096)


def test_a_new_buffer_ring_has_lent_nothing():
    pool = BufferRing(3, 8, 4096)
    assert (pool.group, pool.count, pool.slot_size, pool.lent) == (3, 8, 4096, 0)
