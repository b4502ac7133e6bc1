"""Our objects take whatever asyncio may call on them.

The interpreter's own asyncio calls methods that we override, the private ones too, and each version
of Python may pass them more arguments. So every method of ours that has the name of a method of
asyncio's is compared with that one, in the interpreter that runs this test. Each call that theirs
accepts, ours has to accept.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import pkgutil
import types
from asyncio import base_events, selector_events, sslproto, unix_events
from collections.abc import Callable, Iterator
from inspect import Parameter, Signature
from typing import Any

import pytest

import zcloop
from zcloop import streams
from zcloop._native.loop.handle import Handle
from zcloop._native.loop.timers import TimerHandle
from zcloop._native.transport.datagram import Datagram
from zcloop._native.transport.lazy_slot import LazySlot
from zcloop._native.transport.pipe_writer import PipeWriter
from zcloop._native.transport.stream import Stream
from zcloop.loop import Loop
from zcloop.loop._pipes import ReadPipeTransport, WritePipeTransport
from zcloop.loop._subprocess import SubprocessTransport
from zcloop.loop._tls import SSLTransport, TlsProtocol
from zcloop.loop._transports import DatagramTransport, StreamTransport

# Our classes that stand in for a class of asyncio's, many of them without deriving from it.
COUNTERPARTS: dict[type, type] = {
    Loop: unix_events._UnixSelectorEventLoop,
    StreamTransport: selector_events._SelectorSocketTransport,
    DatagramTransport: selector_events._SelectorDatagramTransport,
    ReadPipeTransport: unix_events._UnixReadPipeTransport,
    WritePipeTransport: unix_events._UnixWritePipeTransport,
    SubprocessTransport: unix_events._UnixSubprocessTransport,
    TlsProtocol: sslproto.SSLProtocol,
    SSLTransport: sslproto._SSLProtocolTransport,
    streams.StreamReader: asyncio.StreamReader,
    streams.StreamWriter: asyncio.StreamWriter,
    streams.StreamReaderProtocol: asyncio.StreamReaderProtocol,
    Handle: asyncio.Handle,
    TimerHandle: asyncio.TimerHandle,
}

FUNCTIONS: list[tuple[Callable[..., Any], Callable[..., Any]]] = [
    (streams.open_connection, asyncio.open_connection),
    (streams.open_unix_connection, asyncio.open_unix_connection),
    (streams.start_server, asyncio.start_server),
    (streams.start_unix_server, asyncio.start_unix_server),
    (zcloop.new_event_loop, asyncio.new_event_loop),
]

# A slot of the Python half holds a bound method of the native half.
NATIVE_HALVES: dict[type, type] = {
    StreamTransport: Stream,
    DatagramTransport: Datagram,
    WritePipeTransport: PipeWriter,
    SSLTransport: TlsProtocol,
}

# Methods that only share the name, and why nobody but we calls ours.
OURS_ALONE = {
    "_sock_recv": "asyncio's is a step of its own sock_recv, which is not ours",
    "_sock_recv_into": "asyncio's is a step of its own sock_recv_into",
    "_sock_sendall": "asyncio's is a step of its own sock_sendall",
}


def refusals(ours: Signature, theirs: Signature) -> list[str]:
    """Return what a caller may pass to `theirs`, or leave out, that `ours` does not accept."""
    found: list[str] = []
    mine = list(ours.parameters.values())
    kinds = {parameter.kind for parameter in mine}
    named = {one.name: one for one in mine if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)}
    places = [one for one in mine if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    matched: set[str] = set()
    for place, parameter in enumerate(theirs.parameters.values()):
        name, kind = parameter.name, parameter.kind
        if kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
            if kind not in kinds:
                found.append(str(parameter))
            continue
        is_optional = parameter.default is not Parameter.empty
        taker: Parameter | None = named.get(name)
        if kind is not Parameter.KEYWORD_ONLY:
            if place < len(places):
                taker = places[place]
            elif Parameter.VAR_POSITIONAL not in kinds:
                found.append(f"{name}, the positional argument {place}")
                continue
        by_name = name in named and named[name].kind is not Parameter.POSITIONAL_ONLY
        if kind is not Parameter.POSITIONAL_ONLY and place > 0:
            if not by_name and Parameter.VAR_KEYWORD not in kinds:
                found.append(f"{name}=")
            elif by_name and taker is not None and taker.name != name:
                found.append(f"{name}, which is at another place")
        if taker is not None:
            matched.add(taker.name)
            if is_optional and taker.default is Parameter.empty:
                found.append(f"a call without {name}")
    return found + [
        f"a call without {name}"
        for name, one in named.items()
        if name not in matched and one.default is Parameter.empty
    ]


def definer(cls: type, name: str) -> type:
    return next(one for one in cls.__mro__ if name in vars(one))


def implementation(cls: type, name: str) -> Any:
    """Return the function that a call arrives at. For a slot it is the native half's method."""
    found = inspect.getattr_static(cls, name)
    if isinstance(found, (types.MemberDescriptorType, LazySlot)):
        return getattr(NATIVE_HALVES[cls], name)
    return getattr(cls, name)


def classes() -> Iterator[type]:
    """Every class of the facade, and those of the native half that stand for one of asyncio's."""
    yield from COUNTERPARTS
    for module in pkgutil.iter_modules(zcloop.__path__, "zcloop."):
        if module.name == "zcloop._native":
            continue
        for one in vars(importlib.import_module(module.name)).values():
            if isinstance(one, type) and one.__module__ == module.name and one not in COUNTERPARTS:
                yield one


def overrides(cls: type) -> Iterator[tuple[str, Any, Any]]:
    """Yield each method that asyncio has, too: its name, ours and theirs."""
    theirs = [one for one in cls.__mro__ if one.__module__.partition(".")[0] == "asyncio"]
    theirs.insert(0, COUNTERPARTS.get(cls, object))
    for name in sorted({name for one in theirs for name in dir(one) if not name.startswith("__")}):
        if name in OURS_ALONE or not hasattr(cls, name):
            continue
        if definer(cls, name).__module__.partition(".")[0] != "zcloop":
            continue
        original = next(getattr(one, name) for one in theirs if hasattr(one, name))
        if inspect.isroutine(original):
            yield name, implementation(cls, name), original


def offences(cls: type) -> list[str]:
    return [
        f"{cls.__name__}.{name} does not take {refusal}"
        for name, ours, theirs in overrides(cls)
        for refusal in refusals(inspect.signature(ours), inspect.signature(theirs))
    ]


@pytest.mark.parametrize("cls", list(classes()), ids=lambda cls: cls.__qualname__)
def test_a_method_takes_whatever_asyncios_own_takes(cls: type) -> None:
    assert offences(cls) == []


@pytest.mark.parametrize(("ours", "theirs"), FUNCTIONS, ids=lambda function: function.__name__)
def test_a_function_takes_whatever_asyncios_own_takes(ours: Any, theirs: Any) -> None:
    assert refusals(inspect.signature(ours), inspect.signature(theirs)) == []


def test_what_asyncio_calls_is_among_what_is_compared() -> None:
    compared = {name for name, _, _ in overrides(Loop)}
    assert {
        "_add_reader", "_add_writer", "_make_datagram_transport", "_make_socket_transport",
        "_make_ssl_transport", "_make_subprocess_transport", "_run_once", "_start_serving",
        "_stop_serving", "call_soon", "call_soon_threadsafe", "create_connection", "create_server",
        "create_task", "run_in_executor", "sock_recv",
    } <= compared  # fmt: skip
    assert {"write", "writelines"} <= {name for name, _, _ in overrides(StreamTransport)}
    assert {"write", "abort"} <= {name for name, _, _ in overrides(SSLTransport)}
    assert "sendto" in {name for name, _, _ in overrides(DatagramTransport)}


def test_a_name_that_is_ours_alone_is_still_asyncios() -> None:
    assert [name for name in OURS_ALONE if not hasattr(COUNTERPARTS[Loop], name)] == []


# ---- the comparison finds planted offenders ------------------------------------------------------


class Newer(base_events.BaseEventLoop):
    """An asyncio that passes more than ours takes."""

    def _start_serving(self, protocol_factory, sock, sslcontext=None, *, context=None): ...

    def _add_reader(self, fd, callback, *args, context=None): ...

    def close(self, hurry=False): ...


class Older(Newer):
    def _start_serving(self, protocol_factory, sock, sslcontext=None): ...

    def _add_reader(self, fd, callback, *args): ...

    def close(self): ...


Older.__module__ = "zcloop.planted"
Newer.__module__ = "asyncio.planted"


def test_an_argument_that_only_a_newer_asyncio_passes_is_found() -> None:
    assert offences(Older) == [
        "Older._add_reader does not take context=",
        "Older._start_serving does not take context=",
        "Older.close does not take hurry, the positional argument 1",
    ]


@pytest.mark.parametrize(
    ("ours", "theirs", "refused"),
    [
        (lambda self, a: 0, lambda self, a: 0, []),
        (lambda self, a, b=0, **more: 0, lambda self, a, *, c=0: 0, []),
        (lambda self, *args, **more: 0, lambda self, a, b=0, *, c=0: 0, []),
        (lambda self, a, *, loop=None: 0, lambda self, a: 0, []),
        (lambda self, a, b: 0, lambda self, a: 0, ["a call without b"]),
        (lambda self, a, b: 0, lambda self, a, b=0: 0, ["a call without b"]),
        (lambda self, a, *, c: 0, lambda self, a, *, c=0: 0, ["a call without c"]),
        (lambda self, b: 0, lambda self, a: 0, ["a="]),
        (lambda self, b, a: 0, lambda self, a, b: 0,
         ["a, which is at another place", "b, which is at another place"]),
        (lambda self, *, a: 0, lambda self, a: 0,
         ["a, the positional argument 1", "a call without a"]),
        (lambda self, a: 0, lambda self, a, *args: 0, ["*args"]),
        (lambda self, a: 0, lambda self, a, **more: 0, ["**more"]),
    ],
)  # fmt: skip
def test_a_refusal_is_named(ours: Any, theirs: Any, refused: list[str]) -> None:
    assert refusals(inspect.signature(ours), inspect.signature(theirs)) == refused
