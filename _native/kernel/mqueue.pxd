# POSIX message queues: mq_overview(7). A queue is a descriptor on Linux.

from zcloop._native.kernel.clock cimport timespec

cdef extern from "<mqueue.h>" nogil:
    struct mq_attr:
        long mq_flags
        long mq_maxmsg
        long mq_msgsize
        long mq_curmsgs
    int mq_open(const char *name, int flags, ...)
    int mq_unlink(const char *name)
    int mq_getattr(int fd, mq_attr *attributes)
    int mq_setattr(int fd, const mq_attr *new, mq_attr *old)
    ssize_t mq_timedreceive(int fd, char *data, size_t size, unsigned *priority,
                            const timespec *deadline)
    ssize_t mq_receive(int fd, char *data, size_t size, unsigned *priority)
    int mq_timedsend(int fd, const char *data, size_t size, unsigned priority,
                     const timespec *deadline)
    int mq_send(int fd, const char *data, size_t size, unsigned priority)
