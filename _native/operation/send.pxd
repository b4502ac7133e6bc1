from zcloop._native.operation.operation cimport Operation, Owner

cdef extern from "<sys/uio.h>" nogil:
    struct iovec:
        void *iov_base
        size_t iov_len

cdef extern from "<sys/socket.h>" nogil:
    struct msghdr:
        void *msg_name
        unsigned msg_namelen
        iovec *msg_iov
        size_t msg_iovlen
        void *msg_control
        size_t msg_controllen
        int msg_flags


cdef class TrySend(Operation):
    # One piece: data and size. Several: message, whose memory the owner keeps until submission.
    cdef const char *data
    cdef size_t size            # of all pieces
    cdef msghdr *message
    cdef int result             # that its completion brought, if one came

cdef TrySend make_try_send(Owner owner, int fd)
