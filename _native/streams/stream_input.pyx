"""What has arrived for a StreamReader: bytes, their end or an error, and who waits for them.

    unread > 2 * limit  --> the transport is paused
    unread <= limit, or somebody waits for more  --> it is resumed

Who waits does so by a future, and takes the bytes only when it runs: cancelled in between it has
taken nothing.
"""

from asyncio import events, exceptions

from cpython.bytes cimport PyBytes_GET_SIZE

cdef object InvalidStateError = exceptions.InvalidStateError
cdef size_t LIMIT_MAX = (<size_t> -1) // 4


cdef class StreamInput(ReadBuffer):
    def __init__(self, limit=2 ** 16, loop=None):
        if limit <= 0:
            raise ValueError("Limit cannot be <= 0")
        self._limit = limit
        self.limit = <size_t> min(limit, LIMIT_MAX)
        self._loop = events.get_event_loop() if loop is None else loop
        self.scheduler = self._loop if isinstance(self._loop, Scheduler) else None

    cdef int receive(self, bytes data) except -1:
        return self.feed(data)

    cdef int feed(self, bytes data) except -1:
        """The next bytes of the stream; none is nothing. AssertionError after the end."""
        if self.is_eof:
            raise AssertionError("feed_data after feed_eof")
        if PyBytes_GET_SIZE(data) == 0:
            return 0
        self.append(data)
        if self._waiter is not None:
            if self.unread < self.wanted:
                return 0        # who waits for more than the limit is not to be kept from it
            self.wake()
        if self.unread > 2 * self.limit and not self.is_paused:
            return self.pause()
        return 0

    cdef int wake(self) except -1:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            try:
                waiter.set_result(None)
            except InvalidStateError:
                pass        # cancelled, which is not asked first: it is rare
        return 0

    cdef int pause(self) except -1:
        if self._transport is None:
            return 0
        try:
            self._transport.pause_reading()
        except NotImplementedError:
            self._transport = None      # as asyncio: everything is kept, then
        else:
            self.is_paused = True
        return 0

    cdef int resume(self) except -1:
        self.is_paused = False
        self._transport.resume_reading()
        return 0

    cdef object wait(self, size_t wanted, str caller):
        """A future that is done when `wanted` bytes are unread, or no more will come."""
        cdef size_t unread = self.unread
        if self._waiter is not None:
            raise RuntimeError(f"{caller}() called while another coroutine is already waiting "
                               "for incoming data")
        if self.is_eof:
            raise AssertionError("_wait_for_data after EOF")
        error = self.error
        if self.is_paused:
            self.resume()       # or nobody would
        self.wanted = wanted
        if self.scheduler is not None:
            waiter = self.scheduler.new_future()
        else:
            waiter = self._loop.create_future()
        self._waiter = waiter
        # What came while the transport resumed, or the future was made, is told now.
        if self.error is not error:
            self._waiter = None
            waiter.set_exception(self.error)
        elif self.unread != unread or self.is_eof:
            self.wake()
        return waiter

    def exception(self):
        """What set_exception() was given, or None."""
        return self.error

    def set_exception(self, exc):
        """Reading raises `exc` from now on, also for who waits."""
        self.error = exc
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.cancelled():
            waiter.set_exception(exc)

    def set_transport(self, transport):
        """What to pause when too much is unread. AssertionError if there is one."""
        if self._transport is not None:
            raise AssertionError("Transport already set")
        self._transport = transport

    def feed_eof(self):
        """No more will come. Idempotent."""
        self.is_eof = True
        self.wake()

    def feed_data(self, data):
        """The next bytes of the stream, bytes-like. AssertionError after feed_eof()."""
        self.feed(data if type(data) is bytes else bytes(memoryview(data)))

    def _take_unread(self):
        """All that is unread, for another layer to read, which begins with it and is not paused."""
        self.is_paused = False
        return self.cut(self.unread)

    def at_eof(self):
        """Whether all has been read, and no more will come."""
        return self.is_eof and self.unread == 0

    @property
    def _buffer(self):
        """A copy of what is unread."""
        return bytearray(self.data()[:self.unread])

    def __repr__(self):
        info = ["StreamReader"]
        if self.unread:
            info.append(f"{self.unread} bytes")
        if self.is_eof:
            info.append("eof")
        if self._limit != 2 ** 16:
            info.append(f"limit={self._limit}")
        if self._waiter:
            info.append(f"waiter={self._waiter!r}")
        if self.error:
            info.append(f"exception={self.error!r}")
        if self._transport:
            info.append(f"transport={self._transport!r}")
        if self.is_paused:
            info.append("paused")
        return f"<{' '.join(info)}>"
