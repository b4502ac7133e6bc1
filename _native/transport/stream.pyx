"""A connected stream socket: what the kernel brings goes up to a protocol, what it writes goes down.

Receiving has two ways, and a stream changes between them by what it sees:

    ring    a multishot receive into the loop's shared slots: one completion a message, no system
            call of its own. Every stream begins here, and small messages stay here.
    bulk    two filled slots in a row: a one-shot poll, then one recv of up to 256 KiB straight
            into the bytes object that the protocol gets (or into a BufferedProtocol's buffer).
            16 receives in a row that a slot would have held lead back.

Sending keeps what was written in a turn until its end, and sends it at once from 4 KiB on, while
it is hot. `queue` holds what was accepted and not sent; while the socket's buffer is full
(`is_blocked`) a one-shot poll waits for room.

    accepted == sent + queue.size
    data is delivered only if started, not paused, not closing, and nothing older is held
    the fd is closed when connection_lost has been called and no operation is in flight, so that
    its number cannot be reused under one

Rejected: a send SQE for large writes (the data is cold when the kernel gets to it, 1.2 to 2 times
the CPU); an ordinary send SQE for small ones (its completion wakes the loop for nothing).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from libc.errno cimport EAGAIN, EINTR, errno
from libc.string cimport memcpy
from posix.unistd cimport close

import socket as socket_module
from asyncio import constants, protocols
from asyncio.log import logger

from zcloop._native.kernel.errors cimport ECANCELED, ENOBUFS, os_error
from zcloop._native.kernel.uring cimport CQE_BUFFER_SHIFT, CQE_F_BUFFER, CQE_F_MORE
from zcloop._native.operation.operation cimport IDLE, INFLIGHT, PARKED, STARVED
from zcloop._native.operation.poll cimport make_poll
from zcloop._native.operation.receive cimport make_receive
from zcloop._native.operation.send cimport iovec, make_try_send, msghdr
from zcloop._native.transport.address cimport local_address, peer_address

cdef extern from "Python.h":
    object PyContext_CopyCurrent()
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context)
    PyObject *PyObject_VectorcallMethod(object name, PyObject **args, size_t count, PyObject *names)
    int _PyBytes_Resize(PyObject **data, Py_ssize_t size) except -1
    void Py_DECREF(PyObject *)
    PyObject *PyBytes_New "PyBytes_FromStringAndSize"(const char *data, Py_ssize_t size) except NULL
    char *PyBytes_Start "PyBytes_AS_STRING"(PyObject *data)

cdef extern from "<poll.h>" nogil:
    enum:
        POLLIN
        POLLOUT
        POLLRDHUP "0x2000"

cdef extern from "<sys/socket.h>" nogil:
    enum:
        MSG_DONTWAIT
        MSG_NOSIGNAL
        SHUT_WR
    ssize_t recv(int fd, void *data, size_t size, int flags)
    ssize_t send(int fd, const void *data, size_t size, int flags)
    ssize_t sendmsg(int fd, const msghdr *message, int flags)
    int shutdown(int fd, int how)

# From here on a write is sent at once: queueing 10 KiB costs 1.2 times the CPU (FACTS).
cdef size_t DIRECT_SEND_MIN = 4096
cdef size_t BULK_SIZE = 256 * 1024
cdef size_t SMALL_READ_MAX = 8192
cdef uint8_t FULL_SLOTS_TO_BULK = 2
cdef uint8_t SMALL_READS_TO_RING = 16
# One system call takes so many pieces; what is left goes with the next.
cdef enum:
    PIECES_MAX = 64
cdef size_t HIGH_WATER = 64 * 1024

cdef object DATA_RECEIVED = "data_received"
cdef object GET_BUFFER = "get_buffer"
cdef object BUFFER_UPDATED = "buffer_updated"
cdef object EOF_RECEIVED = "eof_received"
cdef object _BufferedProtocol = protocols.BufferedProtocol


cdef int _reraise() except -1:
    return -1       # the error indicator is set


cdef class Stream(Client):
    def __cinit__(self, Core core, int fd):
        self.core = core
        self.channel = core.channel
        self.fd = fd
        self.context = PyContext_CopyCurrent()
        self.high_water = HIGH_WATER
        self.low_water = HIGH_WATER // 4
        self.peer = peer_address(fd)

    def __dealloc__(self):
        # With a Python socket the fd is its; without one it was ours to the end.
        if self.fd >= 0 and self.socket is None:
            close(self.fd)

    def bind(self, face, protocol, socket=None):
        """Who is above: the transport object and its protocol. A given socket keeps the fd."""
        self.face = face
        self.socket = socket
        self.set_protocol(protocol)
        self.core.streams[self.fd] = self

    def python_socket(self, int family, int kind):
        """The socket object of the fd, made when first asked for; None once closed."""
        if self.socket is None and self.fd >= 0 and not self.is_lost:
            self.socket = socket_module.socket(
                family, kind | socket_module.SOCK_NONBLOCK, -1, self.fd)
        return self.socket

    def raw_peer(self):
        return self.peer

    def raw_local(self):
        if self.local is None and self.fd >= 0:
            self.local = local_address(self.fd)
        return self.local

    # ---- protocol ----------------------------------------------------------------------------

    def set_protocol(self, protocol):
        self.protocol = protocol
        self.is_buffered = isinstance(protocol, _BufferedProtocol)

    cdef object protocol_call(self, object name, object argument):
        """protocol.name(argument), in the stream's context; NULL-free, raises what it raises."""
        cdef PyObject *result
        cdef PyObject *arguments[2]
        cdef object context = self.context
        cdef object protocol = self.protocol
        arguments[0] = <PyObject *> protocol
        arguments[1] = <PyObject *> argument
        PyContext_Enter(context)
        result = PyObject_VectorcallMethod(name, arguments, 1 if argument is None else 2, NULL)
        PyContext_Exit(context)
        if result == NULL:
            _reraise()
        answer = <object> result
        Py_DECREF(result)
        return answer

    def connect(self):
        """Announce an accepted connection to its protocol, and read from then on."""
        try:
            self.protocol_call("connection_made", self.face)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            # asyncio logs it, as of any callback, and goes on reading.
            self.report("Exception in protocol.connection_made()", error)
        self.start()

    def start(self):
        """Read from now on: connection_made has been called."""
        self.is_started = True
        self.update_reading()

    # ---- receiving ---------------------------------------------------------------------------

    cdef bint is_reading_wanted(self) noexcept:
        return (self.is_started and not self.is_paused and not self.is_closing_
                and not self.is_ended and self.held is None)

    cdef int update_reading(self) except -1:
        """Bring the operations in line with what is wanted; called after every change of either."""
        if not self.is_reading_wanted():
            return self.stop_reading()
        if self.is_bulk:
            if self.receive is not None and self.receive.state != IDLE:
                return self.channel.cancel(self.receive)
            if self.read_poll is None:
                self.read_poll = make_poll(self, self.fd, POLLIN | POLLRDHUP)
            if self.read_poll.state == IDLE:
                return self.channel.submit(self.read_poll)
            return 0
        if self.read_poll is not None and self.read_poll.state != IDLE:
            return self.channel.cancel(self.read_poll)
        if self.receive is None:
            self.receive = make_receive(self, self.fd, self.channel.receive_buffers().group)
        if self.receive.state == IDLE:
            return self.channel.submit(self.receive)
        return 0

    cdef int stop_reading(self) except -1:
        if self.receive is not None and self.receive.state != IDLE:
            self.channel.cancel(self.receive)
        if self.read_poll is not None and self.read_poll.state != IDLE:
            self.channel.cancel(self.read_poll)
        return 0

    cdef int completed(self, Operation operation, int result, uint32_t flags) except -1:
        if operation is self.receive:
            return self.received(result, flags)
        if operation is self.read_poll:
            if self.is_reading_wanted() and self.is_bulk and result >= 0:
                if self.is_buffered:
                    self.read_directly_into()
                else:
                    self.read_directly()
            if self.is_lost:
                return self.release_fd()
            return self.update_reading()
        if operation is self.try_send:
            self.send_result = result       # told in `flushed`
            return 0
        if operation is self.write_poll:
            self.is_blocked = False
            if self.is_lost:
                return self.release_fd()
            if self.lost_count == 0:
                self.send_now()
                if not self.is_blocked:
                    self.drained(True)
        return 0

    cdef int received(self, int result, uint32_t flags) except -1:
        cdef unsigned slot = flags >> CQE_BUFFER_SHIFT
        cdef const char *data
        cdef bytes copy
        if flags & CQE_F_BUFFER:
            data = self.channel.buffers.slot(slot)
            if self.is_closing_ or result <= 0:
                self.channel.buffers.give(slot)
            elif (self.is_buffered and self.held is None and not self.is_paused):
                try:
                    self.deliver_into(data, result)
                finally:
                    self.channel.buffers.give(slot)
            else:
                copy = PyBytes_FromStringAndSize(data, result)
                self.channel.buffers.give(slot)
                if self.held is not None:
                    self.held.append(copy)
                elif self.is_paused:
                    self.held = [copy]
                else:
                    self.deliver(copy)
            if result == <int> self.channel.buffers.slot_size:
                self.full_slots += 1
                if self.full_slots >= FULL_SLOTS_TO_BULK and not self.is_bulk:
                    self.is_bulk = True
                    self.bulk_size = BULK_SIZE
                    self.small_reads = 0
                    if flags & CQE_F_MORE and not self.is_lost:
                        self.update_reading()
            else:
                self.full_slots = 0
        if flags & CQE_F_MORE:
            return 0
        if self.is_lost:
            return self.release_fd()
        if result <= 0 and not self.is_closing_:
            if result == -ENOBUFS:
                if self.is_reading_wanted() and not self.is_bulk:
                    return self.channel.starve(self.receive)
            elif result != -ECANCELED and result != -EINTR and result != -EAGAIN:
                if self.is_paused or self.held is not None:
                    # Its turn comes after what is held.
                    if self.held is None:
                        self.held = []
                    self.held.append(-result)
                elif result == 0:
                    self.end_of_file()
                else:
                    self.fail(-result, "Fatal read error on socket transport")
        return self.update_reading()

    cdef int read_directly(self) except -1:
        cdef PyObject *data = PyBytes_New(NULL, self.bulk_size)
        cdef ssize_t got = recv(self.fd, PyBytes_Start(data), self.bulk_size, MSG_DONTWAIT)
        cdef int failed = errno
        if got <= 0:
            Py_DECREF(data)
            if got == 0:
                return self.end_of_file()
            if failed != EAGAIN and failed != EINTR:
                return self.fail(failed, "Fatal read error on socket transport")
            return 0
        if <size_t> got != self.bulk_size:
            _PyBytes_Resize(&data, got)
        self.note_read_size(got)
        received = <bytes> data
        Py_DECREF(data)
        return self.deliver(received)

    cdef void note_read_size(self, size_t size) noexcept:
        if size > SMALL_READ_MAX:
            self.small_reads = 0
            return
        self.small_reads += 1
        if self.small_reads >= SMALL_READS_TO_RING:
            self.is_bulk = False
            self.full_slots = 0

    cdef int read_directly_into(self) except -1:
        cdef unsigned char[::1] view
        cdef ssize_t got
        cdef int failed
        try:
            view = self.get_buffer()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            return self.fatal(error, "Fatal error: protocol.get_buffer() call failed.")
        got = recv(self.fd, &view[0], view.shape[0], MSG_DONTWAIT)
        failed = errno
        if got == 0:
            return self.end_of_file()
        if got < 0:
            if failed != EAGAIN and failed != EINTR:
                return self.fail(failed, "Fatal read error on socket transport")
            return 0
        self.note_read_size(got)
        try:
            self.protocol_call(BUFFER_UPDATED, got)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self.fatal(error, "Fatal error: protocol.buffer_updated() call failed.")
        return 0

    cdef object get_buffer(self):
        buffer = self.protocol_call(GET_BUFFER, -1)
        if not len(buffer):
            raise RuntimeError("get_buffer() returned an empty buffer")
        if not isinstance(buffer, (bytearray, memoryview)):
            buffer = memoryview(buffer)
        if isinstance(buffer, memoryview) and (buffer.format != "B" or buffer.ndim != 1):
            buffer = buffer.cast("B")
        return buffer

    cdef int deliver(self, bytes data) except -1:
        """data_received(data), or a buffered protocol's two calls with a copy."""
        if self.is_buffered:
            return self.deliver_into(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        try:
            self.protocol_call(DATA_RECEIVED, data)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self.fatal(error, "Fatal error: protocol.data_received() call failed.")
        return 0

    cdef int deliver_into(self, const char *data, size_t size) except -1:
        """Copy into the protocol's own buffers, as many as it takes."""
        cdef unsigned char[::1] view
        cdef size_t count
        while size:
            if self.is_closing_:
                return 0
            if self.is_paused or not self.is_buffered:
                # Paused, or another protocol, in the middle: the rest comes later, or as bytes.
                rest = PyBytes_FromStringAndSize(data, size)
                if self.is_paused:
                    if self.held is None:
                        self.held = []
                    self.held.insert(0, rest)
                    return 0
                return self.deliver(rest)
            try:
                view = self.get_buffer()
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                return self.fatal(error, "Fatal error: protocol.get_buffer() call failed.")
            count = view.shape[0]
            if count > size:
                count = size
            memcpy(&view[0], data, count)
            view = None
            data += count
            size -= count
            try:
                self.protocol_call(BUFFER_UPDATED, count)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                return self.fatal(error, "Fatal error: protocol.buffer_updated() call failed.")
        return 0

    cdef int end_of_file(self) except -1:
        self.is_ended = True
        if self.core._debug:
            logger.debug("%r received EOF", self.face)
        try:
            keep_open = self.protocol_call(EOF_RECEIVED, None)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            return self.fatal(error, "Fatal error: protocol.eof_received() call failed.")
        if not keep_open:
            self.close()
        return 0

    def pause_reading(self):
        if self.is_closing_ or self.is_paused:
            return
        self.is_paused = True
        self.stop_reading()
        if self.core._debug:
            logger.debug("%r pauses reading", self.face)

    def resume_reading(self):
        if self.is_closing_ or not self.is_paused:
            return
        self.is_paused = False
        if self.core._debug:
            logger.debug("%r resumes reading", self.face)
        if self.held is not None:
            self.post_resume()
        else:
            self.update_reading()

    cdef int post_resume(self) except -1:
        if not self.is_resume_posted:
            self.is_resume_posted = True
            self.core.call(self._deliver_held, (), None)
        return 0

    def _deliver_held(self):
        """Hand over what arrived during a pause, oldest first, until paused again."""
        self.is_resume_posted = False
        while self.held and not self.is_paused and not self.is_closing_:
            item = self.held[0]
            del self.held[0]
            if isinstance(item, bytes):
                self.deliver(item)
            elif item == 0:
                self.end_of_file()
            else:
                self.fail(item, "Fatal read error on socket transport")
        if self.is_closing_:
            self.held = None
        elif not self.is_paused:
            self.held = None
            self.update_reading()
        elif not self.held:
            self.held = None

    # ---- sending -----------------------------------------------------------------------------

    def write(self, data):
        """Accept `data` (bytes, bytearray or memoryview) for sending; never blocks.

        bytes are held, not copied, until the kernel has them; others are copied unless sent at
        once. Raises TypeError, and RuntimeError after write_eof() or during a sendfile.
        """
        cdef Py_ssize_t size
        cdef ssize_t sent = 0
        cdef const unsigned char[::1] view
        cdef bytes piece
        if type(data) is bytes:
            piece = <bytes> data
            size = PyBytes_GET_SIZE(piece)
        elif isinstance(data, (bytes, bytearray, memoryview)):
            piece = None
            size = memoryview(data).nbytes
        else:
            raise TypeError("data argument must be a bytes-like object, "
                            f"not {type(data).__name__!r}")
        if self.is_eof_written:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self.empty_waiter is not None:
            raise RuntimeError("unable to write; sendfile is in progress")
        if size == 0:
            return
        if self.lost_count:
            if self.lost_count >= <unsigned> constants.LOG_THRESHOLD_FOR_CONNLOST_WRITES:
                logger.warning("socket.send() raised exception.")
            self.lost_count += 1
            return
        if size >= <Py_ssize_t> DIRECT_SEND_MIN and (self.queue is None or self.queue.size == 0):
            if piece is not None:
                sent = send(self.fd, PyBytes_AS_STRING(piece), size, MSG_DONTWAIT | MSG_NOSIGNAL)
            else:
                view = memoryview(data).cast("B")
                sent = send(self.fd, &view[0], size, MSG_DONTWAIT | MSG_NOSIGNAL)
            if sent == size:
                return
            if sent < 0:
                if errno != EAGAIN and errno != EINTR:
                    self.fail(errno, "Fatal write error on socket transport")
                    return
                sent = 0
            if piece is None:
                piece = bytes(view[sent:])
                sent = 0
            self.append(piece, sent)
            self.wait_writable()
            self.pause_if_high()
            return
        if piece is None:
            piece = bytes(data)
        self.append(piece, 0)
        self.sent_or_kept()

    cdef int sent_or_kept(self) except -1:
        """Something was appended: keep it for the end of the turn, or send if it has grown large."""
        if self.is_blocked:
            return self.pause_if_high()
        if self.queue.size >= DIRECT_SEND_MIN or self.queue.size > self.high_water:
            self.send_now()
            return self.pause_if_high()
        return self.core.want_flush(self)

    def writelines(self, pieces):
        """write() of each, in one system call or few."""
        if self.is_eof_written:
            raise RuntimeError("Cannot call writelines() after write_eof()")
        if self.empty_waiter is not None:
            raise RuntimeError("unable to writelines; sendfile is in progress")
        pieces = [bytes(piece) if type(piece) is not bytes else piece for piece in pieces]
        if self.lost_count:
            self.lost_count += 1
            return
        for piece in pieces:
            if piece:
                self.append(<bytes> piece, 0)
        if self.queue is not None and self.queue.size:
            self.sent_or_kept()

    cdef int append(self, bytes piece, size_t offset) except -1:
        if self.queue is None:
            self.queue = WriteQueue.__new__(WriteQueue)
        return self.queue.push(piece, offset)

    cdef int flush(self, bint is_batched) except -1:
        cdef msghdr *message
        cdef iovec *vector
        cdef unsigned count, index
        if self.is_blocked or self.lost_count or self.queue is None or self.queue.size == 0:
            return 0
        if not is_batched:
            return self.send_now()
        if self.try_send is None:
            self.try_send = make_try_send(self, self.fd)
        count = self.queue.tail - self.queue.head
        if count == 1:
            self.try_send.message = NULL
            self.try_send.data = (
                PyBytes_AS_STRING(<object> self.queue.pieces[
                    self.queue.head & (self.queue.capacity - 1)]) + self.queue.offset)
            self.try_send.size = self.send_size = self.queue.size
        else:
            message = <msghdr *> self.core.scratch_take(
                sizeof(msghdr) + PIECES_MAX * sizeof(iovec))
            vector = <iovec *> (message + 1)
            count = self.queue.describe(vector, PIECES_MAX)
            message.msg_name = NULL
            message.msg_namelen = 0
            message.msg_iov = vector
            message.msg_iovlen = count
            message.msg_control = NULL
            message.msg_controllen = 0
            message.msg_flags = 0
            self.try_send.message = message
            self.send_size = 0
            for index in range(count):
                self.send_size += vector[index].iov_len
        self.send_result = -EAGAIN
        self.channel.submit(self.try_send)
        self.is_sending = True
        return 0

    cdef int flushed(self) except -1:
        """The batch was submitted: no completion means that all of it went."""
        if not self.is_sending:
            return 0
        self.is_sending = False
        if self.try_send.state != IDLE:
            self.channel.retire(self.try_send)
            self.queue.consume(self.send_size)
            if self.queue.size:
                self.send_now()     # more pieces than one call takes
        elif self.send_result >= 0:
            self.queue.consume(self.send_result)
            self.wait_writable()
        elif self.send_result in (-EAGAIN, -EINTR):
            self.wait_writable()
        else:
            self.fail(-self.send_result, "Fatal write error on socket transport")
        if self.lost_count == 0 and not self.is_blocked:
            self.drained(False)
        return 0

    cdef int send_now(self) except -1:
        """Send what is queued by system calls until it is gone or the socket's buffer is full."""
        cdef iovec[PIECES_MAX] vector
        cdef msghdr message
        cdef ssize_t sent
        cdef size_t offered
        cdef unsigned count, index
        while self.queue is not None and self.queue.size:
            count = self.queue.describe(vector, PIECES_MAX)
            if count == 1:
                offered = vector[0].iov_len
                sent = send(self.fd, vector[0].iov_base, offered, MSG_DONTWAIT | MSG_NOSIGNAL)
            else:
                message.msg_name = NULL
                message.msg_namelen = 0
                message.msg_iov = vector
                message.msg_iovlen = count
                message.msg_control = NULL
                message.msg_controllen = 0
                message.msg_flags = 0
                offered = 0
                for index in range(count):
                    offered += vector[index].iov_len
                sent = sendmsg(self.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL)
            if sent < 0:
                if errno == EINTR:
                    continue
                if errno == EAGAIN:
                    return self.wait_writable()
                return self.fail(errno, "Fatal write error on socket transport")
            self.queue.consume(sent)
            if <size_t> sent < offered:
                return self.wait_writable()
        return 0

    cdef int wait_writable(self) except -1:
        self.is_blocked = True
        if self.write_poll is None:
            self.write_poll = make_poll(self, self.fd, POLLOUT)
        if self.write_poll.state == IDLE:
            self.channel.submit(self.write_poll)
        return 0

    cdef int drained(self, bint may_call) except -1:
        """Less is queued than before: tell who waits for that."""
        cdef bint is_empty = self.queue is None or self.queue.size == 0
        if self.is_writing_paused and (self.queue is None
                                       or self.queue.size <= self.low_water):
            if may_call:
                self.resume_if_low()
                is_empty = self.queue is None or self.queue.size == 0
            else:
                self.core.call(self._resume_writing, (), None)
        if is_empty and self.lost_count == 0:
            self.drained_empty()
        return 0

    cdef int drained_empty(self) except -1:
        if self.empty_waiter is not None and not self.empty_waiter.done():
            self.empty_waiter.set_result(None)
        if self.is_closing_:
            self.lose(None)
        elif self.is_eof_written:
            shutdown(self.fd, SHUT_WR)
        return 0

    def write_eof(self):
        """Send the end of file after what is queued; reading goes on."""
        if self.is_closing_ or self.is_eof_written:
            return
        self.is_eof_written = True
        if self.queue is not None and self.queue.size and not self.is_blocked:
            self.send_now()
        if (self.queue is None or self.queue.size == 0) and self.lost_count == 0:
            if shutdown(self.fd, SHUT_WR) < 0:
                raise os_error(errno, None)

    # ---- flow control ------------------------------------------------------------------------

    def get_write_buffer_size(self):
        return self.queue.size if self.queue is not None else 0

    def get_write_buffer_limits(self):
        return self.low_water, self.high_water

    def set_write_buffer_limits(self, high=None, low=None):
        if high is None:
            high = HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self.high_water = high
        self.low_water = low
        if self.queue is not None and self.queue.size > self.high_water:
            if not self.is_blocked:
                self.send_now()
            self.pause_if_high()

    cdef int pause_if_high(self) except -1:
        if (self.is_writing_paused or self.queue is None or self.lost_count
                or self.queue.size <= self.high_water):
            return 0
        self.is_writing_paused = True
        try:
            self.protocol.pause_writing()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self.report("protocol.pause_writing() failed", error)
        return 0

    cdef int resume_if_low(self) except -1:
        if not self.is_writing_paused or (self.queue is not None
                                          and self.queue.size > self.low_water):
            return 0
        self.is_writing_paused = False
        try:
            self.protocol_call("resume_writing", None)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self.report("protocol.resume_writing() failed", error)
        return 0

    def _resume_writing(self):
        if self.protocol is not None:
            self.resume_if_low()

    def make_empty_waiter(self):
        """A future that is done when nothing is queued; writing is an error until the reset."""
        if self.empty_waiter is not None:
            raise RuntimeError("Empty waiter is already set")
        if self.queue is not None and self.queue.size and not self.is_blocked:
            self.send_now()
        self.empty_waiter = self.core.create_future()
        if self.queue is None or self.queue.size == 0:
            self.empty_waiter.set_result(None)
        return self.empty_waiter

    def reset_empty_waiter(self):
        self.empty_waiter = None

    # ---- ending ------------------------------------------------------------------------------

    def is_closing(self):
        return self.is_closing_

    def is_reading(self):
        return not self.is_closing_ and not self.is_paused

    def close(self):
        """No more reading; what is queued is sent, then connection_lost(None). Idempotent."""
        if self.is_closing_:
            return
        self.is_closing_ = True
        self.held = None
        self.stop_reading()
        if self.queue is not None and self.queue.size and not self.is_blocked:
            self.send_now()
        if (self.queue is None or self.queue.size == 0) and self.lost_count == 0:
            self.lose(None)

    def abort(self):
        """As close(), and what is queued is dropped."""
        self.force_close(None)

    cdef int fail(self, int errno_, str message) except -1:
        return self.fatal(os_error(errno_, None), message)

    cdef int fatal(self, object error, str message) except -1:
        if isinstance(error, OSError):
            if self.core._debug:
                logger.debug("%r: %s", self.face, message, exc_info=error)
        else:
            self.report(message, error)
        if self.empty_waiter is not None and not self.empty_waiter.done():
            self.empty_waiter.set_exception(error)
        return self.force_close(error)

    cdef object report(self, str message, object error):
        self.core.call_exception_handler({
            "message": message,
            "exception": error,
            "transport": self.face,
            "protocol": self.protocol,
        })

    cdef int force_close(self, object error) except -1:
        if self.lost_count:
            return 0
        if self.queue is not None:
            self.queue.clear()
        if not self.is_closing_:
            self.is_closing_ = True
            self.held = None
            self.stop_reading()
        return self.lose(error)

    def force_close_with(self, error):
        """abort() with the exception that connection_lost is to get."""
        self.force_close(error)

    def fatal_error(self, error, message):
        """Report an exception as asyncio's transports do, and force the connection closed."""
        self.fatal(error, message)

    cdef int lose(self, object error) except -1:
        self.lost_count += 1
        if self.write_poll is not None and self.write_poll.state != IDLE:
            self.channel.cancel(self.write_poll)
        self.core.call(self._call_connection_lost, (error,), None)
        return 0

    def _call_connection_lost(self, error):
        if self.is_lost:
            return
        self.is_lost = True
        face = self.face
        try:
            if self.protocol is not None:
                self.protocol.connection_lost(error)
        finally:
            if self.empty_waiter is not None and not self.empty_waiter.done():
                self.empty_waiter.set_exception(ConnectionError("Connection is closed by peer"))
            self.raw_local()
            if self.socket is not None:
                self.socket.detach()
            self.release_fd()
            self.protocol = self.face = self.context = None
            face._lost()

    cdef int release_fd(self) except -1:
        """Close the fd if nobody, the kernel included, has it any more."""
        if self.fd < 0:
            return 0
        for operation in (self.receive, self.read_poll, self.write_poll):
            if operation is not None and (<Operation> operation).state != IDLE:
                return 0
        self.core.streams.pop(self.fd, None)
        close(self.fd)
        self.fd = -1
        for operation in (self.receive, self.read_poll, self.write_poll, self.try_send):
            if operation is not None:
                (<Operation> operation).owner = None
        return 0

    def drop(self):
        """The transport was collected without a close: let the fd go, tell nobody."""
        if self.fd >= 0:
            self.core.streams.pop(self.fd, None)
            if self.socket is not None:
                self.socket.close()
            else:
                close(self.fd)
            self.fd = -1
        self.is_closing_ = True
        self.is_lost = True

    @property
    def has_connection(self):
        """False once connection_lost has been called."""
        return not self.is_lost

    @property
    def state_text(self):
        """For repr: how it stands with reading and writing."""
        reading = "polling" if self.is_reading_wanted() else "idle"
        writing = "polling" if self.is_blocked else "idle"
        return (f"read={reading} write=<{writing}, "
                f"bufsize={self.get_write_buffer_size()}>")
