# The kernel's constants and structures of io_uring, as Cython sees them. A structure has only the
# fields that are used here. Their values and layouts are in the C header beside this file; the
# system's <linux/io_uring.h> is not read.

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "kernel/io_uring.h" nogil:
    enum:
        OP_NOP "IORING_OP_NOP"
        OP_READV "IORING_OP_READV"
        OP_WRITEV "IORING_OP_WRITEV"
        OP_READ_FIXED "IORING_OP_READ_FIXED"
        OP_WRITE_FIXED "IORING_OP_WRITE_FIXED"
        OP_FSYNC "IORING_OP_FSYNC"
        OP_FALLOCATE "IORING_OP_FALLOCATE"
        OP_OPENAT "IORING_OP_OPENAT"
        OP_CLOSE "IORING_OP_CLOSE"
        OP_STATX "IORING_OP_STATX"
        OP_SPLICE "IORING_OP_SPLICE"
        OP_TIMEOUT "IORING_OP_TIMEOUT"
        OP_READ "IORING_OP_READ"
        OP_WRITE "IORING_OP_WRITE"
        OP_POLL_ADD "IORING_OP_POLL_ADD"
        OP_ASYNC_CANCEL "IORING_OP_ASYNC_CANCEL"
        OP_ACCEPT "IORING_OP_ACCEPT"
        OP_CONNECT "IORING_OP_CONNECT"
        OP_RECV "IORING_OP_RECV"
        OP_SEND "IORING_OP_SEND"
        OP_RECVMSG "IORING_OP_RECVMSG"
        OP_SENDMSG "IORING_OP_SENDMSG"
        OP_SEND_ZC "IORING_OP_SEND_ZC"                          # since 6.0
        OP_FUTEX_WAIT "IORING_OP_FUTEX_WAIT"                    # since 6.7
        OP_FTRUNCATE "IORING_OP_FTRUNCATE"                      # since 6.9

    enum:
        SETUP_CQSIZE "IORING_SETUP_CQSIZE"
        SETUP_CLAMP "IORING_SETUP_CLAMP"
        SETUP_SUBMIT_ALL "IORING_SETUP_SUBMIT_ALL"              # since 5.18
        SETUP_COOP_TASKRUN "IORING_SETUP_COOP_TASKRUN"          # since 5.19
        SETUP_TASKRUN_FLAG "IORING_SETUP_TASKRUN_FLAG"          # since 5.19
        SETUP_SINGLE_ISSUER "IORING_SETUP_SINGLE_ISSUER"        # since 6.0
        SETUP_DEFER_TASKRUN "IORING_SETUP_DEFER_TASKRUN"        # since 6.1
        SETUP_NO_SQARRAY "IORING_SETUP_NO_SQARRAY"              # since 6.6

    enum:
        SQE_BUFFER_SELECT "IOSQE_BUFFER_SELECT"
        SQE_IO_LINK "IOSQE_IO_LINK"
        SQE_CQE_SKIP_SUCCESS "IOSQE_CQE_SKIP_SUCCESS"           # since 5.17
        RECV_MULTISHOT "IORING_RECV_MULTISHOT"                  # since 6.0
        POLL_ADD_MULTI "IORING_POLL_ADD_MULTI"                  # since 5.13
        RECVSEND_FIXED_BUF "IORING_RECVSEND_FIXED_BUF"          # since 6.0
        SEND_ZC_REPORT_USAGE "IORING_SEND_ZC_REPORT_USAGE"      # since 6.2
        ASYNC_CANCEL_ALL "IORING_ASYNC_CANCEL_ALL"              # since 5.19
        ASYNC_CANCEL_ANY "IORING_ASYNC_CANCEL_ANY"              # since 5.19
        FSYNC_DATASYNC "IORING_FSYNC_DATASYNC"
        TIMEOUT_ETIME_SUCCESS "IORING_TIMEOUT_ETIME_SUCCESS"    # since 5.16

    enum:
        CQE_F_BUFFER "IORING_CQE_F_BUFFER"
        CQE_F_MORE "IORING_CQE_F_MORE"
        CQE_F_NOTIF "IORING_CQE_F_NOTIF"                        # since 6.0
        CQE_BUFFER_SHIFT "IORING_CQE_BUFFER_SHIFT"
        NOTIF_COPIED "IORING_NOTIF_USAGE_ZC_COPIED"             # in a notification's res, since 6.2

    enum:
        SQ_CQ_OVERFLOW "IORING_SQ_CQ_OVERFLOW"
        SQ_TASKRUN "IORING_SQ_TASKRUN"
        ENTER_GETEVENTS "IORING_ENTER_GETEVENTS"
        ENTER_EXT_ARG "IORING_ENTER_EXT_ARG"                    # since 5.11
        ENTER_REGISTERED_RING "IORING_ENTER_REGISTERED_RING"    # since 5.18
        ENTER_NO_IOWAIT "IORING_ENTER_NO_IOWAIT"                # since 6.15
        FEAT_EXT_ARG "IORING_FEAT_EXT_ARG"                      # since 5.11
        FEAT_NODROP "IORING_FEAT_NODROP"
        FEAT_CQE_SKIP "IORING_FEAT_CQE_SKIP"                    # since 5.17
        FEAT_NO_IOWAIT "IORING_FEAT_NO_IOWAIT"                  # since 6.15
        FEAT_MIN_TIMEOUT "IORING_FEAT_MIN_TIMEOUT"              # since 6.12

    enum:
        REGISTER_PROBE "IORING_REGISTER_PROBE"
        OP_SUPPORTED "IO_URING_OP_SUPPORTED"
        REGISTER_RING_FDS "IORING_REGISTER_RING_FDS"
        UNREGISTER_RING_FDS "IORING_UNREGISTER_RING_FDS"
        REGISTER_PBUF_RING "IORING_REGISTER_PBUF_RING"          # since 5.19
        UNREGISTER_PBUF_RING "IORING_UNREGISTER_PBUF_RING"
        REGISTER_BUFFERS2 "IORING_REGISTER_BUFFERS2"            # since 5.13
        REGISTER_BUFFERS_UPDATE "IORING_REGISTER_BUFFERS_UPDATE"
        RSRC_REGISTER_SPARSE "IORING_RSRC_REGISTER_SPARSE"      # since 5.19

    # The anonymous unions of the kernel's struct are flat here, as C sees them.
    struct io_uring_sqe:
        uint8_t opcode
        uint8_t flags
        uint16_t ioprio
        int32_t fd
        uint64_t off
        uint64_t addr2
        uint64_t addr
        uint32_t len
        uint32_t poll32_events
        uint32_t msg_flags
        uint32_t accept_flags
        uint32_t cancel_flags
        uint32_t rw_flags
        uint32_t timeout_flags
        uint32_t fsync_flags
        uint32_t open_flags
        uint32_t statx_flags
        uint32_t splice_flags
        uint64_t splice_off_in
        uint64_t user_data
        uint16_t buf_index
        uint16_t buf_group
        int32_t splice_fd_in
        uint32_t file_index
        uint16_t addr_len
        uint64_t addr3

    struct io_uring_cqe:
        uint64_t user_data
        int32_t res
        uint32_t flags

    struct io_uring_params:
        uint32_t sq_entries
        uint32_t cq_entries
        uint32_t flags
        uint32_t features

    struct io_uring_getevents_arg:
        uint32_t min_wait_usec
        uint64_t ts

    struct kernel_timespec "zc_kernel_timespec":
        long long tv_sec
        long long tv_nsec

    struct io_uring_buf:
        uint64_t addr
        uint32_t len
        uint16_t bid

    struct io_uring_buf_ring:
        uint16_t tail

    struct io_uring_buf_reg:
        uint64_t ring_addr
        uint32_t ring_entries
        uint16_t bgid

    struct io_uring_rsrc_update:
        uint32_t offset
        uint64_t data

    struct io_uring_rsrc_register:
        uint32_t nr
        uint32_t flags

    struct io_uring_rsrc_update2:
        uint32_t offset
        uint64_t data
        uint32_t nr

    struct io_uring_recvmsg_out:
        uint32_t namelen
        uint32_t controllen
        uint32_t payloadlen
        uint32_t flags

    struct io_uring_probe_op:
        uint16_t flags

    struct io_uring_probe:
        uint8_t last_op
        io_uring_probe_op *ops

    void prepare_setsockopt "zc_prepare_setsockopt"(io_uring_sqe *sqe, int fd, int level, int name,
                                                    const int *value)

cdef extern from * nogil:
    """
    #define zc_publish_tail(ring, value) \
        __atomic_store_n(&((struct io_uring_buf_ring *)(ring))->tail, (value), __ATOMIC_RELEASE)
    """
    void publish_tail "zc_publish_tail"(io_uring_buf_ring *ring, uint16_t tail)
