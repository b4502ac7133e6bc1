"""What a protocol holds: real asyncio.Transport objects over the native streams.

A native type cannot derive from asyncio.Transport, since both have an instance layout of their own.
So a transport is two objects: the face, which a program may subclass, patch and ask isinstance of,
and the native stream. `write` is called for each message. It is the stream's own bound method, in a
slot that is filled when it is first read, so that a call costs what a direct call costs.
"""

from __future__ import annotations

import asyncio
import contextvars
import socket
import sys
import warnings
from asyncio import constants, transports, trsock
from collections.abc import Iterable
from typing import Any, NoReturn

from zcloop._native.kernel.address import decode_address
from zcloop._native.memory.lender import Lender
from zcloop._native.memory.region import Region
from zcloop._native.transport.datagram import Datagram
from zcloop._native.transport.lazy_slot import LazySlot
from zcloop._native.transport.stream import Stream

_UNKNOWN = object()

# Done with a result, unless it was cancelled meanwhile: for those who wait for connection_made.
set_result_unless_cancelled: Any = asyncio.futures._set_result_unless_cancelled  # type: ignore[attr-defined]


class Lending:
    """The methods of a transport that lends memory, of which `_stream` is the native half.

    None of them is thread-safe.
    """

    __slots__ = ()

    _stream: Any

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"cannot pickle {type(self).__name__!r} object: it is one connection, and "
            "a copy would end it"
        )

    def _ensure_lender(self) -> Lender:
        lender: Lender = self._stream.ensure_lender()
        return lender

    def reserve(self, size: int, *, zeroed: bool = True) -> memoryview:
        """A writable view of `size` bytes of registered memory, to be filled and written.

        The memory is of the associated regions, or without any of the loop's pool. `write` sends a
        large view without copying it, so the bytes must not change until they are sent; the view
        may be released at once. The memory is zeroed unless `zeroed=False`, which is for a view
        that the program fills completely: until then it shows what was received there before.
        Raises RegionExhaustedError.
        """
        view: memoryview = self._stream.reserve(size, zeroed)
        return view

    def associate(self, region: Region) -> None:
        """Receive into this region, and reserve from it (dma_assoc).

        Several regions are used in the order in which they were associated. ValueError if the
        region is closed.
        """
        self._stream.associate(region)

    def disassociate(self, region: Region) -> None:
        """Take no more memory from this region (dma_disassoc); what is lent from it stays lent.

        When no region is left the loop's pool is used again. ValueError if the region is not
        associated.
        """
        self._stream.disassociate(region)

    def set_lease_limits(self, *, copybreak: int | None = None, quota: int | None = None) -> None:
        """Set up to what size a payload is copied, and how much may be held.

        A payload of up to `copybreak` bytes (4,096 at first) is copied rather than lent; 0 lends
        all. While more than `quota` bytes (8 MiB at first) are held, this transport reads nothing
        more. None leaves a limit as it is. ValueError for numbers below 0.
        """
        lender = self._ensure_lender()
        if (copybreak or 0) < 0 or (quota or 0) < 0:
            raise ValueError("copybreak and quota are numbers of bytes, not below 0")
        if copybreak is not None:
            lender.copybreak = copybreak
        if quota is not None:
            self._set_quota(quota)

    def _set_quota(self, quota: int) -> None:
        self._stream.set_quota(quota)

    def lease_statistics(self) -> dict[str, int]:
        """How many bytes were lent in place and copied since the beginning, and are held now."""
        return self._ensure_lender().statistics()


class _Face(Lending):
    """What asyncio's own code, and programs, ask of every socket transport."""

    __slots__ = ()

    _stream: Stream | Datagram
    _kind: int
    _extra: Any

    def __repr__(self) -> str:
        stream = self._stream
        info = [type(self).__name__]
        if not stream.has_connection:
            info.append("closed")
        else:
            if stream.is_closing():
                info.append("closing")
            info.append(f"fd={stream.fd}")
            info.append(stream.state_text)
        return f"<{' '.join(info)}>"

    def __del__(self, _warn: Any = warnings.warn) -> None:
        stream = getattr(self, "_stream", None)
        if stream is not None and stream.has_connection:
            try:
                _warn(f"unclosed transport {self!r}", ResourceWarning, source=self)
            finally:
                stream.drop()
                self._lost()

    def _lost(self) -> None:
        """The native half calls this when connection_lost() has been called."""

    @property
    def _loop(self) -> Any:
        return self._stream.core

    @property
    def _sock(self) -> socket.socket | None:
        return self._stream.python_socket(self._kind)

    @property
    def _sock_fd(self) -> int:
        return self._stream.fd

    @property
    def _protocol(self) -> Any:
        return self._stream.protocol

    @property
    def _paused(self) -> bool:
        return not (self.is_reading() or self.is_closing())

    def _force_close(self, exc: BaseException | None) -> None:
        self._stream.force_close_with(exc)

    def _fatal_error(self, exc: BaseException, message: str = "Fatal error on transport") -> None:
        self._stream.fatal_error(exc, message)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What is known of the connection by this name, or `default`.

        Every transport knows 'socket' (an asyncio.trsock.TransportSocket), 'sockname' and
        'peername'; TLS adds the names that asyncio's documentation lists.
        """
        extra = self._extra
        if extra is None:
            extra = self._extra = {}
        found = extra.get(name, _UNKNOWN)
        if found is not _UNKNOWN:
            return found
        if name == "peername":
            raw = self._stream.raw_peer()
        elif name == "sockname":
            raw = self._stream.raw_local()
        elif name == "socket":
            sock = self._sock
            if sock is None:
                # Nobody asked before the connection was closed. A closed socket of the same kind
                # tells as much.
                sock = socket.socket(self._stream.family, self._kind)
                sock.close()
            extra[name] = trsock.TransportSocket(sock)
            return extra[name]
        else:
            return default
        extra[name] = None if raw is None else decode_address(raw)
        return extra[name]

    def set_zero_copy_send(self, mode: str) -> None:
        """Set when written leases are sent without a copy into the kernel (SEND_ZC, Linux 6.2).

        "auto", at first: leases of 32 KiB and more that go to another machine, until the kernel
        says that it had to copy one, as it has to copy a datagram that is sent in fragments.
        "always": every lease of 4 KiB and more, and as a datagram of 1 KiB and more.
        "never": none. Any other mode is a ValueError.
        """
        self._stream.set_zero_copy_send(mode)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Call another protocol from now on, also with what has arrived and was not delivered."""
        self._stream.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol that is called now."""
        return self._stream.protocol

    def is_closing(self) -> bool:
        """Whether close() or abort() was called, or the connection was lost."""
        return self._stream.is_closing()

    def is_reading(self) -> bool:
        """Whether data is delivered: the transport is neither paused nor closing."""
        return self._stream.is_reading()

    def pause_reading(self) -> None:
        """Deliver no data from here on until resume_reading(); none is lost."""
        self._stream.pause_reading()

    def resume_reading(self) -> None:
        """Deliver data again, beginning with what arrived during the pause."""
        self._stream.resume_reading()

    def get_write_buffer_size(self) -> int:
        """How many bytes were accepted and are not yet taken by the kernel."""
        return self._stream.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The low and the high limit, in bytes."""
        return self._stream.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set with how many queued bytes pause_writing() and resume_writing() are called.

        pause_writing() is called above `high` (64 KiB at first), resume_writing() at `low` and
        below (a quarter of `high` unless it is given). ValueError if high < low, or low < 0.
        """
        self._stream.set_write_buffer_limits(high, low)

    def close(self) -> None:
        """Send what is queued, then call connection_lost(None). Idempotent."""
        self._stream.close()

    def abort(self) -> None:
        """Drop what is queued, then call connection_lost(None). Idempotent."""
        self._stream.abort()


class StreamTransport(_Face, transports._FlowControlMixin, asyncio.Transport):
    """A connected TCP or Unix stream socket. Not thread-safe, as asyncio's."""

    _start_tls_compatible = True
    _sendfile_compatible = constants._SendfileMode.TRY_NATIVE
    _kind = socket.SOCK_STREAM

    __slots__ = ("__dict__", "__weakref__", "_server", "_stream", "write")

    _stream: Stream

    def __init__(
        self,
        stream: Stream,
        protocol: Any,
        extra: dict[str, Any] | None = None,
        server: Any = None,
        sock: socket.socket | None = None,
        context: contextvars.Context | None = None,
    ) -> None:
        self._extra: Any = extra
        self._stream = stream
        self._server: Any = None
        stream.attach(self, protocol, sock, context)
        if server is not None:
            try:
                if sys.version_info >= (3, 13):
                    server._attach(self)
                else:
                    server._attach()
            except AssertionError:
                return  # the server was closed: it counts this connection no more, which is served
            self._server = server

    def _lost(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            if sys.version_info >= (3, 13):
                server._detach(self)
            else:
                server._detach()

    @property
    def _protocol_paused(self) -> bool:
        paused: bool = self._stream.is_writing_paused
        return paused

    def _make_empty_waiter(self) -> asyncio.Future[None]:
        return self._stream.make_empty_waiter()

    def _reset_empty_waiter(self) -> None:
        self._stream.reset_empty_waiter()

    def writelines(self, list_of_data: Any) -> None:
        """Call write() for each piece of data, and send them by as few system calls as possible."""
        self._stream.writelines(list_of_data)

    def write_eof(self) -> None:
        """Send what is queued, then close the connection for writing; reading goes on.

        OSError if the socket is not connected any more.
        """
        self._stream.write_eof()

    def can_write_eof(self) -> bool:
        """True: a stream socket can be closed for writing alone."""
        return True


StreamTransport.write = LazySlot(StreamTransport.write)  # type: ignore[assignment,method-assign]


class DatagramTransport(_Face, asyncio.Transport, asyncio.DatagramTransport):
    """A UDP or Unix datagram socket. Not thread-safe, as asyncio's."""

    _kind = socket.SOCK_DGRAM

    __slots__ = ("__dict__", "__weakref__", "_stream", "sendto")

    _stream: Datagram

    def __init__(
        self,
        datagram: Datagram,
        protocol: Any,
        family: int,
        address: Any = None,
        extra: dict[str, Any] | None = None,
        sock: socket.socket | None = None,
    ) -> None:
        self._extra: Any = extra
        self._stream = datagram
        self.sendto = datagram.sendto  # type: ignore[method-assign]
        datagram.open(family, address)
        datagram.attach(self, protocol, sock)

    def set_receive_policy(self, policy: str, depth: int = 1) -> None:
        """Set which datagrams are delivered when they come faster than the program takes them.

        "all", at first: those that the socket's queue in the kernel has room for. When it is full
        the kernel drops the newest.
        "latest": the last `depth` (1 to 1,024). The oldest one that is not delivered gives way,
        also while Python is busy, since a native thread drains the socket; `dropped` counts those.
        It takes depth + 2 blocks of 64 KiB of leased memory.
        Raises ValueError for other policies and depths, MemoryError, and OSError.
        """
        self._stream.set_receive_policy(policy, depth)

    @property
    def dropped(self) -> int:
        """How many datagrams gave way to newer ones under the "latest" policy."""
        return self._stream.dropped

    def set_segmented_receive(self, is_wanted: bool) -> None:
        """Let the kernel hand up many datagrams of one sender in one piece (UDP_GRO, Linux 5.0).

        They are still delivered one by one. When they are lent, their views share one lease.
        ValueError with the "latest" policy and for Unix sockets, OSError where the kernel refuses.
        """
        self._stream.set_segmented_receive(is_wanted)

    def sendto_many(self, datagrams: Iterable[Any], addr: Any = None) -> None:
        """Call sendto() for each datagram, in order, and send runs of one size by one system call.

        A run (UDP_SEGMENT, Linux 4.18) has up to 64 datagrams and 65,000 bytes; its last datagram
        may be shorter. They are sent at once, not at the end of the turn. Copies as sendto() does,
        and raises what it raises. ValueError if neither `addr` nor the endpoint's `remote_addr`
        says where they go.
        """
        self._stream.sendto_many(datagrams, addr)
