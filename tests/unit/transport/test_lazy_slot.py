"""The method that a transport binds when it is first used."""

import pytest
from peers import connection
from recording import Recorder

from zcloop._native.transport.lazy_slot import LazySlot
from zcloop.loop._transports import StreamTransport

pytestmark = pytest.mark.zcloop_only


async def test_a_method_is_bound_once_and_belongs_to_the_stream():
    async with connection(Recorder) as (transport, _, _):
        bound = transport.write
        assert bound is transport.write
        assert bound.__self__ is transport._stream


async def test_a_replaced_method_comes_back_when_it_is_deleted():
    async with connection(Recorder) as (transport, _, _):
        transport.write = print
        assert transport.write is print
        del transport.write
        assert transport.write.__self__ is transport._stream
        del transport.write
        with pytest.raises(AttributeError):
            del transport.write


def test_the_class_shows_the_slot():
    assert type(StreamTransport.write) is LazySlot


def test_only_a_slot_can_be_filled_lazily():
    with pytest.raises(TypeError, match="no slot"):
        LazySlot(print)


def test_another_class_of_instances_is_not_read_as_one_of_its_own():
    class Other:
        write = StreamTransport.write
        _stream = 1

    with pytest.raises(AttributeError):
        _ = Other().write
    with pytest.raises(TypeError):
        Other().write = 1
