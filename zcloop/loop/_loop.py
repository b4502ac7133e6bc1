"""zcloop.Loop: the interpreter's own asyncio on a native core.

`Core` (native) comes first in the method resolution order and overrides what runs per callback.
BaseEventLoop brings the cold paths of whichever Python this is: create_connection, happy
eyeballs, create_server, start_tls, executors, async generators, exception handling. What lives
in asyncio's selector loop and needs no selector (signal handlers, Unix connections) is
taken from there by name: these functions only ask for `_add_reader` and the like.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import errno
import os
import signal
import socket
import threading
from asyncio import base_events, constants, unix_events
from asyncio.log import logger
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from types import MappingProxyType
from typing import Any, Literal, TypeVar, cast

from zcloop._native.channel.channel import FEATURES
from zcloop._native.loop.core import Core
from zcloop._native.loop.executor_call import wrap_future
from zcloop._native.transport.datagram import Datagram
from zcloop._native.transport.socket_core import SocketCore
from zcloop._native.transport.stream import Stream
from zcloop.loop._connecting import Connecting
from zcloop.loop._pipes import ReadPipeTransport, WritePipeTransport
from zcloop.loop._sending_files import SendingFiles
from zcloop.loop._serving import Accepting
from zcloop.loop._sockets import SocketCalls
from zcloop.loop._subprocess import SubprocessTransport, reap_before_others, watch_child
from zcloop.loop._tls import TlsProtocol, start_tls
from zcloop.loop._transports import DatagramTransport, StreamTransport

_Result = TypeVar("_Result")

_Unix: Any = unix_events._UnixSelectorEventLoop

# Every name here is public API or a helper of one, present from 3.11 to 3.15.
_FROM_UNIX_LOOP = (
    "_check_signal",
    "_process_self_data",
    "create_unix_connection",
    "create_unix_server",
)


# The kernel frees what a dead process's ring held, a listening socket among it, up to 41 ms after
# the process has been waited for.
_PORT_WAIT_SECONDS = 0.1
_PORT_TRY_SECONDS = 0.005

_set_result_unless_cancelled: Any = asyncio.futures._set_result_unless_cancelled  # type: ignore[attr-defined]


class _WakeupFd:
    """What asyncio's add_signal_handler calls `_csock`: something with a fileno()."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        return self._fd


class Loop(SocketCore, Connecting, SocketCalls, SendingFiles, base_events.BaseEventLoop):
    """An asyncio event loop on one channel: io_uring's, or one over epoll where that is refused.

    `backend` is "auto" (io_uring where it can be had, else epoll), "uring" or "epoll"; None is what
    the environment's ZCLOOP_BACKEND says, or "auto". ValueError for another one. With "uring" it
    raises OSError, saying what to do, where the kernel or a policy refuses io_uring.
    Not thread-safe but for `call_soon_threadsafe`; may be run by one thread and later by another.
    """

    # BaseEventLoop's own.
    _default_executor: Any
    _check_default_executor: Any

    # Of the class, for a fork may come while another thread makes a loop.
    _signal_pipe: tuple[int, int] | None = None

    def __init__(self, *, backend: Literal["auto", "uring", "epoll"] | None = None) -> None:
        base_events.BaseEventLoop.__init__(self)
        self._signal_handlers: dict[int, Any] = {}
        self._lent_fds: set[int] = set()
        self._watched: dict[int, Any] = {}  # children by their pidfds
        self._accepting: dict[socket.socket, Accepting] = {}
        self._unix_server_sockets: dict[Any, int] = {}

    def _run_once(self) -> None:
        self._claim_wakeup_fd()
        try:
            Core._run_once(self)
        finally:
            if not self._signal_handlers:
                self._release_wakeup_fd()

    def close(self) -> None:
        """End every request and close the loop. Idempotent; RuntimeError while it runs."""
        if self.is_running():
            raise RuntimeError("Cannot close a running event loop")
        try:
            base_events.BaseEventLoop.close(self)
        finally:
            while self._accepting:
                self._accepting.popitem()[1].stop()
            self._close_core()
            while self._watched:
                os.close(self._watched.popitem()[0])
        # Last: only the main thread may do this, and otherwise the pipe must stay.
        for sig in list(self._signal_handlers):
            self.remove_signal_handler(sig)
        self._release_wakeup_fd()
        self._close_signal_pipe()

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., _Result], *args: Any
    ) -> asyncio.Future[_Result]:
        """A future of `func(*args)` in `executor`; for None in a pool of threads of the loop's.

        Cancelling it cancels a call that has not begun. RuntimeError when the loop is closed or its
        pool was shut down. Not thread-safe.
        """
        if self._debug or (executor is None and self._default_executor is None):
            return super().run_in_executor(executor, func, *args)
        self._check_closed()
        if executor is None:
            self._check_default_executor()
            return wrap_future(self, self._default_executor.submit(func, *args))
        return wrap_future(self, executor.submit(func, *args))

    @property
    def _nest_patched(self) -> bool:
        """What nest_asyncio asks a loop for, once it has patched asyncio, before it replaces
        methods of the loop's class: ours would work no more, in the whole process."""
        if not hasattr(asyncio, "_nest_patched"):
            raise AttributeError("_nest_patched")
        raise ValueError(
            "nest_asyncio cannot nest the runs of a zcloop loop, whose turn is native: await "
            "instead, or run the program on asyncio's own loop"
        )

    def abandon(self) -> None:
        """In a forked child: its signals are none of the parent's."""
        self._release_wakeup_fd()
        Core.abandon(self)
        if self._signal_pipe is None or self.channel.is_forked:
            return
        self._close_signal_pipe()
        if self._signal_handlers:
            # From here on, as in the parent, a signal waits for the run. Without a descriptor the
            # run makes the pipe.
            with contextlib.suppress(OSError):
                signal.set_wakeup_fd(self._csock.fileno(), warn_on_full_buffer=False)

    def _close_signal_pipe(self) -> None:
        if self._signal_pipe is not None:
            self._listen_signals(-1)
            for fd in self._signal_pipe:
                os.close(fd)
            self._signal_pipe = None

    # ---- what it runs on -----------------------------------------------------------------------

    @property
    def backend(self) -> Literal["uring", "epoll"]:
        """What carries out its requests: the kernel's io_uring, or zcloop itself by epoll."""
        return cast(Literal["uring", "epoll"], self.channel.ring.backend)

    @property
    def features(self) -> Mapping[str, bool]:
        """What this loop makes use of, as far as has been found out; a read-only mapping.

        A kernel that refuses one later makes it False. `python -m zcloop doctor` says since which
        kernel there is each, and what happens without; ZCLOOP_WITHOUT turns off what it names.
        """
        channel = self.channel
        return MappingProxyType({name: bool(getattr(channel, f"has_{name}")) for name in FEATURES})

    # ---- memory ------------------------------------------------------------------------------

    def statistics(self) -> dict[str, int]:
        """Counters of the loop, and of what it lends; a new dict, made without a system call.

        Since the loop was made: `turns`, `sleeps` of them, `spins` that a completion ended instead,
        `coalesced_sleeps` that a flood of datagrams made longer, `enters` (system calls),
        `submissions` and `completions`; `asleep_ns`, and `awake_ns`, which callbacks, the system
        calls for them, and the `spun_ns` of spinning took; what transports `received_bytes` and
        `sent_bytes`, how much of that was `copied_bytes` in user space on its way, `lent_bytes` in
        place, or `starved_bytes`: copied for want of a block.

        Now: `inflight` requests, `operations` that are held, `transports`, `ready` callbacks,
        `timers`, `slots` to receive into and `slots_lent` of them. `pool_*` is the memory that is
        lent where no region is associated, in bytes; `paused_holders` are transports not read
        from until leases come back.
        """
        found = super().statistics()
        channel = self.channel
        pool = channel.pool
        if pool is not None:
            found.update({f"pool_{name}": value for name, value in pool.statistics().items()})
        found["pinned"] = channel.pinned
        found["notifying"] = channel.notifying
        found["quarantined"] = channel.quarantined
        accounts = [one.lender.account for one in self.native_transports() if one.lender]
        found["paused_holders"] = sum(account.is_waiting for account in accounts)
        found["lent_bytes"] = 0 if pool is None else pool.lent_bytes
        found["starved_bytes"] = 0 if pool is None else pool.starved_bytes
        found["copied_bytes"] += 0 if pool is None else pool.copied_bytes
        return found

    def leases(self) -> list[dict[str, Any]]:
        """What is out of the loop's pool and of associated regions: size, use, owner, age, place.

        Newest first of each region; age in seconds; place only while trace_leases("full").
        """
        pool = self.channel.pool
        found = [] if pool is None else pool.leases()
        regions = {
            region
            for transport in self.native_transports()
            if transport.lender
            for region in transport.lender.regions
        }
        return found + [lease for region in regions for lease in region.leases()]

    def set_lease_pool_limit(self, size: int) -> None:
        """Bytes to which the pool of lent memory may grow (64 MiB at first). ValueError below 1."""
        if size < 1:
            raise ValueError("the limit is a number of bytes, at least 1")
        self.channel.lending_pool().limit = size

    # ---- signals -----------------------------------------------------------------------------

    @property
    def _csock(self) -> _WakeupFd:
        if self._signal_pipe is None:
            read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(write_fd, False)
            self._signal_pipe = read_fd, write_fd
            self._listen_signals(read_fd)
        return _WakeupFd(self._signal_pipe[1])

    def _claim_wakeup_fd(self) -> None:
        """While the main thread runs the loop, any signal wakes it, whichever thread got it."""
        if not self._thread_id == threading.get_ident() == threading.main_thread().ident:
            return
        ours = self._csock.fileno()
        before = signal.set_wakeup_fd(ours, warn_on_full_buffer=False)
        # Somebody else's: leave it, unless signal handlers were asked of this loop.
        if before not in (-1, ours) and not self._signal_handlers:
            signal.set_wakeup_fd(before)

    def _release_wakeup_fd(self) -> None:
        """Ours goes; one that the program has set meanwhile is left to it."""
        if self._signal_pipe is None or threading.get_ident() != threading.main_thread().ident:
            return
        current = signal.set_wakeup_fd(-1)
        if current not in (-1, self._signal_pipe[1]):
            signal.set_wakeup_fd(current)

    def add_signal_handler(self, sig: int, callback: Any, *args: Any) -> None:  # type: ignore[override]
        """Call `callback(*args)` on the loop for each arrival; RuntimeError if it cannot be."""
        try:
            _Unix.add_signal_handler(self, sig, callback, *args)
        finally:
            self._claim_wakeup_fd()

    def _handle_signal(self, sig: int) -> None:
        if sig == signal.SIGCHLD:
            self.call_soon(reap_before_others, self)  # the handler is called right after it
        _Unix._handle_signal(self, sig)

    def remove_signal_handler(self, sig: int) -> bool:
        """Whether there was one; afterwards the signal has Python's default action."""
        try:
            return bool(_Unix.remove_signal_handler(self, sig))
        finally:
            self._claim_wakeup_fd()

    # ---- transports --------------------------------------------------------------------------

    def _ensure_fd_no_transport(self, fd: Any) -> None:
        """RuntimeError when the fd is a transport's: its data must not be taken behind its back."""
        number = fd
        if not isinstance(number, int):
            try:
                number = int(number.fileno())
            except (AttributeError, TypeError, ValueError):
                raise ValueError(f"Invalid file object: {fd!r}") from None
        stream = self.transport_of(number)
        if stream is not None and not stream.is_closing() and number not in self._lent_fds:
            raise RuntimeError(f"File descriptor {fd!r} is used by transport {stream.face!r}")

    def _make_socket_transport(
        self,
        sock: socket.socket,
        protocol: Any,
        waiter: Any = None,
        *,
        extra: Any = None,
        server: Any = None,
        context: contextvars.Context | None = None,
    ) -> StreamTransport:
        base_events._set_nodelay(sock)  # type: ignore[attr-defined]
        stream = Stream(self, sock.fileno())
        transport = StreamTransport(stream, protocol, extra, server, sock, context)
        self.call_soon(protocol.connection_made, transport, context=context)
        self.call_soon(stream.start)
        if waiter is not None:
            self.call_soon(_set_result_unless_cancelled, waiter, None)
        return transport

    def _make_ssl_transport(
        self,
        rawsock: socket.socket,
        protocol: Any,
        sslcontext: Any,
        waiter: Any = None,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        extra: Any = None,
        server: Any = None,
        ssl_handshake_timeout: float | None = constants.SSL_HANDSHAKE_TIMEOUT,
        ssl_shutdown_timeout: float | None = constants.SSL_SHUTDOWN_TIMEOUT,
        context: contextvars.Context | None = None,
    ) -> Any:
        tls = TlsProtocol(
            self, protocol, sslcontext, waiter, server_side, server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )  # fmt: skip
        self._make_socket_transport(rawsock, tls, extra=extra, server=server, context=context)
        return tls._app_transport

    def _tls_over(
        self,
        stream: Stream,
        protocol: Any,
        sslcontext: Any,
        waiter: Any,
        *,
        server_side: bool,
        server: Any,
        **timeouts: Any,
    ) -> Any:
        """TLS on an accepted stream; the handshake begins at once."""
        tls = TlsProtocol(self, protocol, sslcontext, waiter, server_side, None, **timeouts)
        try:
            StreamTransport(stream, tls, None, server)
            stream.announce()
        except BaseException as error:
            # Nobody would end a handshake that has half begun.
            if stream.face is None:
                tls.connection_lost(error)
            else:
                stream.force_close_with(error)
            raise
        return tls._app_transport

    start_tls = start_tls

    def _make_datagram_transport(
        self,
        sock: socket.socket,
        protocol: Any,
        address: Any = None,
        waiter: Any = None,
        extra: Any = None,
    ) -> DatagramTransport:
        datagram = Datagram(self, sock.fileno())
        transport = DatagramTransport(datagram, protocol, sock.family, address, extra, sock)
        self.call_soon(protocol.connection_made, transport)
        self.call_soon(datagram.start)
        if waiter is not None:
            self.call_soon(_set_result_unless_cancelled, waiter, None)
        return transport

    async def create_server(
        self,
        protocol_factory: Any,
        host: Any = None,
        port: Any = None,
        *,
        reuse_address: bool | None = None,
        **options: Any,
    ) -> asyncio.Server:
        """As asyncio's; but an address in use is tried again for 100 ms, as a process that was just
        killed may still have it. Not where `reuse_address` is False: then OSError at once.
        """
        end = self.time() + (_PORT_WAIT_SECONDS if reuse_address in (None, True) else 0)
        while True:
            try:
                return await super().create_server(
                    protocol_factory, host, port, reuse_address=reuse_address, **options
                )
            except OSError as error:
                if error.errno != errno.EADDRINUSE or self.time() >= end:
                    raise
            await asyncio.sleep(_PORT_TRY_SECONDS)

    def _start_serving(
        self,
        protocol_factory: Any,
        sock: socket.socket,
        sslcontext: Any = None,
        server: Any = None,
        backlog: int = 100,
        ssl_handshake_timeout: float | None = constants.SSL_HANDSHAKE_TIMEOUT,
        ssl_shutdown_timeout: float | None = constants.SSL_SHUTDOWN_TIMEOUT,
        context: contextvars.Context | None = None,
    ) -> None:
        timeouts = {
            "ssl_handshake_timeout": ssl_handshake_timeout,
            "ssl_shutdown_timeout": ssl_shutdown_timeout,
        }
        # Each connection runs in a copy of the context that the listener is made in. Python 3.15
        # gives one, which may be entered already; a copy never is.
        around = contextvars.copy_context() if context is None else context.copy()
        self._accepting[sock] = around.run(
            Accepting, self, protocol_factory, sock, sslcontext, server, timeouts
        )

    def _stop_serving(self, sock: socket.socket) -> None:
        accepting = self._accepting.pop(sock, None)
        if accepting is not None:
            accepting.stop()
        path = inode = None
        if sock in self._unix_server_sockets:
            # Filled by create_unix_server of Python 3.13 and later.
            path, inode = sock.getsockname(), self._unix_server_sockets.pop(sock)
        sock.close()
        if path is not None:
            try:
                if os.stat(path).st_ino == inode:
                    os.unlink(path)
            except FileNotFoundError:
                pass
            except OSError as error:
                logger.error("Unable to clean up listening UNIX socket %r: %r", path, error)

    def _make_read_pipe_transport(
        self, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None
    ) -> Any:
        return ReadPipeTransport(self, pipe, protocol, waiter, extra)

    def _make_write_pipe_transport(
        self, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None
    ) -> Any:
        return WritePipeTransport(self, pipe, protocol, waiter, extra)

    async def _make_subprocess_transport(
        self,
        protocol: Any,
        args: Any,
        shell: bool,
        stdin: Any,
        stdout: Any,
        stderr: Any,
        bufsize: int,
        extra: Any = None,
        **kwargs: Any,
    ) -> Any:
        waiter = self.create_future()
        transport = SubprocessTransport(
            self, protocol, args, shell, stdin, stdout, stderr, bufsize,
            waiter=waiter, extra=extra, **kwargs,
        )  # fmt: skip
        watch_child(self, transport)
        try:
            await waiter
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException:
            transport.close()
            await transport._wait()
            raise
        return transport


def _borrow() -> None:
    for name in _FROM_UNIX_LOOP:
        if hasattr(_Unix, name) and name not in Loop.__dict__:
            setattr(Loop, name, getattr(_Unix, name))


_borrow()


def new_event_loop(backend: Literal["auto", "uring", "epoll"] | None = None) -> Loop:
    """A new loop, for loop_factory= of asyncio.Runner, uvicorn, anyio and pytest-asyncio.

    `backend` is as of Loop: "auto", "uring" or "epoll". OSError when "uring" cannot be had.
    """
    return Loop(backend=backend)
