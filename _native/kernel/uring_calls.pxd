# The three system calls of io_uring, and where its queues are in the memory that mmap(2) gives.

from zcloop._native.kernel.uring cimport io_uring_params

cdef extern from * nogil:
    """
    #include <errno.h>
    #include <unistd.h>
    #include <sys/mman.h>
    static int zc_sys_setup(unsigned entries, struct io_uring_params *p)
    {
        long got = syscall(__NR_io_uring_setup, entries, p);
        return got < 0 ? -errno : (int)got;
    }
    static int zc_sys_enter(unsigned fd, unsigned submit, unsigned wait, unsigned flags,
                            void *arg, size_t size)
    {
        long got = syscall(__NR_io_uring_enter, fd, submit, wait, flags, arg, size);
        return got < 0 ? -errno : (int)got;
    }
    static int zc_sys_register(unsigned fd, unsigned opcode, const void *arg, unsigned count)
    {
        long got = syscall(__NR_io_uring_register, fd, opcode, arg, count);
        return got < 0 ? -errno : (int)got;
    }
    struct zc_offsets { unsigned head, tail, mask, entries, flags, dropped, array, cqes; };
    static struct zc_offsets zc_sq_offsets(const struct io_uring_params *p)
    {
        struct zc_offsets o = {p->sq_off.head, p->sq_off.tail, p->sq_off.ring_mask,
            p->sq_off.ring_entries, p->sq_off.flags, p->sq_off.dropped, p->sq_off.array, 0};
        return o;
    }
    static struct zc_offsets zc_cq_offsets(const struct io_uring_params *p)
    {
        struct zc_offsets o = {p->cq_off.head, p->cq_off.tail, p->cq_off.ring_mask,
            p->cq_off.ring_entries, p->cq_off.flags, p->cq_off.overflow, 0, p->cq_off.cqes};
        return o;
    }
    """
    struct zc_offsets:
        unsigned head
        unsigned tail
        unsigned mask
        unsigned entries
        unsigned flags
        unsigned dropped
        unsigned array
        unsigned cqes
    int zc_sys_setup(unsigned entries, io_uring_params *p)
    int zc_sys_enter(unsigned fd, unsigned submit, unsigned wait, unsigned flags,
                     void *arg, size_t size)
    int zc_sys_register(unsigned fd, unsigned opcode, const void *arg, unsigned count)
    zc_offsets zc_sq_offsets(const io_uring_params *p)
    zc_offsets zc_cq_offsets(const io_uring_params *p)
    enum:
        IORING_OFF_SQ_RING
        IORING_OFF_SQES
