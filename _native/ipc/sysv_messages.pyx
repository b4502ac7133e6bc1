"""System V message queues: the system calls.

There is no call that waits for a message and leaves it in the queue, but msgrcv into no memory does
that: it sleeps until there is a suitable message, and then fails with E2BIG. Only an empty message
fits and is received. It has nothing but its type, so it can be put back.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.errno cimport E2BIG, EAGAIN, EINTR, ENOMSG, errno
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

from zcloop._native.kernel.errors cimport raise_os_error
from zcloop._native.kernel.sysv cimport (
    IPC_CREAT, IPC_EXCL, IPC_NOWAIT, IPC_RMID, IPC_SET, IPC_STAT, MSG_EXCEPT, c_ftok, msgctl,
    msgget, msgrcv, msgsnd, msqid_ds,
)

# The memory that messages are received into, with the GIL held. It grows to the largest message.
cdef Message *_received = NULL
cdef size_t _received_size = 0
cdef size_t RECEIVED_SIZE = 8192    # bytes: kernel.msgmax by default
# Empty messages that could not be put back into a full queue: (queue, type), oldest first.
_kept = []

EXCEPT = MSG_EXCEPT     # for Python: a flag of `receive`


cdef int grow(size_t size) except -1:
    global _received, _received_size
    cdef void *grown = realloc(_received, sizeof(long) + size)
    if grown == NULL:
        raise MemoryError("a message")
    _received = <Message *> grown
    _received_size = size
    return 0


cdef bint is_wanted(long type, long wanted, int flags) noexcept:
    if wanted == 0:
        return True
    if wanted < 0:
        return type <= -wanted
    return (type == wanted) != bool(flags & MSG_EXCEPT)


cdef object receive_kept(int queue, long wanted, int flags):
    """(b"", type) of the first suitable empty message that was kept; None if there is none."""
    for index, (its_queue, type) in enumerate(_kept):
        if its_queue == queue and is_wanted(type, wanted, flags):
            del _kept[index]
            return b"", type
    return None


cdef object receive_message(int queue, long type, int flags):
    """Receive the first suitable message that is there: (data, type), or -errno."""
    cdef ssize_t got
    if _kept:
        kept = receive_kept(queue, type, flags)
        if kept is not None:
            return kept
    if _received == NULL:
        grow(RECEIVED_SIZE)
    while True:
        got = msgrcv(queue, _received, _received_size, type, flags | IPC_NOWAIT)
        if got >= 0:
            return PyBytes_FromStringAndSize(_received.data, got), _received.type
        if errno == E2BIG:
            grow(_received_size * 2)
        elif errno != EINTR:
            return -EAGAIN if errno == ENOMSG else -errno


cdef int wait_for_message(int queue, long type, int flags, long *received) noexcept nogil:
    """0 when there is a suitable message, or -errno.

    `received` gets the type of an empty message, which was received; 0 for others.
    """
    cdef Message message
    received[0] = 0
    if msgrcv(queue, &message, 0, type, flags) < 0:
        return 0 if errno == E2BIG else -errno
    received[0] = message.type
    return 0


cdef int send_message(int queue, const Message *message, size_t size, int flags) noexcept nogil:
    return -errno if msgsnd(queue, message, size, flags) < 0 else 0


cdef void return_message(int queue, long type) noexcept:
    """Send an empty message again, whose asker has gone, or keep it if the queue is full."""
    cdef Message message
    message.type = type
    if send_message(queue, &message, 0, IPC_NOWAIT) < 0:
        _kept.append((queue, type))


def receive(int queue, long mtype, int flags):
    """Receive the first suitable message that is there: (data, type), or -errno, -EAGAIN if there
    is none."""
    return receive_message(queue, mtype, flags)


def send(int queue, data, long mtype):
    """Send at once: 0 or -errno."""
    cdef Py_buffer view
    cdef Message *message
    cdef int got
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    message = <Message *> malloc(sizeof(long) + view.len + 1)
    if message == NULL:
        PyBuffer_Release(&view)
        raise MemoryError("a message")
    message.type = mtype
    memcpy(message.data, view.buf, view.len)
    got = send_message(queue, message, view.len, IPC_NOWAIT)
    PyBuffer_Release(&view)
    free(message)
    return got


def get(int key, bint create, bint exclusive, int mode):
    """A queue's identifier; OSError."""
    cdef int queue = msgget(key, (IPC_CREAT if create else 0) | (IPC_EXCL if exclusive else 0)
                            | mode)
    if queue < 0:
        raise_os_error(errno, None)
    return queue


def status(int queue):
    """messages, bytes, bytes_max, pids of the last sender and receiver, mode, uid, gid; OSError."""
    cdef msqid_ds now
    if msgctl(queue, IPC_STAT, &now) < 0:
        raise_os_error(errno, None)
    return (now.msg_qnum, now.msg_cbytes, now.msg_qbytes, now.msg_lspid, now.msg_lrpid,
            now.msg_perm.mode & 0o777, now.msg_perm.uid, now.msg_perm.gid)


def configure(int queue, unsigned long bytes_max, int mode, unsigned uid, unsigned gid):
    """Set all four; OSError."""
    cdef msqid_ds wanted
    if msgctl(queue, IPC_STAT, &wanted) < 0:
        raise_os_error(errno, None)
    wanted.msg_qbytes = bytes_max
    wanted.msg_perm.mode = mode
    wanted.msg_perm.uid = uid
    wanted.msg_perm.gid = gid
    if msgctl(queue, IPC_SET, &wanted) < 0:
        raise_os_error(errno, None)


def remove(int queue):
    """Remove the queue: everybody who waits on it gets EIDRM; OSError."""
    if msgctl(queue, IPC_RMID, NULL) < 0:
        raise_os_error(errno, None)


def ftok(bytes path not None, int number):
    """The key for a file and a number, the same in all programs; OSError."""
    cdef int key = c_ftok(<const char *> path, number)
    if key == -1:
        raise_os_error(errno, None)
    return key
