"""Native coroutines: objects that can be awaited, and that a task can be made of.

Nothing happens before one is awaited. Then it goes on until it has a result, which ends it without
a suspension, or until it has to wait. In that case it yields a future, as `await future` does, and
goes on when the future is done.

Rejected: `async def`. Each call would make a closure and a generator, and its result would travel
in a StopIteration object, where `am_send` returns it.
"""

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF

import warnings

from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.coroutine cimport ZC_NEXT, ZC_RETURN, zc_set_slots, zc_stop_with


cdef class Awaitable:
    """Derived classes define `advance`, and `give_up` if there is something to undo."""

    def __dealloc__(self):
        if self.state == NEW:
            warnings.warn(f"coroutine '{self.name()}' was never awaited",
                          RuntimeWarning, stacklevel=1)

    cdef str name(self):
        return type(self).__name__

    cdef bint advance(self) except -1:
        """Whether `result` is there; else `wait_for` was called. Derived classes define it."""
        raise NotImplementedError

    cdef int woken(self) except -1:
        """Called when `waiter` is done, before it is dropped."""
        return 0

    cdef int give_up(self) except -1:
        """End without a result."""
        self.waiter = None
        self.state = OVER
        return 0

    cdef int wait_for(self, object future) except -1:
        self.waiter = future
        future._asyncio_future_blocking = True
        return 0

    cdef bint run(self) except -1:
        """Go on. True if there is a result now; else `waiter` is a future to wait for."""
        cdef bint is_over
        if self.state == OVER:
            raise RuntimeError("cannot reuse already awaited coroutine")
        if self.state == UNMADE:
            maker = self.name().partition(".")[0]
            raise TypeError(f"a {type(self).__name__} is made by a {maker}")
        if self.waiter is not None:
            self.woken()
            self.waiter = None
        try:
            is_over = self.advance()
        except BaseException:
            self.give_up()
            raise
        self.state = OVER if is_over else WAITING
        return is_over

    def __await__(self):
        if self.state == WAITING:
            raise RuntimeError("coroutine is being awaited already")
        return self

    def __iter__(self):
        return self

    def __next__(self):
        if self.run():
            raise StopIteration(self.result)
        return self.waiter

    def send(self, value):
        """Go on, as a coroutine does. `value` is ignored: the future has the result."""
        return self.__next__()

    def throw(self, kind, value=None, traceback=None):
        """End here with an exception, since what was awaited has failed or was cancelled."""
        self.give_up()
        if value is None:
            value = kind if isinstance(kind, BaseException) else kind()
        if traceback is not None:
            value = value.with_traceback(traceback)
        raise value

    def close(self):
        """End here. Idempotent."""
        self.give_up()

    @property
    def __name__(self):
        return self.name().rpartition(".")[2]

    @property
    def __qualname__(self):
        return self.name()

    @property
    def cr_running(self):
        return False

    @property
    def cr_await(self):
        return self.waiter


cdef PyObject *_next(PyObject *awaitable) except? NULL:
    if (<Awaitable> awaitable).run():
        result, (<Awaitable> awaitable).result = (<Awaitable> awaitable).result, None
        zc_stop_with(result)
        return NULL
    Py_INCREF((<Awaitable> awaitable).waiter)
    return <PyObject *> (<Awaitable> awaitable).waiter


cdef int _send(PyObject *awaitable, PyObject *value, PyObject **result) except? -1:
    cdef bint is_over = (<Awaitable> awaitable).run()
    if is_over:
        found, (<Awaitable> awaitable).result = (<Awaitable> awaitable).result, None
    else:
        found = (<Awaitable> awaitable).waiter
    Py_INCREF(found)
    result[0] = <PyObject *> found
    return ZC_RETURN if is_over else ZC_NEXT


zc_set_slots(Awaitable, <void *> _next, <void *> _send)


seal(Awaitable)
