# Memory of a table that grows.

from libc.stdlib cimport realloc


cdef inline void *resized(void *block, size_t size) except NULL:
    """`block` with so many bytes, perhaps elsewhere; a new block for NULL. MemoryError."""
    cdef void *got = realloc(block, size)
    if got == NULL:
        raise MemoryError(f"{size} bytes for the tables of a channel")
    return got
