"""asyncio.StreamReader in native code."""

from zcloop._native.kernel.cpython cimport PyNumber_AsSsize_t
from zcloop._native.streams.reading cimport (
    READ, READ_ALL, READ_EXACTLY, READ_LINE, READ_NEXT, READ_UNTIL, make_reading,
)
from zcloop._native.streams.stream_input cimport StreamInput


cdef class StreamReader(StreamInput):
    """Reads the bytes that are fed to it, in order: asyncio.StreamReader, native.

    The transport is paused when more than twice `limit` bytes are unread. Only one coroutine may
    wait at a time, RuntimeError for others. Not thread-safe. ValueError for a limit below 1.
    """

    def read(self, n=-1):
        """Read up to `n` bytes, as soon as there are some; b"" at the end. If `n` is negative, read
        all until the end.

        Bytes that were received together, and are read together, are not copied.
        """
        cdef Py_ssize_t size = PyNumber_AsSsize_t(n, NULL)
        return make_reading(self, READ_ALL if size < 0 else READ, size, None)

    def readexactly(self, n):
        """Read `n` bytes. IncompleteReadError, with what there is, when the end comes before.

        ValueError for a negative `n`.
        """
        return make_reading(self, READ_EXACTLY, PyNumber_AsSsize_t(n, NULL), None)

    def readuntil(self, separator=b"\n"):
        """Read up to and with `separator`. In a tuple of them, the one counts that ends first.

        IncompleteReadError, with what there is, when the end comes before. LimitOverrunError when
        no separator begins within `limit` bytes; then all of it can still be read. ValueError for
        an empty separator or tuple.
        """
        return make_reading(self, READ_UNTIL, 0, separator)

    def readline(self):
        """Read a line with its newline, which only the last line may lack; b"" at the end.

        ValueError for a line of more than `limit` bytes, which is dropped.
        """
        return make_reading(self, READ_LINE, 0, None)

    def __aiter__(self):
        return self

    def __anext__(self):
        return make_reading(self, READ_NEXT, 0, None)
