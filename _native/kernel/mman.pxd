# What madvise(2) is told of a mapping.

cdef extern from "<sys/mman.h>" nogil:
    int madvise(void *address, size_t size, int advice)
    enum:
        MADV_DONTFORK
        MADV_HUGEPAGE
        MADV_WIPEONFORK         # since 4.14

cdef extern from * nogil:
    """
    static void zc_touch(volatile char *block) { *block = 0; }
    """
    void zc_touch(char *block)
