# madvise(2): what the kernel is told of a mapping.

cdef extern from "<sys/mman.h>" nogil:
    int madvise(void *address, size_t size, int advice)
    enum:
        MADV_DONTFORK
        MADV_HUGEPAGE
        MADV_WIPEONFORK         # since 4.14

cdef extern from * nogil:
    """
    /* Let the page be there: the first write of a page takes a fault. */
    static void zc_touch(volatile char *block) { *block = 0; }
    """
    void zc_touch(char *block)
