"""What has arrived for a StreamReader: bytes, their end or an error, and who waits for them.

    unread > 2 * limit  --> the transport is paused
    unread <= limit, or somebody waits for more  --> it is resumed

A coroutine waits for a future, and reads the bytes only when it runs again. If it is cancelled in
between, it has read nothing.
"""

from asyncio import events, exceptions

from cpython.bytes cimport PyBytes_GET_SIZE

cdef object InvalidStateError = exceptions.InvalidStateError
# Twice this limit, and a separator more, is still a size_t.
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
        """The next bytes of the stream; no bytes do nothing. AssertionError after the end."""
        if self.is_eof:
            raise AssertionError("feed_data after feed_eof")
        if PyBytes_GET_SIZE(data) == 0:
            return 0
        self.append(data)
        if self._waiter is not None:
            if self.unread < self.wanted:
                return 0        # the waiter may want more than the limit: there is no pause
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
                pass        # it was cancelled; that is rare, so nobody asks before
        return 0

    cdef int pause(self) except -1:
        if self._transport is None:
            return 0
        try:
            self._transport.pause_reading()
        except NotImplementedError:
            self._transport = None      # as asyncio does: then everything is kept
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
            self.resume()       # nobody else would do it
        self.wanted = wanted
        if self.scheduler is not None:
            waiter = self.scheduler.new_future()
        else:
            waiter = self._loop.create_future()
        self._waiter = waiter
        # Bytes, the end or an error may have come while the transport resumed, or while the future
        # was made.
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
        """Reading raises `exc` from now on, also in a coroutine that waits already."""
        self.error = exc
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.cancelled():
            waiter.set_exception(exc)

    def set_transport(self, transport):
        """Set the transport that is paused when too much is unread. AssertionError if it is set."""
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

    def _consume_unread(self):
        """All that is unread, for another layer, which reads from there on and is not paused."""
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
