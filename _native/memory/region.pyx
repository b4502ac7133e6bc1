"""One anonymous mapping that the kernel may write to: mapped once, whole, never inherited by fork.

A forked child does not get the pages (MADV_DONTFORK): a receive that the parent has in flight
would otherwise break copy-on-write sharing page by page, and both would pay for memory that the
child cannot use.
"""

from libc.errno cimport errno
from posix.mman cimport (
    MAP_ANONYMOUS, MAP_FAILED, MAP_PRIVATE, PROT_READ, PROT_WRITE, mmap, munmap,
)
from posix.unistd cimport _SC_PAGESIZE, sysconf

from zcloop._native.kernel.errors cimport raise_os_error

cdef extern from "<sys/mman.h>" nogil:
    int madvise(void *address, size_t size, int advice)
    enum:
        MADV_DONTFORK


cdef class Region:
    """`size` bytes of page-aligned memory, zeroed. Raises OSError (ENOMEM) and ValueError."""

    def __cinit__(self, size_t size):
        if size == 0:
            raise ValueError("a region needs a size of at least one byte")
        cdef size_t page = sysconf(_SC_PAGESIZE)
        cdef size_t whole = (size + page - 1) // page * page
        cdef void *mapped = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                                 -1, 0)
        if mapped == MAP_FAILED:
            raise_os_error(errno, f"mapping a region of {whole} bytes")
        madvise(mapped, whole, MADV_DONTFORK)
        self.address = <char *> mapped
        self.size = whole
        self.mapped = whole

    def __dealloc__(self):
        self.close()

    def close(self):
        """Unmap; idempotent. The caller knows that neither kernel nor Python still uses it."""
        if self.mapped:
            munmap(self.address, self.mapped)
            self.mapped = 0
            self.address = NULL

    def abandon(self):
        """In a forked child: forget the mapping, which was not inherited."""
        self.mapped = 0
        self.address = NULL

    cdef bint holds(self, const void *pointer, size_t size) noexcept nogil:
        cdef const char *start = <const char *> pointer
        return (start >= self.address and size <= self.mapped
                and start + size <= self.address + self.mapped)
