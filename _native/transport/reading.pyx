"""One read of a StreamReader: what `await reader.read(n)` and its siblings wait for.

A coroutine by its methods, so that a task can be made of it; nothing happens before it is awaited.
When what it asks for is there it ends without a suspension, otherwise it yields the future of the
input, as `await future` does, and looks again when that is done.

Rejected: `async def` (a closure and a generator more for each read, and StopIteration as an object
to bring the result, which `am_send` returns).
"""

cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF

import warnings
from asyncio import exceptions

from zcloop._native.transport.coroutine cimport ZC_NEXT, ZC_RETURN, zc_set_slots, zc_stop_with

cdef dict NAMES = {
    READ: "read", READ_ALL: "read", READ_EXACTLY: "readexactly", READ_UNTIL: "readuntil",
    READ_LINE: "readline", READ_NEXT: "__anext__",
}
cdef bytes NEWLINE = b"\n"
cdef list NEWLINES = [NEWLINE]
cdef object IncompleteReadError = exceptions.IncompleteReadError
cdef object LimitOverrunError = exceptions.LimitOverrunError


cdef Reading make_reading(StreamInput input, Kind kind, Py_ssize_t size, object separator):
    cdef Reading reading = Reading.__new__(Reading)
    reading.input = input
    reading.kind = kind
    reading.size = size
    reading.separator = separator
    return reading


@cython.final
@cython.freelist(64)
cdef class Reading:
    def __dealloc__(self):
        if self.state == NEW and self.input is not None:
            warnings.warn(f"coroutine 'StreamReader.{self.name()}' was never awaited",
                          RuntimeWarning, stacklevel=1)

    cdef str name(self):
        return NAMES[self.kind]

    # ---- what a coroutine does ---------------------------------------------------------------

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        if self.run():
            raise StopIteration(self.result)
        return self.waiter

    def send(self, value):
        """Go on, as a coroutine does."""
        return self.__next__()

    def throw(self, kind, value=None, traceback=None):
        """End here, with an exception: what was awaited has failed, or was cancelled."""
        self.give_up()
        if value is None:
            value = kind if isinstance(kind, BaseException) else kind()
        if traceback is not None:
            value = value.with_traceback(traceback)
        raise value

    def close(self):
        """End here; nothing was read."""
        self.give_up()

    @property
    def __name__(self):
        return self.name()

    @property
    def __qualname__(self):
        return f"StreamReader.{self.name()}"

    @property
    def cr_running(self):
        return False

    @property
    def cr_await(self):
        return self.waiter

    cdef int give_up(self) except -1:
        if self.waiter is not None and self.input._waiter is self.waiter:
            self.input._waiter = None
        self.waiter = self.pieces = None
        self.state = OVER
        return 0

    cdef bint run(self) except -1:
        """Whether there is a result; else there is a future to wait for."""
        cdef bint is_over
        if self.state == OVER:
            raise RuntimeError("cannot reuse already awaited coroutine")
        if self.waiter is not None:
            if self.input._waiter is self.waiter:
                self.input._waiter = None
            self.waiter = None
        try:
            is_over = self.advance()
        except BaseException:
            self.give_up()
            raise
        self.state = OVER if is_over else WAITING
        return is_over

    cdef bint advance(self) except -1:
        if self.state == NEW:
            if self.input is None:
                raise TypeError("a read is made by a StreamReader")
            if self.kind == READ_EXACTLY and self.size < 0:
                raise ValueError("readexactly size can not be less than zero")
            if self.kind == READ_UNTIL:
                self.split_separators()
            if self.input.error is not None:
                raise self.input.error
        if self.kind == READ:
            return self.read()
        if self.kind == READ_ALL:
            return self.read_all()
        if self.kind == READ_EXACTLY:
            return self.read_exactly()
        if self.kind == READ_UNTIL:
            return self.read_until()
        return self.read_line()

    cdef bint wait(self, size_t wanted, str caller) except -1:
        self.waiter = self.input.wait(wanted, caller)
        self.waiter._asyncio_future_blocking = True
        return False

    # ---- the kinds of reading ----------------------------------------------------------------

    cdef bint read(self) except -1:
        cdef StreamInput input = self.input
        if self.size == 0:
            self.result = b""
            return True
        if input.unread == 0 and not input.is_eof:
            return self.wait(1, "read")
        self.result = input.take(min(<size_t> self.size, input.unread))
        return True

    cdef bint read_all(self) except -1:
        cdef StreamInput input = self.input
        if self.pieces is None:
            self.pieces = []
        if input.error is not None:
            raise input.error
        if input.unread:
            self.pieces.append(input.take(input.unread))
        if not input.is_eof:
            return self.wait(1, "read")
        self.result = b"".join(self.pieces)
        self.pieces = None
        return True

    cdef bint read_exactly(self) except -1:
        cdef StreamInput input = self.input
        if self.size == 0:
            self.result = b""
            return True
        if input.unread < <size_t> self.size:
            if not input.is_eof:
                return self.wait(self.size, "readexactly")
            raise IncompleteReadError(input.cut(input.unread), self.size)
        self.result = input.take(self.size)
        return True

    cdef int split_separators(self) except -1:
        given = self.separator
        if isinstance(given, tuple):
            given = sorted(given, key=len)
            if not given:
                raise ValueError("Separator should contain at least one element")
        else:
            given = [given]
        if len(given[0]) == 0:
            raise ValueError("Separator should be at least one-byte string")
        self.separator = [one if type(one) is bytes else bytes(memoryview(one)) for one in given]
        return 0

    cdef bint read_until(self) except -1:
        cdef StreamInput input = self.input
        cdef list separators = self.separator
        cdef size_t unread = input.unread
        cdef size_t longest = len(<bytes> separators[len(separators) - 1])
        cdef Py_ssize_t start = -1
        cdef Py_ssize_t end = -1
        cdef Py_ssize_t found
        if unread >= self.offset + len(<bytes> separators[0]):
            for separator in separators:
                found = input.find(<bytes> separator, self.offset)
                if found >= 0 and (end < 0 or found + len(<bytes> separator) < end):
                    start = found
                    end = found + len(<bytes> separator)
            if end < 0:
                # Its first bytes may be there.
                self.offset = unread + 1 - longest if unread + 1 > longest else 0
                if self.offset > input.limit:
                    raise LimitOverrunError(
                        "Separator is not found, and chunk exceed the limit", self.offset)
        if end < 0:
            if not input.is_eof:
                return self.wait(1, "readuntil")
            raise IncompleteReadError(input.cut(unread), None)
        if <size_t> start > input.limit:
            raise LimitOverrunError(
                "Separator is found, but chunk is longer than limit", start)
        self.result = input.take(end)
        return True

    cdef bint read_line(self) except -1:
        """read_until(newline), and its errors as readline() has them."""
        cdef StreamInput input = self.input
        cdef size_t consumed
        self.separator = NEWLINES
        try:
            if not self.read_until():
                return False
        except IncompleteReadError as error:
            self.result = error.partial
        except LimitOverrunError as error:
            consumed = error.consumed
            if input.unread > consumed and input.data()[consumed] == 10:
                input.take(consumed + 1)
            else:
                input.take(input.unread)
            raise ValueError(error.args[0])
        if self.kind == READ_NEXT and not self.result:
            raise StopAsyncIteration
        return True


cdef PyObject *_next(PyObject *reading) except? NULL:
    if (<Reading> reading).run():
        result, (<Reading> reading).result = (<Reading> reading).result, None
        zc_stop_with(result)
        return NULL
    Py_INCREF((<Reading> reading).waiter)
    return <PyObject *> (<Reading> reading).waiter


cdef int _send(PyObject *reading, PyObject *value, PyObject **result) except? -1:
    cdef bint is_over = (<Reading> reading).run()
    if is_over:
        found, (<Reading> reading).result = (<Reading> reading).result, None
    else:
        found = (<Reading> reading).waiter
    Py_INCREF(found)
    result[0] = <PyObject *> found
    return ZC_RETURN if is_over else ZC_NEXT


zc_set_slots(Reading, <void *> _next, <void *> _send)
