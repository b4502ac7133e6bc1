"""Who may know whom. CPython loads cyclic cimports without a complaint, so a test has to."""

from __future__ import annotations

import graphlib

# Below the channel nothing says asyncio; above it nothing says uring, but for these names.
COMPLETION_FLAGS = "the flags of a completion, in the kernel's words"
URING_ABOVE_THE_CHANNEL = {
    ("transport.datagram", "zcloop._native.kernel.uring"): COMPLETION_FLAGS,
    ("transport.datagram", "io_uring_recvmsg_out"): "what a slot with a datagram begins with",
    ("transport.stream", "zcloop._native.kernel.uring"): COMPLETION_FLAGS,
}


# What only `python -m zcloop doctor` imports.
DOCTOR = "zcloop.doctor."


def test_every_module_is_in_a_layer(native, layers):
    assert {module.layer for module in native.values()} == set(layers)


def test_a_module_imports_from_its_own_layer_or_lower_ones(native, layers, dependencies):
    upward = [
        f"{name} imports {other}"
        for name, others in dependencies.items()
        for other in others
        if layers.index(native[other].layer) > layers.index(native[name].layer)
    ]
    assert upward == []


def test_services_do_not_know_each_other(dependencies):
    services = {name for name in dependencies if name.startswith("service.")}
    assert [
        f"{name} imports {other}" for name in services for other in dependencies[name] & services
    ] == []


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


def test_the_channel_and_below_know_nothing_of_asyncio(native, layers):
    lower = layers[: layers.index("channel") + 1]
    assert [
        f"{name}: {identifier}"
        for name, module in native.items()
        if module.layer in lower
        for identifier in module.identifiers
        if "asyncio" in identifier.lower()
    ] == []


def test_nothing_above_the_channel_says_uring(native, facade, layers):
    upper = layers[layers.index("channel") + 1 :]
    modules = [module for module in native.values() if module.layer in upper]
    # The doctor looks at io_uring itself, apart from the channel.
    modules += [one for name, one in facade.items() if not name.startswith(DOCTOR)]
    said = {
        (module.name, identifier)
        for module in modules
        for identifier in module.identifiers
        if "uring" in identifier.lower()
    }
    assert said == URING_ABOVE_THE_CHANNEL.keys()


def test_nothing_but_the_front_door_knows_the_doctor(facade):
    knows = {
        name
        for name, module in facade.items()
        if not name.startswith(DOCTOR)
        and any(imported.startswith("zcloop.doctor") for imported in module.imports())
    }
    assert knows == {"zcloop.__main__"}
