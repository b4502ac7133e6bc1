"""asyncio.StreamWriter in native code."""

import asyncio
import warnings

from zcloop._native.streams.done cimport DONE
from zcloop._native.streams.flow_control cimport FlowControl
from zcloop._native.transport.stream cimport Stream
from zcloop._native.streams.stream_input cimport StreamInput


cdef class StreamWriter:
    """Writes to a transport: asyncio.StreamWriter, native. Not thread-safe."""

    def __init__(self, transport, protocol, reader, loop):
        self._protocol = protocol
        self._reader = reader
        self._loop = loop
        self.input = reader if isinstance(reader, StreamInput) else None
        self.set_transport(transport)

    cdef int set_transport(self, object transport) except -1:
        native = getattr(transport, "_stream", None)
        # A TLS transport shows the stream below it, but writes other bytes to it than it is given.
        is_its_own = isinstance(native, Stream) and native.face is transport
        self._transport = transport
        self.stream = native if is_its_own else None
        self.stream_write = transport.write if is_its_own else None
        # Then drain() knows the protocol's answer without asking it.
        self.is_direct = (is_its_own and self.input is not None
                          and isinstance(self._protocol, FlowControl))
        return 0

    def __repr__(self):
        reader = "" if self._reader is None else f" reader={self._reader!r}"
        return f"<{type(self).__name__} transport={self._transport!r}{reader}>"

    @property
    def transport(self):
        """The transport that is written to."""
        return self._transport

    def write(self, data):
        """Accept `data` for sending, as the transport's write(). It never blocks."""
        write = self._transport.write
        if write is self.stream_write:
            self.stream.accept(data)
        else:
            write(data)

    def writelines(self, data):
        """Write each piece, one after another."""
        self._transport.writelines(data)

    def write_eof(self):
        """Close the writing half of the connection when what was written is sent."""
        return self._transport.write_eof()

    def can_write_eof(self):
        """Whether the transport can close its writing half alone."""
        return self._transport.can_write_eof()

    def close(self):
        """Close the transport when what was written is sent. Idempotent."""
        return self._transport.close()

    def is_closing(self):
        """Whether it is closed or about to be."""
        return self._transport.is_closing()

    async def wait_closed(self):
        """Wait until the connection is gone. Raises the error that ended it, if it was one."""
        await self._protocol._get_close_waiter(self)

    def get_extra_info(self, name, default=None):
        """What the transport knows of `name`."""
        return self._transport.get_extra_info(name, default)

    def drain(self):
        """Wait until the transport wants more data: not at all, unless much is queued.

        The call itself looks whether there is need to wait, not the `await`. Raises the error that
        ended the connection: the reader's if it has one, else ConnectionResetError.
        """
        if self.is_direct and self.stream.may_write() and self.input.error is None:
            return DONE
        return self._drain()

    async def _drain(self):
        if self._reader is not None:
            error = self._reader.exception()
            if error is not None:
                raise error
        if self._transport.is_closing():
            # Let connection_lost() be called: a program that writes and drains in a loop must hear
            # of it.
            await asyncio.sleep(0)
        await self._protocol._drain_helper()

    async def start_tls(self, sslcontext, *, server_hostname=None, ssl_handshake_timeout=None,
                        ssl_shutdown_timeout=None):
        """Encrypt the connection from here on, as the server if the connection was accepted.

        Arguments and errors are those of the loop's start_tls().
        """
        await self.drain()
        transport = await self._loop.start_tls(
            self._transport, self._protocol, sslcontext,
            server_side=self._protocol._client_connected_cb is not None,
            server_hostname=server_hostname, ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout)
        self.set_transport(transport)
        self._protocol._replace_transport(transport)

    def __del__(self):
        if self._transport is None or self._transport.is_closing():
            return
        if self._loop.is_closed():
            warnings.warn("loop is closed", ResourceWarning)
        else:
            self.close()
            warnings.warn(f"unclosed {self!r}", ResourceWarning)
