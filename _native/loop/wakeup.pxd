from zcloop._native.channel.loop_channel cimport LoopChannel
from zcloop._native.operation.operation cimport Owner
from zcloop._native.operation.poll cimport Poll
from zcloop._native.operation.read cimport Read


cdef class Wakeup(Owner):
    cdef LoopChannel channel
    cdef bint is_sleeping           # a wake-up needs the eventfd; read and written under the GIL
    cdef int event_fd               # -1 while there is none
    cdef Poll event_poll
    cdef object loop                # who is told of signals; None while nobody listens
    cdef char[256] signal_buffer    # one byte for each signal; what does not fit is read next
    cdef Read signal_read           # None while nobody listens

    cdef int open(self) except -1
    cdef int close(self) except -1
    cdef int abandon(self) except -1
    cdef int listen(self) except -1
    cdef int write(self) except -1
    cdef int listen_signals(self, object loop, int fd) except -1
    cdef int read_signals(self) except -1
    cdef int unpark(self) except -1

cdef Wakeup make_wakeup(LoopChannel channel)
