/* What zcloop needs of <linux/io_uring.h>, by the kernel's own names. A name without "since" is in
   Linux 5.10 already.

   The system's header is not read: a build container's is often older than the kernels that the
   wheel will run on, or not there at all (manylinux_2_28 has headers of 4.18). The numbers and
   layouts are the kernel's ABI, so they are the same everywhere. tests/unit/ring/test_header.py
   compares them with the system's header. */

#ifdef LINUX_IO_URING_H
#error "<linux/io_uring.h> was included first: add what is missing to _native/kernel/io_uring.h"
#endif
/* The kernel's own guard: a later <linux/io_uring.h> adds nothing, and cannot contradict. */
#define LINUX_IO_URING_H

#include <linux/types.h>
#include <sys/syscall.h>

/* The system calls' numbers, which are the same on every architecture. */
#ifndef __NR_io_uring_setup
#define __NR_io_uring_setup             425
#define __NR_io_uring_enter             426
#define __NR_io_uring_register          427
#endif

/* io_uring_params.flags */
#define IORING_SETUP_CQSIZE             (1u << 3)
#define IORING_SETUP_CLAMP              (1u << 4)
#define IORING_SETUP_SUBMIT_ALL         (1u << 7)       /* since 5.18 */
#define IORING_SETUP_COOP_TASKRUN       (1u << 8)       /* since 5.19 */
#define IORING_SETUP_TASKRUN_FLAG       (1u << 9)       /* since 5.19 */
#define IORING_SETUP_SINGLE_ISSUER      (1u << 12)      /* since 6.0 */
#define IORING_SETUP_DEFER_TASKRUN      (1u << 13)      /* since 6.1 */
#define IORING_SETUP_NO_SQARRAY         (1u << 16)      /* since 6.6 */

/* io_uring_params.features */
#define IORING_FEAT_NODROP              (1u << 1)
#define IORING_FEAT_EXT_ARG             (1u << 8)       /* since 5.11 */
#define IORING_FEAT_CQE_SKIP            (1u << 11)      /* since 5.17 */
#define IORING_FEAT_MIN_TIMEOUT         (1u << 15)      /* since 6.12 */
#define IORING_FEAT_NO_IOWAIT           (1u << 17)      /* since 6.15 */

/* Where mmap(2) finds the rings. */
#define IORING_OFF_SQ_RING              0ull
#define IORING_OFF_SQES                 0x10000000ull

/* The submission queue's flags. */
#define IORING_SQ_CQ_OVERFLOW           (1u << 1)
#define IORING_SQ_TASKRUN               (1u << 2)       /* since 5.19 */

/* Flags of io_uring_enter(2). */
#define IORING_ENTER_GETEVENTS          (1u << 0)
#define IORING_ENTER_EXT_ARG            (1u << 3)       /* since 5.11 */
#define IORING_ENTER_REGISTERED_RING    (1u << 4)       /* since 5.18 */
#define IORING_ENTER_NO_IOWAIT          (1u << 7)       /* since 6.15 */

/* Opcodes of io_uring_register(2). */
#define IORING_REGISTER_PROBE           8
#define IORING_REGISTER_BUFFERS2        15              /* since 5.13 */
#define IORING_REGISTER_BUFFERS_UPDATE  16              /* since 5.13 */
#define IORING_REGISTER_RING_FDS        20              /* since 5.18 */
#define IORING_UNREGISTER_RING_FDS      21              /* since 5.18 */
#define IORING_REGISTER_PBUF_RING       22              /* since 5.19 */
#define IORING_UNREGISTER_PBUF_RING     23              /* since 5.19 */
#define IORING_RSRC_REGISTER_SPARSE     (1u << 0)       /* since 5.19 */
#define IO_URING_OP_SUPPORTED           (1u << 0)

/* io_uring_sqe.opcode */
#define IORING_OP_NOP                   0
#define IORING_OP_READV                 1
#define IORING_OP_WRITEV                2
#define IORING_OP_FSYNC                 3
#define IORING_OP_READ_FIXED            4
#define IORING_OP_WRITE_FIXED           5
#define IORING_OP_POLL_ADD              6
#define IORING_OP_SENDMSG               9
#define IORING_OP_RECVMSG               10
#define IORING_OP_TIMEOUT               11
#define IORING_OP_ACCEPT                13
#define IORING_OP_ASYNC_CANCEL          14
#define IORING_OP_CONNECT               16
#define IORING_OP_FALLOCATE             17
#define IORING_OP_OPENAT                18
#define IORING_OP_CLOSE                 19
#define IORING_OP_STATX                 21
#define IORING_OP_READ                  22
#define IORING_OP_WRITE                 23
#define IORING_OP_SEND                  26
#define IORING_OP_RECV                  27
#define IORING_OP_SPLICE                30
#define IORING_OP_URING_CMD             46              /* since 5.19 */
#define IORING_OP_SEND_ZC               47              /* since 6.0 */
#define IORING_OP_FUTEX_WAIT            51              /* since 6.7 */
#define IORING_OP_FTRUNCATE             55              /* since 6.9 */

/* io_uring_sqe.flags */
#define IOSQE_IO_LINK                   (1u << 2)
#define IOSQE_BUFFER_SELECT             (1u << 5)
#define IOSQE_CQE_SKIP_SUCCESS          (1u << 6)       /* since 5.17 */

/* Flags of single operations. */
#define IORING_FSYNC_DATASYNC           (1u << 0)
#define IORING_TIMEOUT_ETIME_SUCCESS    (1u << 5)       /* since 5.16 */
#define IORING_POLL_ADD_MULTI           (1u << 0)       /* since 5.13 */
#define IORING_ASYNC_CANCEL_ALL         (1u << 0)       /* since 5.19 */
#define IORING_ASYNC_CANCEL_ANY         (1u << 2)       /* since 5.19 */
#define IORING_RECV_MULTISHOT           (1u << 1)       /* since 6.0 */
#define IORING_RECVSEND_FIXED_BUF       (1u << 2)       /* since 6.0 */
#define IORING_SEND_ZC_REPORT_USAGE     (1u << 3)       /* since 6.2 */
#define SOCKET_URING_OP_SETSOCKOPT      3               /* since 6.7 */

/* io_uring_cqe.flags, and what a notification's `res` says. */
#define IORING_CQE_F_BUFFER             (1u << 0)
#define IORING_CQE_F_MORE               (1u << 1)       /* since 5.13 */
#define IORING_CQE_F_NOTIF              (1u << 3)       /* since 6.0 */
#define IORING_CQE_BUFFER_SHIFT         16
#define IORING_NOTIF_USAGE_ZC_COPIED    (1u << 31)      /* since 6.2 */

/* The kernel's unions have more members; these are the ones that zcloop names. */
struct io_uring_sqe {
    __u8 opcode;
    __u8 flags;
    __u16 ioprio;
    __s32 fd;
    union {
        __u64 off;
        __u64 addr2;
        __u32 cmd_op;                                   /* since 5.19 */
    };
    union {
        __u64 addr;
        __u64 splice_off_in;
        struct {
            __u32 level;                                /* since 6.7 */
            __u32 optname;                              /* since 6.7 */
        };
    };
    __u32 len;
    union {
        __u32 rw_flags;
        __u32 fsync_flags;
        __u32 poll32_events;
        __u32 msg_flags;
        __u32 timeout_flags;
        __u32 accept_flags;
        __u32 cancel_flags;
        __u32 open_flags;
        __u32 statx_flags;
        __u32 splice_flags;
    };
    __u64 user_data;
    union {
        __u16 buf_index;
        __u16 buf_group;
    };
    __u16 personality;
    union {
        __s32 splice_fd_in;
        __u32 file_index;                               /* since 5.15 */
        __u16 addr_len;                                 /* since 6.0 */
        __u32 optlen;                                   /* since 6.7 */
    };
    union {
        __u64 addr3;                                    /* since 5.19 */
        __u64 optval;                                   /* since 6.7 */
    };
    __u64 reserved;
};

struct io_uring_cqe {
    __u64 user_data;
    __s32 res;
    __u32 flags;
};

struct io_sqring_offsets {
    __u32 head;
    __u32 tail;
    __u32 ring_mask;
    __u32 ring_entries;
    __u32 flags;
    __u32 dropped;
    __u32 array;
    __u32 reserved[3];
};

struct io_cqring_offsets {
    __u32 head;
    __u32 tail;
    __u32 ring_mask;
    __u32 ring_entries;
    __u32 overflow;
    __u32 cqes;
    __u32 flags;
    __u32 reserved[3];
};

struct io_uring_params {
    __u32 sq_entries;
    __u32 cq_entries;
    __u32 flags;
    __u32 sq_thread_cpu;
    __u32 sq_thread_idle;
    __u32 features;
    __u32 wq_fd;
    __u32 reserved[3];
    struct io_sqring_offsets sq_off;
    struct io_cqring_offsets cq_off;
};

/* since 5.11 */
struct io_uring_getevents_arg {
    __u64 sigmask;
    __u32 sigmask_sz;
    __u32 min_wait_usec;                                /* since 6.12, padding before */
    __u64 ts;
};

/* since 5.19 */
struct io_uring_buf {
    __u64 addr;
    __u32 len;
    __u16 bid;
    __u16 reserved;
};

/* since 5.19: the first entry of the ring, whose reserved field is the tail of the whole ring. */
struct io_uring_buf_ring {
    __u64 reserved[1];
    __u32 reserved2;
    __u16 reserved3;
    __u16 tail;
};

/* since 5.19 */
struct io_uring_buf_reg {
    __u64 ring_addr;
    __u32 ring_entries;
    __u16 bgid;
    __u16 flags;                                        /* since 6.4, padding before */
    __u64 reserved[3];
};

/* since 5.13 */
struct io_uring_rsrc_register {
    __u32 nr;
    __u32 flags;                                        /* since 5.19, padding before */
    __u64 reserved;
    __u64 data;
    __u64 tags;
};

/* since 5.13 */
struct io_uring_rsrc_update {
    __u32 offset;
    __u32 reserved;
    __u64 data;
};

/* since 5.13 */
struct io_uring_rsrc_update2 {
    __u32 offset;
    __u32 reserved;
    __u64 data;
    __u64 tags;
    __u32 nr;
    __u32 reserved2;
};

/* since 6.0 */
struct io_uring_recvmsg_out {
    __u32 namelen;
    __u32 controllen;
    __u32 payloadlen;
    __u32 flags;
};

struct io_uring_probe_op {
    __u8 op;
    __u8 reserved;
    __u16 flags;
    __u32 reserved2;
};

struct io_uring_probe {
    __u8 last_op;
    __u8 ops_len;
    __u16 reserved;
    __u32 reserved2[3];
    struct io_uring_probe_op ops[];
};

/* The kernel's struct __kernel_timespec, of <linux/time_types.h> (since 5.1). */
struct zc_kernel_timespec {
    long long tv_sec;
    long long tv_nsec;
};

/* setsockopt(2) of an int as a request, since 6.7. */
static inline void zc_prepare_setsockopt(struct io_uring_sqe *sqe, int fd, int level, int name,
                                         const int *value)
{
    sqe->opcode = IORING_OP_URING_CMD;
    sqe->fd = fd;
    sqe->cmd_op = SOCKET_URING_OP_SETSOCKOPT;
    sqe->level = level;
    sqe->optname = name;
    sqe->optlen = sizeof(*value);
    sqe->optval = (unsigned long) value;
}
