"""What a protocol holds: real asyncio.Transport objects over the native streams.

A native type cannot derive from asyncio.Transport (both have an instance layout of their own), so
a transport is two objects: this one, which a program may subclass, patch and ask isinstance of,
and the native stream. `write`, called per message, is the stream's own bound method in a slot,
filled when first read: it costs what a direct call costs.
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


class Lending:
    """What a transport that lends memory has; `_stream` is the native half that does."""

    __slots__ = ()

    _stream: Any

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"cannot pickle {type(self).__name__!r} object: it is one connection, and "
            "a copy would end it"
        )

    def _lend(self) -> Lender:
        lender: Lender = self._stream.ensure_lender()
        return lender

    def reserve(self, size: int, *, zeroed: bool = True) -> memoryview:
        """A writable view of `size` bytes of registered memory, zeroed: fill it and write it.

        Of the associated regions, else of the loop's pool. `write` sends it in place; it must not
        change until it is sent, but may be released at once. `zeroed=False` is for what is filled
        whole: until then it shows what others received there. Raises RegionExhaustedError.
        """
        view: memoryview = self._stream.reserve(size, zeroed)
        return view

    def associate(self, region: Region) -> None:
        """Receive into this region, and reserve from it (dma_assoc). May be called for several:
        they are used in that order. ValueError if it is closed."""
        self._stream.associate(region)

    def disassociate(self, region: Region) -> None:
        """No more from this region (dma_disassoc); what is lent from it stays lent. Without any
        region left the loop's pool is used again. ValueError if it is not associated."""
        self._stream.disassociate(region)

    def set_lease_limits(self, *, copybreak: int | None = None, quota: int | None = None) -> None:
        """Bytes up to which a payload is copied rather than lent (0: none; default 4,096), and
        bytes that may be held before this transport is not read from (default 8 MiB)."""
        lender = self._lend()
        if (copybreak or 0) < 0 or (quota or 0) < 0:
            raise ValueError("copybreak and quota are numbers of bytes, not below 0")
        if copybreak is not None:
            lender.copybreak = copybreak
        if quota is not None:
            self._set_quota(quota)

    def _set_quota(self, quota: int) -> None:
        self._stream.set_quota(quota)

    def lease_statistics(self) -> dict[str, int]:
        """Bytes lent in place and copied since the beginning, and what is held now."""
        return self._lend().statistics()


class _Face(Lending):
    """What asyncio's own code, and programs, ask of any socket transport."""

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
        """connection_lost was called."""

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
        """'socket', 'sockname', 'peername', and what TLS and the like add."""
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
                # Never asked for while it was open: a closed one of its kind tells as much.
                sock = socket.socket(self._stream.family, self._kind)
                sock.close()
            extra[name] = trsock.TransportSocket(sock)
            return extra[name]
        else:
            return default
        extra[name] = None if raw is None else decode_address(raw)
        return extra[name]

    def set_zero_copy_send(self, mode: str) -> None:
        """Whether large written leases are sent without a copy into the kernel (SEND_ZC).

        "auto", the default: from 32 KiB on, to other machines, until the kernel says that it had
        to copy, as it has to of a datagram in fragments; "always": every written lease of 4 KiB
        or more, every datagram of 1 KiB; "never". ValueError for others.
        """
        self._stream.set_zero_copy_send(mode)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """What arrived and was not delivered goes to the new protocol."""
        self._stream.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._stream.protocol

    def is_closing(self) -> bool:
        return self._stream.is_closing()

    def is_reading(self) -> bool:
        return self._stream.is_reading()

    def pause_reading(self) -> None:
        """No data is delivered from here on until resume_reading(); none is lost."""
        self._stream.pause_reading()

    def resume_reading(self) -> None:
        self._stream.resume_reading()

    def get_write_buffer_size(self) -> int:
        """Bytes accepted and not yet taken by the kernel."""
        return self._stream.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._stream.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Bytes at which pause_writing and resume_writing are called; ValueError if high < low."""
        self._stream.set_write_buffer_limits(high, low)

    def close(self) -> None:
        """Send what is queued, then connection_lost(None). Idempotent."""
        self._stream.close()

    def abort(self) -> None:
        """Drop what is queued, then connection_lost(None)."""
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
                return  # closed meanwhile, it counts no more connections; this one is served
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
        self._stream.writelines(list_of_data)

    def write_eof(self) -> None:
        """Half-close after what is queued. OSError where the socket is not connected any more."""
        self._stream.write_eof()

    def can_write_eof(self) -> bool:
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
        """Which datagrams are delivered when the program is slower than they come.

        "all", the default: as the kernel's socket queue, which drops the newest when it is full.
        "latest": the last `depth` (1 to 1,024); the oldest undelivered one gives way, also while
        Python is busy, for a native thread drains the socket; `dropped` counts them. It takes
        depth + 2 blocks of 64 KiB of leased memory. Raises ValueError, MemoryError and OSError.
        """
        self._stream.set_receive_policy(policy, depth)

    @property
    def dropped(self) -> int:
        """Datagrams that gave way to newer ones under the "latest" policy."""
        return self._stream.dropped

    def set_segmented_receive(self, is_wanted: bool) -> None:
        """Let the kernel hand up many datagrams of one sender in one piece (UDP_GRO).

        They are delivered one by one as ever; their views, when they are lent, share one lease.
        Raises ValueError with the "latest" policy or for Unix sockets, OSError where refused.
        """
        self._stream.set_segmented_receive(is_wanted)

    def sendto_many(self, datagrams: Iterable[Any], addr: Any = None) -> None:
        """sendto() of each, in order; runs of one size leave in one system call (UDP_SEGMENT).

        A run is up to 64 datagrams and 65,000 bytes; its last one may be shorter. They go at
        once, not at the end of the turn. Copies as sendto does, and raises what it raises, and
        ValueError where neither `addr` nor the endpoint's `remote_addr` says where they go.
        """
        self._stream.sendto_many(datagrams, addr)
