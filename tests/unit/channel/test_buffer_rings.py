"""The six kinds of buffer rings, as their table has them."""

from __future__ import annotations

import pytest
from state_tables import state_table

from zcloop._native.channel import buffer_rings

pytestmark = pytest.mark.zcloop_only
COLUMNS = ("group", "kind", "slots", "bytes", "lends", "what it is for")
ROWS = state_table(buffer_rings, *COLUMNS)


@pytest.mark.parametrize("row", ROWS, ids=[row[1] for row in ROWS])
def test_a_ring_is_what_its_row_says(row):
    group, _, slots, size, lends, _ = row
    assert buffer_rings.shape(int(group)) == (int(slots), int(size), lends == "yes")


def test_each_kind_has_a_row():
    assert [row[0] for row in ROWS] == [str(number) for number in range(1, len(ROWS) + 1)]
    for number in (0, len(ROWS) + 1):
        with pytest.raises(ValueError, match="no kind"):
            buffer_rings.shape(number)
