"""One sock_recv, sock_recv_into or sock_sendall on a plain Python socket.

The awaiting coroutine makes the system call, at first and again whenever the socket is ready. A
call that is cancelled in between has taken nothing from the socket.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from libc.errno cimport EAGAIN, EBADF, EINTR, errno

from zcloop._native.kernel.cpython cimport (
    PyBytes_New, PyBytes_Start, PyObject_Release, _PyBytes_Resize,
)
from zcloop._native.kernel.errors cimport os_error
from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.socket cimport MSG_DONTWAIT, MSG_NOSIGNAL, recv, send
from zcloop._native.kernel.sockets cimport socket_fd
from zcloop._native.loop.awaitable cimport NEW

cdef enum:
    SCRATCH_SIZE = 64 * 1024

cdef dict NAMES = {
    RECEIVE: "sock_recv", RECEIVE_INTO: "sock_recv_into", SEND_ALL: "sock_sendall",
}
# Up to SCRATCH_SIZE bytes are received into it, under the GIL, and copied out. Most of what is
# received is much less than was asked for: an object of the asked size would have to be made and
# cut.
cdef char[SCRATCH_SIZE] _scratch


cdef SocketCall make_socket_call(
        Core core, Kind kind, object socket, Py_ssize_t size, object data):
    cdef SocketCall call = SocketCall.__new__(SocketCall)
    call.state = NEW
    call.core = core
    call.kind = kind
    call.socket = socket
    call.size = size
    call.data = data
    return call


@cython.final
cdef class SocketCall(Awaitable):
    def __del__(self):
        self.let_go()       # a task that awaited it was dropped

    cdef str name(self):
        return f"Loop.{NAMES[self.kind]}"

    cdef int woken(self) except -1:
        self.before, self.wait = self.wait, None
        return 0

    cdef int let_go(self) except -1:
        """Release the buffer, and end the wait. Idempotent."""
        wait, self.wait = self.wait, None
        if self.has_view:
            self.has_view = False
            PyBuffer_Release(&self.view)
        if wait is not None:
            (<SocketWait> wait).stop()
        return 0

    cdef int give_up(self) except -1:
        try:
            self.let_go()
        finally:
            Awaitable.give_up(self)
        return 0

    cdef int begin(self) except -1:
        """Check the arguments, and lock the buffer. ValueError and what the buffer raises."""
        if self.core._debug and self.socket.gettimeout() != 0:
            raise ValueError("the socket must be non-blocking")
        if self.kind == RECEIVE:
            if self.size < 0:
                raise ValueError("negative buffersize in recv")
            return 0
        if self.kind == RECEIVE_INTO:
            PyObject_GetBuffer(self.data, &self.view, PyBUF_WRITABLE)
            self.has_view = True
            self.size = self.view.len
            return 0
        if type(self.data) is not bytes:
            try:
                PyObject_GetBuffer(self.data, &self.view, PyBUF_SIMPLE)
                self.has_view = True
            except BufferError:
                self.data = memoryview(self.data).tobytes()     # it is not contiguous
        if self.has_view:
            self.start = <const char *> self.view.buf
            self.size = self.view.len
        else:
            self.start = PyBytes_AS_STRING(self.data)
            self.size = PyBytes_GET_SIZE(self.data)
        return 0

    cdef bint advance(self) except -1:
        cdef int fd
        cdef ssize_t result
        if self.state == NEW:
            self.begin()
        while True:
            fd = socket_fd(self.socket)
            result = self.attempt(fd) if fd >= 0 else -EBADF
            if result == -EAGAIN:
                self.wait = self.core.wait_for_socket(
                    self.socket, self.kind == SEND_ALL, self.before)
                self.wait_for(self.wait.future)
                return False
            if result >= 0:
                self.let_go()
                return True
            if result != -EINTR:
                raise os_error(-<int> result, None)

    cdef ssize_t attempt(self, int fd) except? -1:
        """Make the system call: -errno, or 0 and more when the call is over."""
        if self.kind == SEND_ALL:
            return self.send_rest(fd)
        if self.kind == RECEIVE_INTO:
            return self.receive_into(fd)
        return self.receive(fd)

    cdef ssize_t send_rest(self, int fd) noexcept:
        cdef ssize_t sent
        while self.size:
            sent = send(fd, self.start, self.size, MSG_DONTWAIT | MSG_NOSIGNAL)
            if sent < 0:
                return -errno
            self.start += sent
            self.size -= sent
        return 0

    cdef ssize_t receive_into(self, int fd) except? -1:
        cdef ssize_t got = 0
        if self.size:
            got = recv(fd, self.view.buf, self.size, MSG_DONTWAIT)
            if got < 0:
                return -errno
        self.result = got
        return got

    cdef ssize_t receive(self, int fd) except? -1:
        cdef ssize_t got = 0
        cdef PyObject *data
        if self.size <= SCRATCH_SIZE:
            if self.size:
                got = recv(fd, _scratch, self.size, MSG_DONTWAIT)
                if got < 0:
                    return -errno
            self.result = PyBytes_FromStringAndSize(_scratch, got)
            return got
        data = PyBytes_New(NULL, self.size)
        got = recv(fd, PyBytes_Start(data), self.size, MSG_DONTWAIT)
        if got < 0:
            got = -errno
            PyObject_Release(data)
            return got
        _PyBytes_Resize(&data, got)
        self.result = <object> data
        PyObject_Release(data)
        return got


seal(SocketCall)
