"""One read of a StreamReader: what `await reader.read(n)` and its siblings wait for.

If what it asks for is there, it ends without a suspension. Otherwise it waits for the future of the
input, and looks again when that is done.
"""

cimport cython
from asyncio import exceptions

from zcloop._native.loop.awaitable cimport NEW, Awaitable

# The method of StreamReader that makes each kind, for messages.
cdef dict NAMES = {
    READ: "read", READ_ALL: "read", READ_EXACTLY: "readexactly", READ_UNTIL: "readuntil",
    READ_LINE: "readline", READ_NEXT: "__anext__",
}
cdef list NEWLINES = [b"\n"]       # the separators of a line
cdef object IncompleteReadError = exceptions.IncompleteReadError
cdef object LimitOverrunError = exceptions.LimitOverrunError


cdef Reading make_reading(StreamInput input, Kind kind, Py_ssize_t size, object separator):
    cdef Reading reading = Reading.__new__(Reading)
    reading.state = NEW
    reading.input = input
    reading.kind = kind
    reading.size = size
    reading.separator = separator
    return reading


@cython.final
cdef class Reading(Awaitable):
    cdef str name(self):
        return f"StreamReader.{NAMES[self.kind]}"

    cdef int woken(self) except -1:
        if self.input._waiter is self.waiter:
            self.input._waiter = None
        return 0

    cdef int give_up(self) except -1:
        if self.waiter is not None:
            self.woken()
        self.pieces = None
        return Awaitable.give_up(self)

    cdef bint advance(self) except -1:
        if self.state == NEW:
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
        self.wait_for(self.input.wait(wanted, caller))
        return False

    # ---- the kinds of reading ----------------------------------------------------------------

    cdef bint read(self) except -1:
        cdef StreamInput input = self.input
        if self.size == 0:
            self.result = b""
            return True
        if input.unread == 0 and not input.is_eof:
            return self.wait(1, "read")
        self.result = input.consume(min(<size_t> self.size, input.unread))
        return True

    cdef bint read_all(self) except -1:
        cdef StreamInput input = self.input
        if self.pieces is None:
            self.pieces = []
        if input.error is not None:
            raise input.error
        if input.unread:
            self.pieces.append(input.consume(input.unread))
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
        self.result = input.consume(self.size)
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
                # The last bytes may be the beginning of a separator.
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
        self.result = input.consume(end)
        return True

    cdef bint read_line(self) except -1:
        """read_until(newline), with the errors of readline()."""
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
                input.consume(consumed + 1)
            else:
                input.consume(input.unread)
            raise ValueError(error.args[0])
        if self.kind == READ_NEXT and not self.result:
            raise StopAsyncIteration
        return True
