from zcloop._native.channel.loop_channel cimport LoopChannel
from zcloop._native.loop.handle cimport Handle
from zcloop._native.loop.scheduler cimport Scheduler
from zcloop._native.loop.socket_wait cimport SocketWait
from zcloop._native.loop.transport_table cimport TransportTable
from zcloop._native.loop.watch cimport Watch


cdef class Watching(Scheduler):
    cdef readonly LoopChannel channel
    cdef TransportTable transports
    cdef dict watches               # fd -> Watch
    cdef list socket_watches        # those of Python sockets, which may be closed underneath
    cdef list socket_holders        # waits of coroutines, and listeners
    cdef list unarmed               # watches to arm before the next submission

    cdef int check_no_transport(self, object fd) except -1
    cdef Handle watch(self, object fileobj, bint is_reader, object callback, tuple args,
                      object context)
    cdef int set_watch(self, int fd, object fileobj, bint is_reader, Handle handle) except -1
    cdef Watch make_watch(self, int fd, object fileobj)
    cdef bint unwatch(self, object fileobj, bint is_reader) except -1
    cdef object watch_of(self, object fileobj)
    cdef int forget_watch(self, Watch watch) except -1
    cdef int drop_watches(self) except -1
    cdef int arm_watches(self) except -1
    cdef SocketWait wait_for_socket(self, object socket, bint to_write, SocketWait before)
    cdef int check_sockets(self) except -1
