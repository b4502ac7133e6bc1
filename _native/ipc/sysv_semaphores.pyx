"""System V semaphores: the system calls."""

from libc.errno cimport errno
from libc.stdlib cimport calloc, free

from zcloop._native.kernel.errors cimport raise_os_error
from zcloop._native.kernel.sysv cimport (
    GETALL, GETNCNT, GETPID, GETVAL, GETZCNT, IPC_CREAT, IPC_EXCL, IPC_NOWAIT, IPC_RMID, IPC_SET,
    IPC_STAT, SEM_UNDO, SETVAL, sembuf, semget, semid_ds, semop, zc_semctl,
)

cdef int CHANGE_MAX = 32767     # SEMVMX


cdef int operate(int semid, const sembuf *operations, unsigned count) noexcept nogil:
    """Make all changes or none: 0 or -errno. It waits, unless the operations have IPC_NOWAIT."""
    return -errno if semop(semid, <sembuf *> operations, count) < 0 else 0


cdef unsigned read_operations(object changes, bint undo, sembuf *operations) except 0:
    """Convert (semaphore, change) pairs; how many there are. ValueError for what is no pair."""
    cdef unsigned count = 0
    for number, change in changes:
        if not -CHANGE_MAX <= change <= CHANGE_MAX:
            raise ValueError(f"a change of {change}: the most is {CHANGE_MAX} either way")
        if not 0 <= number <= 65535:
            raise ValueError(f"semaphore {number}: they are counted from 0")
        if count == OPERATIONS_MAX:
            raise ValueError(f"at most {OPERATIONS_MAX} changes at a time")
        operations[count].sem_num = number
        operations[count].sem_op = change
        operations[count].sem_flg = SEM_UNDO if undo else 0
        count += 1
    if not count:
        raise ValueError("no change was asked for: pairs of a semaphore's number and a change")
    return count


cdef unsigned inverse(const sembuf *operations, unsigned count, sembuf *inverse) noexcept nogil:
    """The operations that take these back without waiting. Waits for zero changed nothing."""
    cdef unsigned index, length = 0
    for index in range(count):
        if operations[count - 1 - index].sem_op:
            inverse[length] = operations[count - 1 - index]
            inverse[length].sem_op = -inverse[length].sem_op
            inverse[length].sem_flg |= IPC_NOWAIT
            length += 1
    return length


def change(int semid, changes, bint undo):
    """Make all changes at once, or none: 0 or -errno, -EAGAIN when that would have to wait."""
    cdef sembuf[OPERATIONS_MAX] operations
    cdef unsigned count = read_operations(changes, undo, operations)
    cdef unsigned index
    for index in range(count):
        operations[index].sem_flg |= IPC_NOWAIT
    return operate(semid, operations, count)


def get(int key, int count, bint create, bint exclusive, int mode):
    """A set's identifier; OSError."""
    cdef int flags = (IPC_CREAT if create else 0) | (IPC_EXCL if exclusive else 0)
    cdef int semid = semget(key, count, flags | mode)
    if semid < 0:
        raise_os_error(errno, None)
    return semid


cdef int control(int semid, int number, int command, int value, void *memory) except -1:
    cdef int got = zc_semctl(semid, number, command, value, memory)
    if got < 0:
        raise_os_error(errno, None)
    return got


def status(int semid):
    """How many semaphores, mode, uid, gid; OSError."""
    cdef semid_ds now
    control(semid, 0, IPC_STAT, 0, &now)
    return now.sem_nsems, now.sem_perm.mode & 0o777, now.sem_perm.uid, now.sem_perm.gid


def configure(int semid, int mode, unsigned uid, unsigned gid):
    """Set all three; OSError."""
    cdef semid_ds wanted
    control(semid, 0, IPC_STAT, 0, &wanted)
    wanted.sem_perm.mode = mode
    wanted.sem_perm.uid = uid
    wanted.sem_perm.gid = gid
    control(semid, 0, IPC_SET, 0, &wanted)


def values(int semid):
    """The values of all semaphores at one moment; OSError."""
    cdef int count = status(semid)[0]
    cdef int index
    cdef unsigned short *found = <unsigned short *> calloc(count, sizeof(unsigned short))
    if found == NULL:
        raise MemoryError("values")
    try:
        control(semid, 0, GETALL, 0, found)
        return [found[index] for index in range(count)]
    finally:
        free(found)


def value(int semid, int number):
    """OSError."""
    return control(semid, number, GETVAL, 0, NULL)


def set_value(int semid, int number, int value):
    """OSError."""
    control(semid, number, SETVAL, value, NULL)


def waiting(int semid, int number):
    """How many wait for a semaphore to rise, and how many for zero; OSError."""
    return control(semid, number, GETNCNT, 0, NULL), control(semid, number, GETZCNT, 0, NULL)


def last_pid(int semid, int number):
    """The pid of the process that changed it last, 0 for nobody; OSError."""
    return control(semid, number, GETPID, 0, NULL)


def remove(int semid):
    """Remove the set: everybody who waits on it gets EIDRM; OSError."""
    control(semid, 0, IPC_RMID, 0, NULL)
