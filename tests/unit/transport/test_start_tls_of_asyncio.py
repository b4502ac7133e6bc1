"""What zcloop's start_tls asks of asyncio's: its code runs with `sslproto.SSLProtocol` exchanged.

If one of these fails on a new Python, read its BaseEventLoop.start_tls and zcloop/loop/_tls.py.
"""

import ast
import asyncio
import builtins
import dis
import inspect
import textwrap
import types
from asyncio import base_events, sslproto

import pytest

import zcloop
from zcloop.loop import _tls

pytestmark = pytest.mark.zcloop_only

THEIRS = base_events.BaseEventLoop.start_tls


def source():
    return ast.parse(textwrap.dedent(inspect.getsource(THEIRS)))


def test_it_is_a_plain_coroutine_function_without_a_closure():
    assert type(THEIRS) is types.FunctionType
    assert inspect.iscoroutinefunction(THEIRS)
    assert THEIRS.__code__.co_freevars == ()


def test_it_asks_its_globals_for_what_asyncios_module_has():
    asked = {one.argval for one in dis.get_instructions(THEIRS) if one.opname == "LOAD_GLOBAL"}
    assert "sslproto" in asked
    assert {name for name in asked if not hasattr(builtins, name)} <= vars(base_events).keys()


def test_of_sslproto_it_asks_for_the_protocol_alone_and_once():
    asked = [
        one.attr
        for one in ast.walk(source())
        if isinstance(one, ast.Attribute)
        and isinstance(one.value, ast.Name)
        and one.value.id == "sslproto"
    ]
    assert asked == ["SSLProtocol"]
    names = [one.id for one in ast.walk(source()) if isinstance(one, ast.Name)]
    assert names.count("sslproto") == 1


def test_it_passes_the_five_arguments_that_ours_names_by_place():
    calls = [
        one
        for one in ast.walk(source())
        if isinstance(one, ast.Call) and ast.unparse(one.func) == "sslproto.SSLProtocol"
    ]
    assert len(calls) == 1
    assert [ast.unparse(one) for one in calls[0].args[:5]] == [
        "self", "protocol", "sslcontext", "waiter", "server_side",
    ]  # fmt: skip
    mine = list(inspect.signature(_tls._upgrading).parameters)
    assert mine[:5] == ["loop", "protocol", "sslcontext", "waiter", "server_side"]


def test_ours_is_the_same_code_with_the_same_defaults():
    assert zcloop.Loop.start_tls is _tls.start_tls
    assert _tls.start_tls.__code__ is THEIRS.__code__
    assert inspect.signature(_tls.start_tls) == inspect.signature(THEIRS)
    assert _tls.start_tls.__globals__["sslproto"].SSLProtocol is _tls._upgrading


def test_asyncios_own_makes_its_own_protocol_still():
    assert base_events.sslproto is sslproto
    assert sslproto.SSLProtocol.__module__ == "asyncio.sslproto"
    assert asyncio.SelectorEventLoop.start_tls is THEIRS
