from zcloop._native.channel.loop_channel cimport LoopChannel
from zcloop._native.loop.handle cimport Handle
from zcloop._native.loop.ready cimport ReadyQueue
from zcloop._native.operation.operation cimport Owner
from zcloop._native.operation.poll cimport Poll


cdef class Watch(Owner):
    cdef LoopChannel channel
    cdef ReadyQueue ready
    cdef list unarmed           # the loop's list of watches to arm at the end of the turn
    cdef int fd
    cdef object socket          # the Python socket it was asked for by, or None
    cdef Handle reader
    cdef Handle writer
    cdef Poll read_poll         # in flight, or None
    cdef Poll write_poll
    cdef bint is_listed         # it is in `unarmed`

    cdef int set_handle(self, bint is_reader, Handle handle) except -1
    cdef bint drop_handle(self, bint is_reader) except -1
    cdef int arm(self) except -1
    cdef int arm_reader(self) except -1
    cdef int arm_writer(self) except -1
    cdef int want_arm(self) except -1
    cdef int closed_underneath(self) except -1
