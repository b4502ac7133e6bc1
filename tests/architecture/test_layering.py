"""Who may know whom. CPython loads cyclic cimports without a complaint, so a test has to."""

from __future__ import annotations

import graphlib
import re
from collections.abc import Collection, Mapping, Sequence

# Below the channel nothing says asyncio; above it nothing says uring, but for these names.
KERNEL = "zcloop._native.kernel.uring"
COMPLETION_FLAGS = "the flags of a completion, in the kernel's words"
OPERATION = "an operation of its room, which writes its request into an SQE"
CHANNEL = "a channel of its room, which reads completions off its ring"
URING_ABOVE_THE_CHANNEL = {
    ("events.event_request", KERNEL): COMPLETION_FLAGS,
    ("events.shared_channel", KERNEL): CHANNEL,
    ("events.shared_channel", "io_uring_cqe"): CHANNEL,
    ("events.shared_channel", "io_uring_sqe"): CHANNEL,
    ("events.shared_channel", "self.ring.uring.cq.cqes"): CHANNEL,
    ("events.shared_channel", "self.ring.uring.cq.khead"): CHANNEL,
    ("events.shared_channel", "self.ring.uring.cq.ring_mask"): CHANNEL,
    ("ipc.blocking_call", KERNEL): OPERATION,
    ("ipc.blocking_call", "io_uring_sqe"): OPERATION,
    ("ipc.receive_queue", KERNEL): OPERATION,
    ("ipc.receive_queue", "io_uring_sqe"): OPERATION,
    ("ipc.send_queue", KERNEL): OPERATION,
    ("ipc.send_queue", "io_uring_sqe"): OPERATION,
    ("sync.futex_wait", KERNEL): OPERATION,
    ("sync.futex_wait", "io_uring_sqe"): OPERATION,
    ("transport.datagram", KERNEL): COMPLETION_FLAGS,
    ("transport.datagram", "io_uring_recvmsg_out"): "what a slot with a datagram begins with",
    ("transport.stream", KERNEL): COMPLETION_FLAGS,
}


# What only `python -m zcloop doctor` imports.
DOCTOR = "zcloop.doctor."


def forbidden(
    dependencies: Mapping[str, Collection[str]], spine: Sequence[str], rooms: Collection[str]
) -> list[str]:
    """Return imports that go up the spine, from the spine into a room, or into another room."""

    def may_know(layer: str, other: str) -> bool:
        if other in rooms:
            return layer == other
        return layer in rooms or spine.index(other) <= spine.index(layer)

    return sorted(
        f"{name} imports {other}"
        for name, others in dependencies.items()
        for other in others
        if not may_know(name.partition(".")[0], other.partition(".")[0])
    )


def test_every_module_is_on_the_spine_or_in_a_room(native, spine, rooms):
    assert {module.layer for module in native.values()} == {*spine, *rooms}


def test_the_spine_goes_down_and_rooms_know_only_the_spine(dependencies, spine, rooms):
    assert forbidden(dependencies, spine, rooms) == []


def test_an_import_that_goes_up_or_sideways_is_found():
    planted = {
        "low.a": {"low.b", "high.a", "blue.a"},
        "high.a": {"low.a", "red.a"},
        "red.a": {"red.b", "low.a", "high.a", "blue.a"},
    }
    assert forbidden(planted, ("low", "high"), ("red", "blue")) == [
        "high.a imports red.a",
        "low.a imports blue.a",
        "low.a imports high.a",
        "red.a imports blue.a",
    ]


def test_no_module_imports_itself_by_way_of_others(dependencies):
    graphlib.TopologicalSorter(dependencies).prepare()  # raises CycleError, which names them


def test_the_native_half_does_not_know_the_facade(native):
    upward = [
        f"{name} imports {imported}"
        for name, module in native.items()
        for imported in module.imports()
        if imported.split(".")[0] == "zcloop" and not imported.startswith("zcloop._native")
    ]
    assert upward == []


def test_imports_are_absolute(native, facade):
    relative = [
        f"{module.name} imports {imported}"
        for module in [*native.values(), *facade.values()]
        for imported in module.imports()
        if imported.startswith(".")
    ]
    assert relative == []


def test_the_channel_and_below_know_nothing_of_asyncio(native, spine):
    lower = spine[: spine.index("channel") + 1]
    assert [
        f"{name}: {identifier}"
        for name, module in native.items()
        if module.layer in lower
        for identifier in module.identifiers
        if "asyncio" in identifier.lower()
    ] == []


def says_uring(identifiers: Mapping[str, Collection[str]]) -> set[tuple[str, str]]:
    """Return each module with each of its names that has "uring" in it."""
    return {
        (name, one) for name, some in identifiers.items() for one in some if "uring" in one.lower()
    }


def test_nothing_above_the_channel_says_uring(native, facade, spine, rooms):
    upper = (*spine[spine.index("channel") + 1 :], *rooms)
    modules = {name: one for name, one in native.items() if one.layer in upper}
    # The doctor looks at io_uring itself, apart from the channel.
    modules |= {name: one for name, one in facade.items() if not name.startswith(DOCTOR)}
    said = says_uring({name: module.identifiers for name, module in modules.items()})
    assert said ^ URING_ABOVE_THE_CHANNEL.keys() == set()


def test_a_module_that_says_uring_is_found():
    planted = {"loop.core": {"self.uring.sq", "io_uring_sqe", "ring"}, "loop.timers": {"ring"}}
    assert says_uring(planted) == {("loop.core", "self.uring.sq"), ("loop.core", "io_uring_sqe")}


def externs_outside(layer: str, code: Mapping[str, str]) -> list[str]:
    """Return the modules outside this layer that declare what is C."""
    return [
        name
        for name, text in code.items()
        if name.partition(".")[0] != layer and re.search(r"^cdef extern\b", text, re.MULTILINE)
    ]


def test_what_is_c_is_declared_in_the_kernel_layer(native):
    assert externs_outside("kernel", {name: one.code for name, one in native.items()}) == []


def test_c_that_is_declared_elsewhere_is_found():
    planted = {
        "kernel.poll": 'cdef extern from "<poll.h>":\n    enum:\n        POLLIN',
        "loop.core": "cdef int x\ncdef extern from * nogil:\n    int y",
        "loop.extern": "cdef int extern",
    }
    assert externs_outside("kernel", planted) == ["loop.core"]


def test_nothing_but_the_front_door_knows_the_doctor(facade):
    knows = {
        name
        for name, module in facade.items()
        if not name.startswith(DOCTOR)
        and any(imported.startswith("zcloop.doctor") for imported in module.imports())
    }
    assert knows == {"zcloop.__main__"}
