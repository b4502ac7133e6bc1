"""The protocols that a program implements to be lent received bytes in place of copies.

A transport asks isinstance, as asyncio's transports ask for BufferedProtocol.
"""

import warnings
from asyncio import BaseProtocol


def _warn_of_what_is_not_called(cls, kind, called, not_called):
    """Warn of a protocol class that has the method of asyncio's protocols in place of ours."""
    if hasattr(cls, not_called) and getattr(cls, called) is getattr(kind, called):
        warnings.warn(
            f"{cls.__qualname__} has {not_called}(), which is not called of a {kind.__name__}, "
            f"and no {called}(): what is received would be lost",
            RuntimeWarning,
        )


class ZeroCopyProtocol(BaseProtocol):
    """A protocol of a stream that gets views of the memory that the kernel wrote to.

    `connection_made`, `connection_lost`, `pause_writing` and `resume_writing` are those of
    asyncio.Protocol; `data_received` is not called. All are called on the loop's thread.
    """

    __slots__ = ()

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        _warn_of_what_is_not_called(cls, ZeroCopyProtocol, "buffer_received", "data_received")

    def buffer_received(self, view):
        """Take the next bytes of the stream: `view` is a writable memoryview, and never empty.

        The protocol may keep the view, slice it, change it and write it to a transport. It gives
        the memory back by `view.release()`, by `with view:`, or by dropping the view; to drop it
        is a ResourceWarning with trace_leases("full"). While a protocol holds more bytes than its
        quota, nothing more is received for it. An exception closes the connection, as one of
        data_received() does. Up to the copybreak the bytes are copied, which the view does not
        show.
        """

    def eof_received(self):
        """The peer sends no more. A true result keeps the transport open for writing, as in
        asyncio.Protocol; any other closes it."""


class ZeroCopyDatagramProtocol(BaseProtocol):
    """A protocol of a datagram endpoint that gets views of the memory that the kernel wrote to."""

    __slots__ = ()

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        _warn_of_what_is_not_called(
            cls, ZeroCopyDatagramProtocol, "datagram_buffer_received", "datagram_received"
        )

    def datagram_buffer_received(self, view, addr):
        """Take a datagram from `addr`: `view` is a writable memoryview, empty if the datagram is.

        What is said of ZeroCopyProtocol.buffer_received() holds here, too, but for exceptions: they
        are reported to the loop's exception handler, and the endpoint goes on.
        """

    def error_received(self, exc):
        """An earlier send or a receive has failed: `exc` is an OSError, as in
        asyncio.DatagramProtocol."""
