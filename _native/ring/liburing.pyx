"""The three system calls of io_uring, made by zcloop, or by C liburing where it is installed.

Nothing but the kernel is needed: the functions `direct_...` below fill liburing's struct by mmap
and make the system calls. python-liburing, an extra (`pip install zcloop[liburing]`), brings C
liburing in a wheel. Where it is installed, five of its functions are taken in place of ours, and
nothing above knows the difference; the code that runs for each request is inline in ring.pxd either
way. `provider` says which functions are used, and `cure` what to type when they do not work.

ZCLOOP_LIBURING decides at import:

| value | is bound |
|---|---|
| not set, or empty | python-liburing if it is installed, else the system calls |
| `direct` | the system calls, whatever is installed |
| `wheel` | python-liburing; ImportError if it is not installed |

The wheel's shared object is opened by its path, so that the Python package need not be imported
(which takes 23 ms), and with RTLD_LOCAL, so that another liburing in the process is not disturbed.

Rejected: linking with it, since the wheel's SONAME does not match its file name; and a dependency
on it, since its one wheel is for x86-64 with glibc and the stable ABI, and pip fails where that
cannot be installed.
"""

import importlib.util
import os

from libc.errno cimport errno
from libc.string cimport memset
from posix.mman cimport MAP_FAILED, MAP_POPULATE, MAP_SHARED, PROT_READ, PROT_WRITE, mmap, munmap
from posix.unistd cimport close

from zcloop._native.kernel.dlfcn cimport RTLD_LOCAL, RTLD_NOW, dlerror, dlopen, dlsym
from zcloop._native.kernel.liburing cimport zc_completion, zc_submission
from zcloop._native.kernel.mman cimport MADV_DONTFORK, madvise
from zcloop._native.kernel.uring cimport SETUP_NO_SQARRAY
from zcloop._native.kernel.uring_calls cimport (
    IORING_OFF_SQES, IORING_OFF_SQ_RING, zc_cq_offsets, zc_offsets, zc_sq_offsets, zc_sys_enter,
    zc_sys_register, zc_sys_setup,
)

provider = "direct"
cure = "pip install --force-reinstall zcloop"


cdef inline unsigned *_at(char *base, unsigned offset) noexcept nogil:
    return <unsigned *> (base + offset)


cdef int direct_init(unsigned entries, zc_uring *ring, io_uring_params *p) noexcept nogil:
    cdef int fd = zc_sys_setup(entries, p)
    if fd < 0:
        return fd
    memset(ring, 0, sizeof(zc_uring))
    cdef zc_offsets so = zc_sq_offsets(p)
    cdef zc_offsets co = zc_cq_offsets(p)
    cdef size_t sq_size = so.array + p.sq_entries * sizeof(unsigned)
    cdef size_t size = co.cqes + p.cq_entries * sizeof(io_uring_cqe)
    if p.flags & SETUP_NO_SQARRAY:
        sq_size = so.tail + sizeof(unsigned)
    if sq_size > size:
        size = sq_size
    # IORING_FEAT_SINGLE_MMAP, since 5.4: one mapping holds both rings.
    cdef char *base = <char *> mmap(NULL, size, PROT_READ | PROT_WRITE,
                                    MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQ_RING)
    if base == MAP_FAILED:
        size = errno
        close(fd)
        return -(<int> size)
    cdef void *sqes = mmap(NULL, p.sq_entries * sizeof(io_uring_sqe), PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQES)
    cdef int failed
    if sqes == MAP_FAILED:
        failed = errno
        munmap(base, size)
        close(fd)
        return -failed
    cdef zc_submission *sq = &ring.sq
    cdef zc_completion *cq = &ring.cq
    sq.khead = _at(base, so.head)
    sq.ktail = _at(base, so.tail)
    sq.kflags = _at(base, so.flags)
    sq.kdropped = _at(base, so.dropped)
    sq.sqes = <io_uring_sqe *> sqes
    sq.ring_ptr = base
    sq.ring_sz = size
    sq.ring_entries = p.sq_entries
    sq.ring_mask = p.sq_entries - 1
    cdef unsigned index
    if not p.flags & SETUP_NO_SQARRAY:
        sq.array = _at(base, so.array)
        for index in range(p.sq_entries):
            sq.array[index] = index
    cq.khead = _at(base, co.head)
    cq.ktail = _at(base, co.tail)
    cq.kflags = _at(base, co.flags)
    cq.koverflow = _at(base, co.dropped)
    cq.cqes = <io_uring_cqe *> (base + co.cqes)
    cq.ring_ptr = base
    cq.ring_sz = size
    cq.ring_entries = p.cq_entries
    cq.ring_mask = p.cq_entries - 1
    ring.flags = p.flags
    ring.features = p.features
    ring.ring_fd = fd
    ring.enter_ring_fd = fd
    return 0


cdef void direct_exit(zc_uring *ring) noexcept nogil:
    munmap(ring.sq.sqes, ring.sq.ring_entries * sizeof(io_uring_sqe))
    munmap(ring.sq.ring_ptr, ring.sq.ring_sz)
    close(ring.ring_fd)


cdef int direct_dontfork(zc_uring *ring) noexcept nogil:
    cdef int got = madvise(ring.sq.sqes, ring.sq.ring_entries * sizeof(io_uring_sqe),
                           MADV_DONTFORK)
    return got | madvise(ring.sq.ring_ptr, ring.sq.ring_sz, MADV_DONTFORK)


cdef int _bind_direct() except -1:
    liburing.queue_init_params = direct_init
    liburing.queue_exit = direct_exit
    liburing.enter2 = zc_sys_enter
    liburing.register_ = zc_sys_register
    liburing.dontfork = direct_dontfork
    return 0


cdef void *_symbol(void *library, bytes name) except NULL:
    cdef void *address = dlsym(library, name)
    if address == NULL:
        raise ImportError(f"the liburing that is installed has no {name.decode()}: {cure}")
    return address


cdef int _bind_wheel(str path) except -1:
    cdef void *library = dlopen(os.fsencode(path), RTLD_NOW | RTLD_LOCAL)
    if library == NULL:
        raise ImportError(f"cannot load {path}: {dlerror().decode(errors='replace')}: {cure}")
    liburing.queue_init_params = (
        <int (*)(unsigned, zc_uring *, io_uring_params *) noexcept nogil>
        _symbol(library, b"io_uring_queue_init_params"))
    liburing.queue_exit = (
        <void (*)(zc_uring *) noexcept nogil> _symbol(library, b"io_uring_queue_exit"))
    liburing.enter2 = (
        <int (*)(unsigned, unsigned, unsigned, unsigned, void *, size_t) noexcept nogil>
        _symbol(library, b"io_uring_enter2"))
    liburing.register_ = (
        <int (*)(unsigned, unsigned, const void *, unsigned) noexcept nogil>
        _symbol(library, b"io_uring_register"))
    liburing.dontfork = (
        <int (*)(zc_uring *) noexcept nogil> _symbol(library, b"io_uring_ring_dontfork"))
    return 0


def _installed():
    """The path of the shared object in python-liburing, None where that is not installed."""
    found = importlib.util.find_spec("liburing")
    for folder in (found and found.submodule_search_locations) or ():
        path = os.path.join(folder, "liburing.so")
        if os.path.exists(path):
            return path
    return None


def _bind():
    global cure, provider
    wish = os.environ.get("ZCLOOP_LIBURING", "")
    if wish not in ("", "direct", "wheel"):
        raise ImportError(f"ZCLOOP_LIBURING is {wish!r}: leave it empty to bind python-liburing "
                          "where that is installed, 'direct' never binds it, 'wheel' always does")
    path = None if wish == "direct" else _installed()
    if path is not None:
        cure = ("pip install --force-reinstall zcloop 'liburing>=2026.3.30', "
                "or set ZCLOOP_LIBURING=direct to do without liburing")
        _bind_wheel(path)
        provider = path
        return
    if wish == "wheel":
        raise ImportError("ZCLOOP_LIBURING is 'wheel', and python-liburing is not installed: "
                          "pip install 'zcloop[liburing]', or set ZCLOOP_LIBURING=direct")
    _bind_direct()


_bind()
