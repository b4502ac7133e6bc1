"""One io_uring: the kernel carries requests out.

A ring belongs to the thread that made it (SINGLE_ISSUER with DEFER_TASKRUN): the kernel produces
completions only inside `enter`, so nothing interrupts Python between two turns. Where the kernel
refuses these flags, the next weaker set is tried; `setup_flags` says what was granted.

`attach` registers the ring's fd for the calling thread. That saves the kernel a look-up in each
enter (50 ns), and it is how the kernel tells us that a ring belongs to another thread (-EEXIST).

A shared ring is set up so that completions become visible without an enter.
"""

from libc.errno cimport EACCES, EAGAIN, EEXIST, EINVAL, ENOMEM, ENOSYS, EPERM
from libc.stdint cimport uint64_t
from libc.string cimport memset

from zcloop._native.kernel.atomics cimport load_acquire, load_relaxed, store_release
from zcloop._native.kernel.errors cimport os_error
from zcloop._native.kernel.uring cimport (
    ENTER_EXT_ARG, ENTER_GETEVENTS, ENTER_NO_IOWAIT, ENTER_REGISTERED_RING, FEAT_CQE_SKIP,
    FEAT_EXT_ARG, FEAT_MIN_TIMEOUT, FEAT_NODROP, FEAT_NO_IOWAIT, OP_NOP, REGISTER_RING_FDS,
    SETUP_CLAMP, SETUP_COOP_TASKRUN, SETUP_CQSIZE, SETUP_DEFER_TASKRUN, SETUP_NO_SQARRAY,
    SETUP_SINGLE_ISSUER, SETUP_SUBMIT_ALL, SETUP_TASKRUN_FLAG, UNREGISTER_RING_FDS,
    io_uring_cqe, io_uring_getevents_arg, io_uring_params, io_uring_rsrc_update, io_uring_sqe,
    kernel_timespec,
)
from zcloop._native.ring.liburing cimport liburing

from zcloop._native.ring.liburing import cure as _cure

# The best set of flags first. A kernel that does not know one of them answers -EINVAL, and is asked
# for the next set.
cdef unsigned[4] SETUPS
SETUPS[0] = (SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN | SETUP_TASKRUN_FLAG | SETUP_SUBMIT_ALL
             | SETUP_NO_SQARRAY)
SETUPS[1] = SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN | SETUP_TASKRUN_FLAG | SETUP_SUBMIT_ALL
SETUPS[2] = SETUP_COOP_TASKRUN | SETUP_TASKRUN_FLAG | SETUP_SUBMIT_ALL
SETUPS[3] = 0

# The same for a shared ring, whose completions come by themselves. COOP_TASKRUN is not among them:
# it would delay completions until the thread happens to enter the kernel.
cdef unsigned[3] SHARED_SETUPS
SHARED_SETUPS[0] = SETUP_SUBMIT_ALL | SETUP_NO_SQARRAY
SHARED_SETUPS[1] = SETUP_SUBMIT_ALL
SHARED_SETUPS[2] = 0

# What the self-test's request is known by: "zcloop" in ASCII.
cdef uint64_t SELF_TEST = 0x7A636C6F6F70

# Without these the channel's books would not hold: completions are never dropped, a wait has a
# timeout of its own, and a request can succeed without a completion.
cdef unsigned FEATURES_NEEDED = FEAT_NODROP | FEAT_EXT_ARG | FEAT_CQE_SKIP

# What is said when a call of io_uring is refused: by errno, and what to type.
_SECCOMP_CURE = ("allow io_uring_setup, io_uring_enter and io_uring_register in the container's "
                 "seccomp profile (python -m zcloop doctor --seccomp-profile prints one)")
_REFUSALS = {
    EPERM: "io_uring is refused here (python -m zcloop doctor tells by what): as root, sysctl "
           "kernel.io_uring_disabled=0, or " + _SECCOMP_CURE,
    EACCES: "a security module (SELinux, AppArmor) or a seccomp profile refuses io_uring: allow "
            "this program's domain to use it (SELinux: allow ... self:io_uring { ... }), or "
            + _SECCOMP_CURE,
    ENOSYS: "this kernel has no io_uring, or a seccomp profile hides it; Linux 5.19 or newer is "
            "needed, or " + _SECCOMP_CURE,
    ENOMEM: "not enough lockable memory for a ring: raise RLIMIT_MEMLOCK (ulimit -l)",
}


cdef class UringRing(Ring):
    def __cinit__(self, unsigned entries, unsigned cq_entries, bint is_shared=False):
        cdef io_uring_params params
        cdef int got = -EINVAL
        cdef unsigned index
        self.is_shared = is_shared
        self.backend = "uring"
        self.shows_completions = True
        for index in range(3 if is_shared else 4):
            memset(&params, 0, sizeof(params))
            params.flags = SHARED_SETUPS[index] if is_shared else SETUPS[index]
            params.flags |= SETUP_CQSIZE | SETUP_CLAMP
            params.cq_entries = cq_entries
            got = liburing.queue_init_params(entries, &self.uring, &params)
            if got != -EINVAL:
                break
        if got < 0:
            raise os_error(-got, _REFUSALS.get(-got, "io_uring_setup"))
        self.is_open = True
        self.entries = self.uring.sq.ring_entries
        self.cq_entries = self.uring.cq.ring_entries
        self.setup_flags = params.flags
        self.features = params.features
        if params.features & FEATURES_NEEDED != FEATURES_NEEDED:
            self.close()
            raise os_error(ENOSYS, "io_uring of this kernel lacks NODROP, EXT_ARG or CQE_SKIP; "
                                   "Linux 5.19 or newer is needed")
        self.enter_fd = self.uring.ring_fd
        # Without this flag top would show the CPU as waiting for a disk while we wait for messages.
        self.enter_flags = ENTER_NO_IOWAIT if params.features & FEAT_NO_IOWAIT else 0
        # Without DEFER_TASKRUN the kernel counts completions, and not the requests that have some.
        self.has_min_wait = (params.features & FEAT_MIN_TIMEOUT != 0
                             and params.flags & SETUP_DEFER_TASKRUN != 0)
        self.sqe_tail = self.sqe_head = load_relaxed(self.uring.sq.ktail)
        liburing.dontfork(&self.uring)

    cdef void free_queues(self) noexcept nogil:
        liburing.queue_exit(&self.uring)

    cdef int attach(self) noexcept nogil:
        """0, or -EEXIST when the ring is another thread's."""
        cdef io_uring_rsrc_update update
        cdef int got
        if self.is_registered or self.is_shared:
            return 0
        memset(&update, 0, sizeof(update))
        update.offset = <unsigned> -1
        update.data = self.uring.ring_fd
        got = liburing.register_(self.uring.ring_fd, REGISTER_RING_FDS, &update, 1)
        if got == -EEXIST:
            return got
        if got == 1:
            self.enter_fd = update.offset
            self.enter_flags |= ENTER_REGISTERED_RING
            self.is_registered = True
        return 0

    cdef void detach(self) noexcept nogil:
        """Drop the thread's registration, which would otherwise keep a closed ring alive."""
        cdef io_uring_rsrc_update update
        if self.is_registered:
            memset(&update, 0, sizeof(update))
            update.offset = self.enter_fd
            liburing.register_(self.uring.ring_fd, UNREGISTER_RING_FDS, &update, 1)
            self.is_registered = False
            self.enter_fd = self.uring.ring_fd
            self.enter_flags &= ~ENTER_REGISTERED_RING

    cdef int wait(self, unsigned wait_count, unsigned min_wait_us,
                  kernel_timespec *timeout) noexcept nogil:
        cdef io_uring_getevents_arg argument
        memset(&argument, 0, sizeof(argument))
        argument.min_wait_usec = min_wait_us
        argument.ts = <uint64_t> timeout
        return self.enter_with(wait_count, ENTER_EXT_ARG, &argument, sizeof(argument))

    cdef int enter_with(self, unsigned wait_count, unsigned flags,
                        io_uring_getevents_arg *argument, size_t size) noexcept nogil:
        cdef int got
        store_release(self.uring.sq.ktail, self.sqe_tail)
        self.enters += 1
        got = liburing.enter2(self.enter_fd, self.sqe_tail - self.sqe_head, wait_count,
                              self.enter_flags | ENTER_GETEVENTS | flags, argument, size)
        # The kernel's head says how many SQEs it took, also when the wait itself has failed.
        cdef unsigned head = load_acquire(self.uring.sq.khead)
        self.submissions += head - self.sqe_head
        self.sqe_head = head
        return got if got < 0 else 0

    cdef int push(self) noexcept nogil:
        cdef int got
        store_release(self.uring.sq.ktail, self.sqe_tail)
        while self.sqe_tail != self.sqe_head:
            self.enters += 1
            got = liburing.enter2(self.enter_fd, self.sqe_tail - self.sqe_head, 0, 0, NULL, 0)
            if got <= 0:
                return got if got < 0 else -EAGAIN
            self.submissions += got
            self.sqe_head += got
        return 0

    cdef int sleep(self, unsigned wait_count, kernel_timespec *timeout) noexcept nogil:
        cdef io_uring_getevents_arg argument
        cdef int got
        memset(&argument, 0, sizeof(argument))
        argument.ts = <uint64_t> timeout
        got = liburing.enter2(self.enter_fd, 0, wait_count,
                              self.enter_flags | ENTER_GETEVENTS | ENTER_EXT_ARG,
                              &argument, sizeof(argument))
        return got if got < 0 else 0

    cdef int register_(self, unsigned opcode, void *argument, unsigned count) noexcept nogil:
        return liburing.register_(self.uring.ring_fd, opcode, argument, count)


def self_test():
    """Submit one NOP and take its completion, which proves that the layout we compiled for is the
    kernel's.

    Raises ImportError when the answer is another one, and OSError when no ring can be made.
    """
    cdef UringRing ring = UringRing(4, 8)
    cdef io_uring_sqe *sqe = ring.take_sqe()
    cdef io_uring_cqe *cqe
    cdef int got
    try:
        sqe.opcode = OP_NOP
        sqe.user_data = SELF_TEST
        got = ring.enter(1, NULL)
        if got < 0:
            raise os_error(-got, "io_uring_setup is allowed here, but io_uring_enter is refused: "
                                 + _SECCOMP_CURE)
        if ring.visible() != 1:
            raise ImportError(f"io_uring's layout is not the one zcloop was built for; {_cure}")
        cqe = &ring.uring.cq.cqes[load_relaxed(ring.uring.cq.khead) & ring.uring.cq.ring_mask]
        if cqe.user_data != SELF_TEST or cqe.res != 0:
            raise ImportError(f"io_uring answered a NOP with something else; {_cure}")
        store_release(ring.uring.cq.khead, load_relaxed(ring.uring.cq.khead) + 1)
    finally:
        ring.close()
