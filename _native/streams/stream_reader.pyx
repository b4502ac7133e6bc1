"""asyncio.StreamReader in native code."""

from zcloop._native.kernel.cpython cimport PyNumber_AsSsize_t
from zcloop._native.streams.reading cimport (
    READ, READ_ALL, READ_EXACTLY, READ_LINE, READ_NEXT, READ_UNTIL, make_reading,
)
from zcloop._native.streams.stream_input cimport StreamInput


cdef class StreamReader(StreamInput):
    """Reads the bytes that are fed to it, in order; asyncio.StreamReader, native.

    When more than twice `limit` bytes are unread the transport is paused. One coroutine may wait
    at a time. Not thread-safe. ValueError for a limit below 1.
    """

    def read(self, n=-1):
        """Up to `n` bytes, as soon as there are some; b"" at the end. Negative: all until the end.

        Bytes that were received together, and are read so, are not copied.
        """
        cdef Py_ssize_t size = PyNumber_AsSsize_t(n, NULL)
        return make_reading(self, READ_ALL if size < 0 else READ, size, None)

    def readexactly(self, n):
        """`n` bytes. IncompleteReadError, with what there is, when the end comes before."""
        return make_reading(self, READ_EXACTLY, PyNumber_AsSsize_t(n, NULL), None)

    def readuntil(self, separator=b"\n"):
        """All up to and with `separator`, or the first to end of a tuple of them.

        IncompleteReadError, with what there is, when the end comes before; LimitOverrunError when
        it does not begin within `limit` bytes, and then all stays to be read. ValueError if empty.
        """
        return make_reading(self, READ_UNTIL, 0, separator)

    def readline(self):
        """A line with its newline, which only the last one may lack; b"" at the end.

        ValueError for a line longer than `limit`; it is dropped.
        """
        return make_reading(self, READ_LINE, 0, None)

    def __aiter__(self):
        return self

    def __anext__(self):
        return make_reading(self, READ_NEXT, 0, None)
