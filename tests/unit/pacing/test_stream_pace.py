"""How a stream receives is chosen by what came before: the table, and what counts as a sign."""

import pytest
from state_tables import state_table

from zcloop._native.pacing import stream_pace
from zcloop._native.pacing.stream_pace import PaceOfTest

pytestmark = pytest.mark.zcloop_only

KIB = 1024
SLOT, SMALL, MUCH = 16 * KIB, 8 * KIB, 32 * KIB

WAYS = ("ring", "flood", "bulk", "overflow")
CELLS = [
    (way, sign, way if then == "-" else then)
    for sign, *ways in state_table(stream_pace, "sign", *WAYS)
    for way, then in zip(WAYS, ways, strict=True)
]


@pytest.mark.parametrize(("way", "sign", "then"), CELLS)
def test_a_sign_leads_from_each_way_to_another_or_to_none(way, sign, then):
    assert PaceOfTest(way).follow(sign) == then


# ---- in the ring ---------------------------------------------------------------------------------


def test_two_full_slots_in_a_row_lead_to_bulk():
    pace = PaceOfTest("ring")
    assert not pace.note_slot(SLOT, SLOT)
    assert pace.note_slot(SLOT, SLOT)
    assert pace.way == "bulk"


def test_a_slot_that_is_not_full_begins_the_count_anew():
    pace = PaceOfTest("ring")
    for _ in range(10):
        pace.note_slot(SLOT, SLOT)
        pace.note_slot(SLOT - 1, SLOT)
    assert pace.way == "ring"


def test_a_slot_that_was_filled_before_the_way_changed_changes_nothing():
    pace = PaceOfTest("ring")
    for _ in range(2):
        pace.note_slot(SLOT, SLOT)
    assert not pace.note_slot(SLOT, SLOT)
    assert pace.way == "bulk"


# ---- without a slot ------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["ring", "flood"])
def test_without_a_slot_it_is_received_directly_once(way):
    pace = PaceOfTest(way)
    pace.lack_slots()
    assert pace.is_direct()
    pace.note_read(MUCH - 1)
    pace.end_starving()
    assert not pace.is_direct()
    assert pace.way == way


@pytest.mark.parametrize(("way", "then"), [("ring", "bulk"), ("flood", "overflow")])
def test_what_brought_much_without_a_slot_is_received_directly_from_then_on(way, then):
    pace = PaceOfTest(way)
    pace.lack_slots()
    pace.note_read(MUCH)
    pace.end_starving()
    assert pace.way == then
    assert pace.is_direct()


def test_a_flood_goes_on_that_fills_a_block_where_no_slot_was_free():
    pace = flooded()
    pace.lack_slots()
    pace.note_read(MUCH)
    assert pace.note_block(True)
    pace.follow("poured in")
    pace.end_starving()
    assert pace.way == "flood"
    assert not pace.is_direct()


# ---- in bulk -------------------------------------------------------------------------------------


def test_sixteen_small_receives_in_a_row_are_the_rings():
    pace = PaceOfTest("bulk")
    assert [pace.note_read(SMALL) for _ in range(17)] == [False] * 15 + [True] * 2


def test_a_larger_receive_begins_the_count_of_small_ones_anew():
    pace = PaceOfTest("bulk")
    for _ in range(3):
        assert not any(pace.note_read(SMALL) for _ in range(15))
        assert not pace.note_read(SMALL + 1)


def test_after_a_large_receive_there_may_be_more():
    pace = PaceOfTest("bulk")
    for size, again in [(MUCH - 1, False), (MUCH, True), (100 * MUCH, True)]:
        pace.note_read(size)
        assert pace.reads_again(False) is again


def test_after_an_extra_receive_in_vain_three_polls_are_skipped():
    pace = PaceOfTest("bulk")
    pace.note_read(0)
    assert not pace.reads_again(True)
    assert [pace.skips_poll() for _ in range(5)] == [True, True, True, False, False]


def test_a_receive_in_vain_that_was_no_extra_one_skips_nothing():
    pace = PaceOfTest("bulk")
    pace.note_read(0)
    assert not pace.reads_again(False)
    assert not pace.skips_poll()


# ---- in a flood ----------------------------------------------------------------------------------


def flooded():
    """A pace that eight full blocks in a row have led into a flood."""
    pace = PaceOfTest("bulk")
    assert [pace.note_block(True) for _ in range(8)] == [False] * 7 + [True]
    pace.follow("poured in")
    return pace


@pytest.mark.parametrize("what", ["a block that was not filled", "a write"])
def test_what_lies_between_full_blocks_begins_their_count_anew(what):
    pace = PaceOfTest("bulk")
    for _ in range(3):
        assert not any(pace.note_block(True) for _ in range(7))
        if what == "a write":
            pace.note_write()
        else:
            pace.note_block(False)


def test_a_flood_goes_on_while_large_messages_come():
    pace = flooded()
    assert not any(pace.note_large_slot(SMALL + 1) for _ in range(100))
    assert pace.way == "flood"


def test_sixteen_small_messages_in_a_row_end_a_flood():
    pace = flooded()
    assert [pace.note_large_slot(SMALL) for _ in range(16)] == [False] * 15 + [True]
    assert pace.way == "ring"


def test_a_write_ends_a_flood_with_the_next_message():
    pace = flooded()
    pace.note_write()
    assert pace.way == "flood"
    assert pace.note_large_slot(SLOT)
    assert pace.way == "bulk"


def test_a_new_way_counts_anew():
    pace = flooded()
    for _ in range(15):
        pace.note_large_slot(SMALL)
    pace.follow("fell behind")
    assert not any(pace.note_read(SMALL) for _ in range(15))
    assert [pace.note_block(True) for _ in range(8)] == [False] * 7 + [True]
