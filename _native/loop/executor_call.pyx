"""What an executor runs, as a future of the loop: asyncio.wrap_future in fewer steps.

    executor's thread: source done --post--> loop: finish --> future done
    loop: future cancelled --> source.cancel()
"""

from asyncio import futures
from concurrent.futures import CancelledError, Future

from zcloop._native.kernel.sealed cimport seal
from zcloop._native.loop.scheduler cimport Scheduler


cdef class ExecutorCall:
    """The callback of both futures, each of which passes itself. It also posts itself to the loop,
    which calls it without an argument: then it is time to `finish`."""

    def __call__(self, done=None):
        if done is None:
            self.finish()
        elif done is self.future:
            if done.cancelled() and self.source is not None:
                self.source.cancel()
        elif self.loop._closed:
            self.source = None
        else:
            self.loop.call_soon_threadsafe(self)

    cdef int finish(self) except -1:
        """Give the executor's result or exception to the loop's future."""
        # A concurrent future keeps its callbacks and its result for ever, so let go of it.
        source, self.source = self.source, None
        if source is None or self.future.cancelled():
            return 0
        try:
            error = source.exception()
        except CancelledError:
            self.future.cancel()
            return 0
        if error is None:
            self.future.set_result(source.result())
        else:
            futures._copy_future_state(source, self.future)     # converts some exceptions
        return 0


def wrap_future(Scheduler loop not None, source):
    """A future of `loop` that gets what `source`, a concurrent.futures.Future, gets.

    Cancelling it cancels `source`. Other kinds of futures are given to asyncio.wrap_future.
    """
    cdef ExecutorCall call
    if type(source) is not Future and (futures.isfuture(source) or not isinstance(source, Future)):
        return futures.wrap_future(source, loop=loop)
    call = ExecutorCall.__new__(ExecutorCall)
    call.loop = loop
    call.source = source
    call.future = loop.create_future()
    call.future.add_done_callback(call)
    source.add_done_callback(call)
    return call.future


seal(ExecutorCall)
