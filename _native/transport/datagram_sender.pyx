"""What a program gives a datagram socket to send: it is checked, gets its address, and is sent at
once if nothing waits before it, else queued."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.errno cimport EAGAIN, EBADF, EINTR, errno

from asyncio import constants
from asyncio.log import logger

from zcloop._native.kernel.address cimport AF_UNIX, is_same_machine
from zcloop._native.kernel.clock cimport monotonic_ns
from zcloop._native.kernel.errors cimport os_error
from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.socket cimport zc_send_to
from zcloop._native.memory.region cimport Lease, lease_of
from zcloop._native.pacing.datagram_flow cimport DatagramFlow
from zcloop._native.transport.address_cache cimport CACHED_SIZE
from zcloop._native.transport.datagram_queue cimport push_datagram
from zcloop._native.transport.lease_holder cimport ZERO_COPY_ALWAYS, ZERO_COPY_UNDECIDED
from zcloop._native.transport.write_queue cimport as_piece, owner_of

# From so many bytes on a datagram of a lease is worth the second completion of a send without a
# copy: at 60 KB it takes 0.83 to 0.90 of a copy's CPU, below 16 KiB 1.1 to 1.2. One that is cut
# into fragments is always copied.
cdef size_t ZERO_COPY_MIN = 32 * 1024
# Bytes below which even the mode "always" copies: so small a copy costs next to nothing.
cdef size_t ZERO_COPY_LEAST = 1024


@cython.no_gc_clear     # its fd goes with it, which needs the core
cdef class DatagramSender(DatagramOutput):
    def __cinit__(self, core, int fd):
        self.addresses = AddressCache.__new__(AddressCache)
        self.flow = DatagramFlow(self.core.channel.coalescing, self.fd, monotonic_ns())

    def open(self, int family, remote):
        """Say, before `attach`, the address family and the address that sendto defaults to."""
        self.family = family
        self.remote = remote
        self.is_connected = self.peer_head != 0

    def sendto(self, data, addr=None):
        """Accept one datagram for sending; never blocks, but to resolve a host name.

        Raises TypeError for what is not bytes-like, ValueError for an address other than the
        connected one. Copies unless `data` is bytes or a view of a lease.
        """
        cdef char[CACHED_SIZE] name
        cdef int name_size = 0
        cdef const char *start
        cdef size_t size
        cdef bint is_zero_copy = False
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError("data argument must be a bytes-like object, "
                            f"not {type(data).__name__!r}")
        if self.remote is not None:
            if addr is not None and addr != self.remote:
                raise ValueError(f"Invalid address: must be None or {self.remote}")
            addr = self.remote
        if self.is_losing:
            if self.remote is not None:
                if self.ignore_write() >= <unsigned> constants.LOG_THRESHOLD_FOR_CONNLOST_WRITES:
                    logger.warning("socket.send() raised exception.")
            return
        owner = lease_of(data, &start, &size) if type(data) is memoryview else None
        if owner is None:
            owner = data if type(data) is bytes else bytes(data)
            start = PyBytes_AS_STRING(owner)
            size = PyBytes_GET_SIZE(owner)
            if owner is not data:
                self.core.copied_bytes += size
        if not self.is_connected:
            name_size = self.addresses.encode(addr, self.family, name)
        address = None if name_size or self.is_connected else (addr,)
        if size >= ZERO_COPY_LEAST and type(owner) is Lease:
            is_zero_copy = self.is_worth_zero_copy(size, name, name_size)
        if self.is_losing:
            return      # aborted by the code of `addr`, or by a signal handler
        if self.queue.count == 0 and address is None and not (is_zero_copy or self.is_busy):
            if self.send_at_once(owner, start, size, name, name_size):
                return
        push_datagram(&self.queue, owner, start, size, name, name_size, address, is_zero_copy)
        self.flow.note_sent()
        if not self.is_blocked:
            self.send_now()
        self.pause_if_high()

    def sendto_many(self, datagrams, addr=None):
        """Accept many to one address, in order. Raises as sendto, and ValueError where there is no
        address; then none of them was accepted."""
        cdef char[CACHED_SIZE] name
        cdef int name_size = 0
        cdef const char *start
        cdef size_t size
        pieces = []
        for data in datagrams:
            piece = as_piece(data)
            if type(piece) is bytes and piece is not data:
                self.core.copied_bytes += len(piece)
            pieces.append(piece)
        if self.remote is not None:
            if addr is not None and addr != self.remote:
                raise ValueError(f"Invalid address: must be None or {self.remote}")
            addr = self.remote
        if not self.is_connected:
            if addr is None:
                raise ValueError("no address: give addr=, or make the endpoint with remote_addr=")
            name_size = self.addresses.encode(addr, self.family, name)
        address = None if name_size or self.is_connected else (addr,)
        if self.is_losing:
            return
        for piece in pieces:
            owner = owner_of(piece, &start, &size)
            push_datagram(&self.queue, owner, start, size, name, name_size, address, False)
            self.flow.note_sent()
        if self.queue.count and not self.is_blocked:
            self.send_now()
        self.pause_if_high()

    cdef bint send_at_once(self, object owner, const char *start, size_t size, const char *name,
                           unsigned name_size) except -1:
        """False if the socket's buffer has no room for it. Any other error is the protocol's."""
        cdef ssize_t sent
        if not self.is_fd_ours():
            self.fail_writing(EBADF)
            return True
        sent = zc_send_to(self.fd, start, size, name, name_size)
        if sent >= 0:
            self.flow.note_sent()
            self.count_sent(owner, size)
        elif errno == EAGAIN or errno == EINTR:
            return False
        else:
            self.report_error(os_error(errno, None))
        return True

    cdef bint is_worth_zero_copy(self, size_t size, const char *name,
                                 unsigned name_size) except -1:
        """Whether this is large enough and, as far as can be told, leaves the machine."""
        if self.zero_copy_mode == ZERO_COPY_UNDECIDED:
            self.choose_zero_copy(ZERO_COPY_MIN, self.family != AF_UNIX)
        if size < self.zero_copy_min:
            return False
        if self.zero_copy_mode == ZERO_COPY_ALWAYS:
            return True
        remote = name[:name_size] if name_size else self.raw_peer()
        return not is_same_machine(self.raw_local(), remote)


seal(DatagramSender)
