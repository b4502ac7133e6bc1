"""One anonymous mapping that the kernel may write to. It is mapped once, as a whole, and no fork
shares it.

A forked child does not get the pages. Otherwise a receive that the parent has in flight would break
copy-on-write sharing page by page, and both would pay for memory that the child cannot use. By
default the child has no mapping there at all (MADV_DONTFORK). With `leaves_zeros` it has pages of
zeros there (MADV_WIPEONFORK), for memory that Python objects of the child still point into.
"""

from libc.errno cimport errno
from posix.mman cimport (
    MAP_ANONYMOUS, MAP_FAILED, MAP_PRIVATE, PROT_READ, PROT_WRITE, mmap, munmap,
)
from posix.unistd cimport _SC_PAGESIZE, sysconf

from zcloop._native.kernel.errors cimport raise_os_error
from zcloop._native.kernel.mman cimport MADV_DONTFORK, MADV_HUGEPAGE, MADV_WIPEONFORK, madvise

# Bytes of a huge page on x86-64, and on aarch64 with pages of 4 KiB.
cdef size_t HUGE_PAGE = 2 * 1024 * 1024


cdef class Mapping:
    """At least `size` bytes of zeroed memory in whole pages; `huge_pages` asks for large ones.

    Raises ValueError for a size of 0, and OSError (ENOMEM).
    """

    def __cinit__(self, size_t size, *, bint leaves_zeros=False, bint huge_pages=False):
        if size == 0:
            raise ValueError("a size of at least one byte is needed")
        cdef size_t page = HUGE_PAGE if huge_pages else sysconf(_SC_PAGESIZE)
        cdef size_t whole = (size + page - 1) // page * page
        cdef void *mapped = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                                 -1, 0)
        if mapped == MAP_FAILED:
            raise_os_error(errno, f"mapping {whole} bytes of memory")
        madvise(mapped, whole, MADV_WIPEONFORK if leaves_zeros else MADV_DONTFORK)
        if huge_pages:
            madvise(mapped, whole, MADV_HUGEPAGE)
        self.address = <char *> mapped
        self.size = whole
        self.mapped = whole

    def __dealloc__(self):
        self.close()

    def close(self):
        """Unmap. Idempotent. The caller knows that neither the kernel nor Python still uses it."""
        if self.mapped:
            munmap(self.address, self.mapped)
            self.mapped = 0
            self.address = NULL

    def abandon(self):
        """Forget the mapping, in a forked child, which has not inherited it."""
        self.mapped = 0
        self.address = NULL
