# liburing's own struct io_uring, whose fields its functions read, and zcloop's fast paths.

from zcloop._native.kernel.uring cimport io_uring_cqe, io_uring_sqe

cdef extern from * nogil:
    """
    #include <stddef.h>
    /* liburing's struct io_uring: 216 bytes, its fields unchanged from 2.3 to 2.15. */
    struct zc_submission {
        unsigned *khead, *ktail, *kring_mask, *kring_entries, *kflags, *kdropped, *array;
        struct io_uring_sqe *sqes;
        unsigned sqe_head, sqe_tail;
        size_t ring_sz;
        void *ring_ptr;
        unsigned ring_mask, ring_entries, pad[2];
    };
    struct zc_completion {
        unsigned *khead, *ktail, *kring_mask, *kring_entries, *kflags, *koverflow;
        struct io_uring_cqe *cqes;
        size_t ring_sz;
        void *ring_ptr;
        unsigned ring_mask, ring_entries, pad[2];
    };
    struct zc_uring {
        struct zc_submission sq;
        struct zc_completion cq;
        unsigned flags;
        int ring_fd;
        unsigned features;
        int enter_ring_fd;
        __u8 int_flags, pad[3];
        unsigned pad2;
    };
    _Static_assert(sizeof(struct zc_uring) == 216, "layout of liburing's struct io_uring");
    """
    struct zc_submission:
        unsigned *khead
        unsigned *ktail
        unsigned *kflags
        unsigned *kdropped
        unsigned *array
        io_uring_sqe *sqes
        size_t ring_sz
        void *ring_ptr
        unsigned ring_mask
        unsigned ring_entries

    struct zc_completion:
        unsigned *khead
        unsigned *ktail
        unsigned *kflags
        unsigned *koverflow
        io_uring_cqe *cqes
        size_t ring_sz
        void *ring_ptr
        unsigned ring_mask
        unsigned ring_entries

    struct zc_uring:
        zc_submission sq
        zc_completion cq
        unsigned flags
        int ring_fd
        unsigned features
        int enter_ring_fd
