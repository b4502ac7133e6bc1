"""Any sequence of reservations, slices, releases and closes of a region against what is held."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import zcloop

KIB = 1024


def block_size(size):
    return max(KIB, 1 << (size - 1).bit_length())


class RegionModel(RuleBasedStateMachine):
    """`held`: for each reservation its size, its pattern, and the views on it."""

    @initialize(pages=st.integers(1, 20))
    def make(self, pages):
        self.region = zcloop.Region(pages * 4096)
        self.held = []
        self.count = self.used_max = 0

    @rule(size=st.one_of(st.integers(1, 5000), st.sampled_from([1024, 4096, 16384, 100_000])))
    def reserve(self, size):
        before = self.region.statistics()
        try:
            view = self.region.reserve(size)
        except zcloop.RegionExhaustedError:
            assert self.held or block_size(size) > 1 << (before["size"].bit_length() - 1)
            assert self.region.statistics() == before
            return
        assert len(view) == size
        self.count += 1
        pattern = bytes([self.count % 251])
        view[:] = pattern * size
        self.held.insert(0, (size, pattern, [view]))

    def one(self, data):
        return self.held[data.draw(st.integers(0, len(self.held) - 1))]

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def cut(self, data):
        size, _, views = self.one(data)
        start = data.draw(st.integers(0, size))
        whole = next((view for view in views if len(view) == size), None)
        views.append((whole or views[0])[start:])

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def export_again(self, data):
        *_, views = self.one(data)
        views.append(memoryview(views[0].obj))

    @precondition(lambda self: self.held)
    @rule(data=st.data(), how=st.sampled_from(["release", "drop", "release twice"]))
    def end(self, data, how):
        entry = self.one(data)
        view = entry[2].pop(data.draw(st.integers(0, len(entry[2]) - 1)))
        if how != "drop":
            view.release()
        if how == "release twice":
            view.release()
        del view
        if not entry[2]:
            # By identity: two entries may be equal.
            self.held = [each for each in self.held if each is not entry]

    @precondition(lambda self: self.held)
    @rule()
    def close_while_out(self):
        with pytest.raises(BufferError, match=f"{len(self.held)} blocks of the region are out"):
            self.region.close()
        assert not self.region.is_closing

    @invariant()
    def books_are_right(self):
        if not hasattr(self, "region"):
            return
        found = self.region.statistics()
        used = sum(block_size(size) for size, *_ in self.held)
        self.used_max = max(self.used_max, used)
        assert found == {
            "size": self.region.size,
            "kernel": 0, "kernel_blocks": 0, "lease": 0, "lease_blocks": 0,
            "reserve": used, "reserve_blocks": len(self.held),
            "free": self.region.size - used,
            "used_max": self.used_max,
        }  # fmt: skip
        assert [lease["size"] for lease in self.region.leases()] == [size for size, *_ in self.held]
        for _, pattern, views in self.held:
            for view in views:
                assert bytes(view) == pattern * len(view)

    def teardown(self):
        if hasattr(self, "region"):
            self.held.clear()
            self.region.close()
            assert self.region.is_closed


RegionModel.TestCase.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, derandomize=True
)


@pytest.mark.seconds(60)
def test_a_region_is_its_model():
    RegionModel.TestCase("runTest").runTest()
