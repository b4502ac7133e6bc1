"""Classes of zero-copy protocols: which methods they are to have."""

import asyncio
import warnings

import pytest

import zcloop

pytestmark = pytest.mark.zcloop_only


def test_a_class_that_would_lose_what_it_receives_is_warned_of():
    with pytest.warns(RuntimeWarning, match=r"Stream has data_received\(\), which is not called"):

        class Stream(zcloop.ZeroCopyProtocol):
            def data_received(self, data):
                pass

    with pytest.warns(RuntimeWarning, match=r"no datagram_buffer_received\(\)") as caught:

        class Datagrams(zcloop.ZeroCopyDatagramProtocol):
            def datagram_received(self, data, addr):
                pass

    assert caught[0].filename == __file__


def test_a_class_for_this_loop_and_for_others_is_not():
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        class Both(zcloop.ZeroCopyProtocol, asyncio.Protocol):
            def data_received(self, data):
                pass

            def buffer_received(self, view):
                view.release()

        class Sink(zcloop.ZeroCopyProtocol):
            pass
