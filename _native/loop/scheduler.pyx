"""What is to run, and when: ready callbacks and timers, and the futures and tasks that make them.

The C implementation of Future and Task asks its loop for `get_debug` and `call_soon`. These, and
what makes futures and tasks, are native and here. Everything rare is BaseEventLoop's, above all the
debug mode.
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
# Looked up for each call: programs replace Future and Task in these modules, as nest_asyncio does.
cdef dict _futures = futures.__dict__
cdef dict _tasks = tasks.__dict__
cdef bint _does_cancel_wait = hasattr(events, "_ThreadSafeHandle")     # since Python 3.14


cdef object stack_here():
    """Where the program is, for whoever reads a handle in debug mode.

    None in a thread that another language has started: it runs no Python code of its own.
    """
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
        # Without this, protocols 0 and 1 of pickle would make another loop before they fail.
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")

    def __dealloc__(self):
        while self.spare_count:
            self.spare_count -= 1
            Py_DECREF(<object> self.spare_handles[self.spare_count])

    cdef int check_usable(self) except -1:
        """RuntimeError in a forked child. Core defines it, which has the channel to ask."""
        raise NotImplementedError

    cdef int wake(self) except -1:
        """End the loop's sleep, from any thread. Core defines it, which sleeps."""
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
        """A new task that runs `coro`. RuntimeError when the loop is closed. Not thread-safe.

        Keywords are those of the interpreter's own Task: `name`, `context` and the like.
        """
        self.check_open()
        if self._debug or self._task_factory is not None or "loop" in kwargs:
            return BaseEventLoop.create_task(self, coro, **kwargs)
        if not kwargs and self.for_self is not None:
            return PyObject_Call(_tasks["Task"], (coro,), self.for_self)
        return _tasks["Task"](coro, loop=self, **kwargs)

    # ---- callbacks ---------------------------------------------------------------------------

    cdef Handle call(self, object callback, tuple args, object context):
        """call_soon for native callers, without the checks of debug mode."""
        cdef Handle handle
        if self.spare_count:
            self.spare_count -= 1
            handle = <Handle> self.spare_handles[self.spare_count]
            Py_DECREF(handle)       # the list's reference; the variable has another
            handle.set(callback, args, self, context, self.contexts)
        else:
            handle = make_handle(callback, args, self, context, self.contexts)
        # Checked last, since what is above can give up the GIL.
        self.check_open()
        self.ready.push(handle)
        return handle

    cdef Handle post(self, object callback, tuple args, object context):
        """`call` from any thread. It does not wake the loop."""
        cdef Handle handle
        if not self.does_cancel_wait:
            return self.call(callback, args, context)
        handle = make_threadsafe_handle(callback, args, self, context, self.contexts)
        self.check_open()
        self.ready.push(handle)
        return handle

    def call_soon(self, callback, *args, context=None):
        """Run `callback(*args)` in the next turn, in `context` or a copy of the current context.

        Returns a handle that can be cancelled. Not thread-safe. RuntimeError when the loop is
        closed.
        """
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
        """call_soon from any thread or signal handler. It wakes a sleeping loop, once.

        On Python 3.14 and newer the handle's cancel() waits for the end of a run that another
        thread has begun. RuntimeError when the loop is closed, or in a forked child.
        """
        cdef Handle handle
        stack = None
        self.check_usable()
        if self._debug:
            self.check_open()
            self._check_callback(callback, "call_soon_threadsafe")
            stack = stack_here()
        handle = self.post(callback, args, context)
        # Nothing from here on can fail: the handle is queued, and the loop may be asleep.
        handle._source_traceback = stack
        self.wake()
        return handle

    def call_later(self, delay, callback, *args, context=None):
        """Run `callback(*args)` after `delay` seconds. TypeError for a delay of None.

        The rest is as of call_soon.
        """
        cdef double seconds
        if delay is None:
            raise TypeError("delay must not be None")
        seconds = delay
        return self.schedule(monotonic() + seconds, callback, args, context, "call_later")

    def call_at(self, when, callback, *args, context=None):
        """Run `callback(*args)` at `when`, in seconds of `loop.time()`. TypeError for None.

        The rest is as of call_soon.
        """
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
        # NaN has no place in the order of deadlines. It is due now, as asyncio's timers are then.
        timer = self.timers.add(when if when == when else monotonic(), callback, args, self,
                                context, self.contexts)
        timer.deadline = when
        timer._source_traceback = stack
        return timer

    def _add_callback(self, handle):
        """Make a handle ready: one of ours, or asyncio.Handle."""
        if handle._cancelled:
            return
        if not isinstance(handle, Handle):
            handle = make_handle(handle._run, (), self, None, self.contexts)
        self.check_open()
        self.ready.push(<Handle> handle)

    def _timer_handle_cancelled(self, handle):
        """Called by asyncio's own timer handles. Ours leave the heap when they are cancelled."""

    # ---- running them ------------------------------------------------------------------------

    cdef int run_ready(self) except -1:
        cdef size_t remaining = self.ready.count()
        cdef Handle handle
        while remaining:
            remaining -= 1
            handle = <Handle> self.ready.pop()
            Py_DECREF(handle)
            handle.is_queued = False    # before the run, which a KeyboardInterrupt may end
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
        """In debug mode: run it, and log it if it takes longer than slow_callback_duration."""
        if handle.is_cancelled:
            return 0
        cdef double start = monotonic()
        try:
            handle.run()
            start = monotonic() - start
            if start >= self.slow_callback_duration:
                # Described only here: the repr of a task's callback can be as long as its queue.
                base_events.logger.warning("Executing %s took %.3f seconds",
                                           base_events._format_handle(handle), start)
        finally:
            if not handle.is_repeated:
                handle.clear()
        return 0

    cdef double time_of_debug(self) noexcept:
        """The time at which a protocol is called, in debug mode; else 0."""
        return monotonic() if self._debug else 0

    cdef int log_if_slow(self, double start, object protocol, object name) except -1:
        """In debug mode: log a protocol's method that has run for too long since `start`."""
        if monotonic() - start >= self.slow_callback_duration:
            base_events.logger.warning("Executing %s of %r took %.3f seconds", name, protocol,
                                       monotonic() - start)
        return 0

    cdef int expire_timers(self) except -1:
        """Make ready what is due, or will be within one tick of the clock, as asyncio does."""
        cdef double end
        if self.timers.count == 0:
            return 0
        end = monotonic() + self._clock_resolution
        while self.timers.count and self.timers.first() < end:
            self.ready.push(self.timers.pop())
        return 0
