# Searches in memory that <string.h> has, and Cython does not declare.

cdef extern from "<string.h>" nogil:
    void *memchr(const void *data, int byte, size_t size)

cdef extern from * nogil:
    """
    /* A GNU function that <string.h> shows only when asked before its first inclusion. */
    extern void *memmem(const void *data, size_t size, const void *part, size_t part_size);
    """
    void *memmem(const void *data, size_t size, const void *part, size_t part_size)
