"""What is to run, and when: ready callbacks and timers, and the futures and tasks that make them.

What the C implementation of Future and Task asks its loop for (`get_debug`, `call_soon`) and what
makes them is here and native; everything rare, the debug mode above all, is BaseEventLoop's.
"""

import sys

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF

from asyncio import base_events, events, format_helpers, futures, tasks

from zcloop._native.kernel.clock cimport monotonic
from zcloop._native.kernel.cpython cimport PyObject_Call
from zcloop._native.loop.contexts cimport Contexts
from zcloop._native.loop.handle cimport make_handle
from zcloop._native.loop.threadsafe_handle cimport make_threadsafe_handle
from zcloop._native.loop.timers cimport TimerHandle

cdef object BaseEventLoop = base_events.BaseEventLoop
# Programs put other classes in the place of Future and Task, as nest_asyncio does.
cdef dict _futures = futures.__dict__
cdef dict _tasks = tasks.__dict__
cdef bint _does_cancel_wait = hasattr(events, "_ThreadSafeHandle")     # since Python 3.14


cdef object stack_here():
    """Where the program is, for who reads a handle in debug mode; None in a thread that another
    language has started, which runs no Python code of its own."""
    try:
        return format_helpers.extract_stack(sys._getframe())
    except (ValueError, AttributeError):
        return None     # it has no frame, or, from Python 3.15 on, one without code


cdef class Scheduler(Owner):
    def __cinit__(self, *args, **kwargs):
        self._closed = True         # until BaseEventLoop's __init__ says otherwise
        self.ready = ReadyQueue()
        self.timers = TimerHeap()
        self.contexts = Contexts()
        self.does_cancel_wait = _does_cancel_wait

    def __reduce__(self):
        # Else protocols 0 and 1 of pickle would make another loop first.
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")

    def __dealloc__(self):
        while self.spare_count:
            self.spare_count -= 1
            Py_DECREF(<object> self.spare_handles[self.spare_count])

    cdef int check_usable(self) except -1:
        """RuntimeError in a forked child. Core, which derives from this, has the channel to ask."""
        raise NotImplementedError

    cdef int wake(self) except -1:
        """End the loop's sleep, from any thread. Core's, as above."""
        raise NotImplementedError

    def time(self):
        """Seconds on CLOCK_MONOTONIC, with the clock's own resolution."""
        return monotonic()

    def get_debug(self):
        """Whether the loop is in debug mode."""
        return self._debug

    def is_closed(self):
        """Whether the loop was closed."""
        return self._closed

    def is_running(self):
        """Whether a thread runs the loop."""
        return self._thread_id is not None

    def _check_closed(self):
        self.check_open()

    # ---- futures and tasks -------------------------------------------------------------------

    def create_future(self):
        """A new asyncio.Future of this loop."""
        return self.new_future()

    cdef object new_future(self):
        if self.for_self is not None:
            return PyObject_Call(_futures["Future"], (), self.for_self)
        return _futures["Future"](loop=self)

    def create_task(self, coro, **kwargs):
        """A new task that runs `coro`; `name`, `context` and what the interpreter's Task takes."""
        self.check_open()
        if self._debug or self._task_factory is not None or "loop" in kwargs:
            return BaseEventLoop.create_task(self, coro, **kwargs)
        if not kwargs and self.for_self is not None:
            return PyObject_Call(_tasks["Task"], (coro,), self.for_self)
        return _tasks["Task"](coro, loop=self, **kwargs)

    # ---- callbacks ---------------------------------------------------------------------------

    cdef Handle call(self, object callback, tuple args, object context):
        """call_soon for callers below Python."""
        cdef Handle handle
        if self.spare_count:
            self.spare_count -= 1
            handle = <Handle> self.spare_handles[self.spare_count]
            Py_DECREF(handle)       # ours; `handle` is another
            handle.set(callback, args, self, context, self.contexts)
        else:
            handle = make_handle(callback, args, self, context, self.contexts)
        self.check_open()       # last: what is above can give up the GIL
        self.ready.push(handle)
        return handle

    cdef Handle post(self, object callback, tuple args, object context):
        """`call` from any thread."""
        cdef Handle handle
        if not self.does_cancel_wait:
            return self.call(callback, args, context)
        handle = make_threadsafe_handle(callback, args, self, context, self.contexts)
        self.check_open()
        self.ready.push(handle)
        return handle

    def call_soon(self, callback, *args, context=None):
        """Run `callback(*args)` in the next turn. Not thread-safe; RuntimeError when closed."""
        cdef Handle handle
        if not self._debug:
            return self.call(callback, args, context)
        self.check_open()
        self._check_thread()
        self._check_callback(callback, "call_soon")
        stack = stack_here()
        handle = self.call(callback, args, context)
        handle._source_traceback = stack
        return handle

    def call_soon_threadsafe(self, callback, *args, context=None):
        """call_soon from any thread or signal handler: wakes a sleeping loop, once.

        Since Python 3.14 the handle's cancel() waits until a run that another thread has begun is
        over.
        """
        cdef Handle handle
        stack = None
        self.check_usable()
        if self._debug:
            self.check_open()
            self._check_callback(callback, "call_soon_threadsafe")
            stack = stack_here()
        handle = self.post(callback, args, context)
        # Nothing that can fail from here on: it is queued, and the loop may be asleep.
        handle._source_traceback = stack
        self.wake()
        return handle

    def call_later(self, delay, callback, *args, context=None):
        """Run `callback(*args)` after `delay` seconds. TypeError for a delay of None."""
        cdef double seconds
        if delay is None:
            raise TypeError("delay must not be None")
        seconds = delay
        return self.schedule(monotonic() + seconds, callback, args, context, "call_later")

    def call_at(self, when, callback, *args, context=None):
        """Run `callback(*args)` at `when`, in seconds of `loop.time()`."""
        cdef TimerHandle timer
        if when is None:
            raise TypeError("when cannot be None")
        timer = self.schedule(when, callback, args, context, "call_at")
        timer.is_whole = type(when) is int
        return timer

    cdef object schedule(self, double when, object callback, tuple args, object context, str name):
        cdef TimerHandle timer
        stack = None
        self.check_open()
        if self._debug:
            self._check_thread()
            self._check_callback(callback, name)
            stack = stack_here()
        # What is not a number has no place among the others: it is due now, as asyncio's is.
        timer = self.timers.add(when if when == when else monotonic(), callback, args, self,
                                context, self.contexts)
        timer.deadline = when
        timer._source_traceback = stack
        return timer

    def _add_callback(self, handle):
        """Make a Handle ready, the interpreter's own kind included."""
        if handle._cancelled:
            return
        if not isinstance(handle, Handle):
            handle = make_handle(handle._run, (), self, None, self.contexts)
        self.check_open()
        self.ready.push(<Handle> handle)

    def _timer_handle_cancelled(self, handle):
        """Only asyncio's own timer handles count their dead."""

    # ---- running them ------------------------------------------------------------------------

    cdef int run_ready(self) except -1:
        cdef size_t remaining = self.ready.count()
        cdef Handle handle
        while remaining:
            remaining -= 1
            handle = <Handle> self.ready.pop()
            Py_DECREF(handle)
            handle.is_queued = False    # before the run, which KeyboardInterrupt may leave
            if self._debug:
                self.run_timed(handle)
            elif handle.is_repeated:
                handle.run()
            else:
                handle.run_once(self.contexts)
                if self.spare_count < SPARE_HANDLES_MAX and handle.is_as_new():
                    Py_INCREF(handle)
                    self.spare_handles[self.spare_count] = <PyObject *> handle
                    self.spare_count += 1
        return 0

    cdef int run_timed(self, Handle handle) except -1:
        """Debug mode: a callback that takes longer than slow_callback_duration is logged."""
        if handle.is_cancelled:
            return 0
        cdef double start = monotonic()
        try:
            handle.run()
            start = monotonic() - start
            if start >= self.slow_callback_duration:
                # Described only now: the repr of a task's callback can be as long as its queue.
                base_events.logger.warning("Executing %s took %.3f seconds",
                                           base_events._format_handle(handle), start)
        finally:
            if not handle.is_repeated:
                handle.clear()
        return 0

    cdef double time_of_debug(self) noexcept:
        """When a protocol is called, in debug mode; else 0."""
        return monotonic() if self._debug else 0

    cdef int log_if_slow(self, double start, object protocol, object name) except -1:
        if monotonic() - start >= self.slow_callback_duration:
            base_events.logger.warning("Executing %s of %r took %.3f seconds", name, protocol,
                                       monotonic() - start)
        return 0

    cdef int expire_timers(self) except -1:
        cdef double end
        if self.timers.count == 0:
            return 0
        end = monotonic() + self._clock_resolution
        while self.timers.count and self.timers.first() < end:
            self.ready.push(self.timers.pop())
        return 0
