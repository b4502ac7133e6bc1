"""asyncio.StreamReaderProtocol in native code: between a transport and a StreamReader.

It holds the reader until the connection is lost, where asyncio holds it weakly. So the transport is
paused when a reader that nobody else has reaches its limit, and nothing is dropped. Only the
program holds the writer, so a writer that is dropped closes its connection.
"""

import functools

from asyncio import coroutines

from zcloop._native.transport.receiver cimport Receiver
from zcloop._native.streams.stream_reader cimport StreamReader
from zcloop._native.streams.stream_writer cimport StreamWriter


def _served(loop, transport, task):
    """The callback's coroutine is over."""
    if task.cancelled():
        transport.close()
        return
    error = task.exception()
    if error is not None:
        loop.call_exception_handler({
            "message": "Unhandled exception in client_connected_cb",
            "exception": error,
            "transport": transport,
        })
        transport.close()


cdef class StreamReaderProtocol(FlowControl):
    """All of zcloop.StreamReaderProtocol but its descent from asyncio.Protocol."""

    def __init__(self, stream_reader, client_connected_cb=None, loop=None):
        FlowControl.__init__(self, loop)
        self._stream_reader = stream_reader
        self._client_connected_cb = client_connected_cb
        if (type(self).data_received is StreamReaderProtocol.data_received
                and getattr(type(stream_reader), "feed_data", None) is StreamReader.feed_data):
            self.receiver = <Receiver> stream_reader

    def _replace_transport(self, transport):
        self._transport = transport
        self._over_ssl = transport.get_extra_info("sslcontext") is not None
        if self._stream_reader is not None:
            self._stream_reader._transport = transport

    def connection_made(self, transport):
        """The connection is made: read from it, or serve it."""
        self._transport = transport
        if self._stream_reader is not None:
            self._stream_reader.set_transport(transport)
        self._over_ssl = transport.get_extra_info("sslcontext") is not None
        if self._client_connected_cb is not None:
            self._serve(transport)

    def _serve(self, transport):
        loop = self._loop
        answer = self._client_connected_cb(
            self._stream_reader, StreamWriter(transport, self, self._stream_reader, loop))
        if coroutines.iscoroutine(answer):
            self._task = loop.create_task(answer)
            self._task.add_done_callback(functools.partial(_served, loop, transport))

    def data_received(self, data):
        """The next bytes of the stream."""
        if self._stream_reader is not None:
            self._stream_reader.feed_data(data)

    def eof_received(self):
        """No more will come. Writing goes on, but not over TLS."""
        if self._stream_reader is not None:
            self._stream_reader.feed_eof()
        return not self._over_ssl

    def connection_lost(self, exc):
        """The connection is lost: the reader, and whoever waits to write, are told."""
        reader = self._stream_reader
        if reader is not None:
            if exc is None:
                reader.feed_eof()
            else:
                reader.set_exception(exc)
        FlowControl.connection_lost(self, exc)
        self._stream_reader = self.receiver = None
        self._transport = self._task = None
