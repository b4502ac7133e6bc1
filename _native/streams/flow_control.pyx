"""The protocol of a StreamWriter: whether it may write on, and when the connection is gone."""

from asyncio import events
from asyncio.log import logger


cdef class FlowControl(NativeProtocol):
    def __init__(self, loop=None):
        self._loop = events.get_event_loop() if loop is None else loop
        self.drain_waiters = []

    def pause_writing(self):
        """The transport has more queued than it likes."""
        self._paused = True
        if self._loop.get_debug():
            logger.debug("%r pauses writing", self)

    def resume_writing(self):
        """Little is queued again: whoever drains goes on."""
        self._paused = False
        if self._loop.get_debug():
            logger.debug("%r resumes writing", self)
        for waiter in self.drain_waiters:
            if not waiter.done():
                waiter.set_result(None)

    def connection_lost(self, exc):
        """Nothing can be written any more: whoever waits for that, or for room, is told."""
        self._connection_lost = True
        self.error = exc
        if self.closed is not None:
            self.finish(self.closed)
        for waiter in self.drain_waiters:
            self.finish(waiter)

    cdef int finish(self, object waiter) except -1:
        """The connection is lost: set the waiter's result, or the error."""
        if waiter.done():
            return 0
        if self.error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(self.error)
            waiter.exception()      # so that asyncio does not report that nobody asked for it
        return 0

    async def _drain_helper(self):
        if self._connection_lost:
            raise ConnectionResetError("Connection lost")
        if not self._paused:
            return
        waiter = self._loop.create_future()
        self.drain_waiters.append(waiter)
        try:
            await waiter
        finally:
            self.drain_waiters.remove(waiter)

    def _get_close_waiter(self, stream):
        if self.closed is None:
            self.closed = self._loop.create_future()
            if self._connection_lost:
                self.finish(self.closed)
        return self.closed
