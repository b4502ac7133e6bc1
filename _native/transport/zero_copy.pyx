"""What a program implements to be lent received bytes in place. Chosen by isinstance, as asyncio
chooses by BufferedProtocol."""

import warnings
from asyncio import BaseProtocol


def _warn_of_what_is_not_called(cls, kind, called, not_called):
    """Of a protocol class that has the method of asyncio's protocols, and not ours."""
    if hasattr(cls, not_called) and getattr(cls, called) is getattr(kind, called):
        warnings.warn(
            f"{cls.__qualname__} has {not_called}(), which is not called of a {kind.__name__}, "
            f"and no {called}(): what is received would be lost",
            RuntimeWarning,
        )


class ZeroCopyProtocol(BaseProtocol):
    """A protocol of a stream that gets views of the memory that the kernel wrote to.

    `connection_made`, `connection_lost`, `pause_writing` and `resume_writing` are as ever.
    """

    __slots__ = ()

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        _warn_of_what_is_not_called(cls, ZeroCopyProtocol, "buffer_received", "data_received")

    def buffer_received(self, view):
        """Some bytes came: a writable memoryview, never empty, in the order of the stream.

        The protocol may keep it, slice it, change it and write it to a transport, and gives its
        memory back by `view.release()`, by `with view:`, or by dropping it (which is a
        ResourceWarning with trace_leases("full")). A transport that
        holds more than its quota is not read from until enough has come back.
        """

    def eof_received(self):
        """As of asyncio.Protocol: the peer sends no more; true keeps the transport open."""


class ZeroCopyDatagramProtocol(BaseProtocol):
    """A protocol of a datagram endpoint that gets views of the memory that the kernel wrote to."""

    __slots__ = ()

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        _warn_of_what_is_not_called(
            cls, ZeroCopyDatagramProtocol, "datagram_buffer_received", "datagram_received"
        )

    def datagram_buffer_received(self, view, addr):
        """A datagram came: a writable memoryview, empty for an empty one, and its sender."""

    def error_received(self, exc):
        """As of asyncio.DatagramProtocol: an OSError of an earlier send or of receiving."""
