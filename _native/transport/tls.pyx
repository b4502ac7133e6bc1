"""The data phase of TLS: one call into OpenSSL for each record, no exception for each message.

    down   plaintext -> SSL_write -> outgoing BIO -> bytes -> the transport below
    up     bytes of the transport below -> incoming BIO -> SSL_read -> plaintext

All else is done by the interpreter's own SSLProtocol, into which this is mixed: handshake,
shutdown, errors, and what waits because a socket is full or a protocol is paused. A step is taken
here only while nothing waits anywhere. Otherwise SSLProtocol's method of the same name takes it.

asyncio reads until an SSLWantReadError ends its loop. Here the loop ends when the incoming BIO is
empty: OpenSSL takes from it no more than the record that it decrypts.
"""

from cpython.buffer cimport (
    PyBUF_READ, PyBUF_SIMPLE, PyBUF_WRITABLE, PyBUF_WRITE, PyBuffer_IsContiguous, PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.memoryview cimport PyMemoryView_FromMemory, PyMemoryView_GET_BUFFER
from cpython.object cimport PyObject

from asyncio import sslproto

from zcloop._native.kernel.cpython cimport (
    PyBytes_New, PyBytes_Start, PyObject_Release, _PyBytes_Resize,
)

cdef enum:
    RECORD_MAX = 16384      # bytes of plaintext in one record, at most (RFC 8446, 5.1)

cdef object SSLProtocol = sslproto.SSLProtocol
cdef object WRAPPED = sslproto.SSLProtocolState.WRAPPED
cdef object AGAIN = sslproto.SSLAgainErrors


cdef object as_octets(object data):
    """The data, or of a view another one of bytes: SSLProtocol may keep it although the application
    releases its own, and takes its length for a number of bytes."""
    if not isinstance(data, memoryview):
        return data
    if not PyBuffer_IsContiguous(PyMemoryView_GET_BUFFER(data), b"C"):
        return data.tobytes()
    return memoryview(data).cast("B")


cdef class TlsRecords:
    cdef bint is_open(self) except -1:
        """Whether the handshake is done, and the end has not begun."""
        if self._state is not WRAPPED:
            return False
        if self.read_record is None:
            # The methods of the interpreter's SSLObject only call those of the C object in it.
            below = getattr(self._sslobj, "_sslobj", self._sslobj)
            self.read_record = below.read
            self.write_record = below.write
            self.count_pending = below.pending
        return True

    # ---- up ----------------------------------------------------------------------------------

    def data_received(self, data):
        """Take ciphertext from the transport below."""
        self._incoming.write(data)
        if self.is_open():
            self._do_read()
        else:
            # It acts by its state, on what is in the BIO: 0 bytes are new in its own buffer.
            SSLProtocol.buffer_updated(self, 0)

    def _do_read(self):
        if (not self.is_open() or self._app_reading_paused or self._app_protocol_is_buffer
                or self._write_backlog):
            SSLProtocol._do_read(self)
            return
        try:
            self.receive()
        except Exception as error:
            self._fatal_error(error, "Fatal error on SSL protocol")

    cdef int receive(self) except -1:
        """Decrypt what is there, and give it to the application's protocol."""
        cdef Py_ssize_t size = self._incoming.pending
        if size or self.count_pending():
            data, is_last = self.decrypt() if size <= RECORD_MAX else self.decrypt_many(size)
            if data:
                self._app_protocol.data_received(data)
            if is_last:
                self._call_eof_received()
                self._start_shutdown()
        if self._outgoing.pending:
            self._process_outgoing()    # the end of the handshake, or TLS itself has answered
        if self._app_reading_paused or self._ssl_reading_paused:
            self._control_ssl_reading()
        return 0

    cdef tuple decrypt(self):
        """The plaintext of about a record, and whether the peer said that it was the last."""
        cdef bint is_last = False
        cdef list more = None
        cdef bytes chunk
        cdef bytes first = None
        try:
            while True:
                chunk = self.read_record(RECORD_MAX)
                if not chunk:
                    is_last = True
                    break
                if first is None:
                    first = chunk
                elif more is None:
                    more = [first, chunk]
                else:
                    more.append(chunk)
                if not self._incoming.pending:
                    break
        except AGAIN:
            pass            # the last record is not complete yet
        return first if more is None else b"".join(more), is_last

    cdef tuple decrypt_many(self, Py_ssize_t size):
        """What `decrypt` does, for more than a record: into one object, without a copy."""
        cdef Py_ssize_t capacity = size + RECORD_MAX    # a record may have begun before
        cdef PyObject *data = PyBytes_New(NULL, capacity)
        cdef Py_ssize_t used = 0
        cdef Py_ssize_t count
        cdef bint is_last = False
        try:
            while used < capacity:
                count = self.read_record(RECORD_MAX, PyMemoryView_FromMemory(
                    PyBytes_Start(data) + used, capacity - used, PyBUF_WRITE))
                used += count
                is_last = count == 0
                if is_last or not self._incoming.pending:
                    break
        except AGAIN:
            pass
        except BaseException:
            PyObject_Release(data)
            raise
        _PyBytes_Resize(&data, used)
        received = <object> data
        PyObject_Release(data)
        return received, is_last

    def _do_read__buffered(self):
        """Decrypt as much as one buffer of the application's takes, in place.

        Rejected: asyncio's way, which slices the buffer for each record. Slices of most kinds of
        buffers are copies, and their lengths count items, not bytes.
        """
        cdef Py_buffer buffer
        cdef Py_ssize_t size
        cdef Py_ssize_t done = 0
        cdef bint is_last = False
        offered = self._app_protocol_get_buffer(self._incoming.pending)
        PyObject_GetBuffer(offered, &buffer, PyBUF_WRITABLE)
        try:
            size = buffer.len
            if size == 0:
                raise RuntimeError("get_buffer() returned an empty buffer")
            done, is_last = self.decrypt_into(<char *> buffer.buf, size)
        finally:
            PyBuffer_Release(&buffer)   # the protocol may resize it now
        if done == size:
            self._loop.call_soon(self._do_read)
        if done:
            self._app_protocol_buffer_updated(done)
        if is_last:
            self._call_eof_received()
            self._start_shutdown()

    cdef tuple decrypt_into(self, char *memory, Py_ssize_t size):
        """How many bytes were decrypted, and whether the peer said that these are the last."""
        cdef Py_ssize_t done = 0
        cdef Py_ssize_t count
        read = self._sslobj.read
        try:
            while done < size:
                count = read(size - done, PyMemoryView_FromMemory(
                    memory + done, size - done, PyBUF_WRITE))
                done += count
                if count == 0:
                    return done, True
        except AGAIN:
            pass
        return done, False

    # ---- down --------------------------------------------------------------------------------

    cdef bint is_writable(self) except -1:
        """Whether nothing waits to be sent, so that what is written now is next."""
        return (self.is_open() and not self._write_backlog and not self._ssl_writing_paused
                and not self._app_writing_paused and self._outgoing_high_water > 0)

    def write(self, data):
        """asyncio's WriteTransport.write: encrypt the data where it is, and send it."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data: expecting a bytes-like instance, got {type(data).__name__}")
        if not data:
            return
        self.writelines((data,))

    def writelines(self, list_of_data):
        """asyncio's WriteTransport.writelines: encrypt all pieces, and send them at once."""
        cdef list pieces = [as_octets(data) for data in list_of_data]
        cdef Py_ssize_t index = 0
        cdef Py_ssize_t done = 0
        if self.is_writable():
            try:
                while index < len(pieces):
                    done = self.encrypt(pieces[index])
                    if done < len(pieces[index]):
                        pieces[index] = memoryview(pieces[index])[done:]
                        break
                    index += 1
            except Exception as error:
                self._fatal_error(error, "Fatal error on SSL protocol")
                return
        if index < len(pieces):
            self._write_appdata(pieces[index:])     # this sends what is encrypted, too
        elif self._outgoing.pending:
            self._transport.write(self._outgoing.read())

    cdef Py_ssize_t encrypt(self, object data) except -1:
        """Encrypt the data; how many bytes of it. OpenSSL may want to receive something first."""
        cdef Py_ssize_t size = len(data)
        try:
            if size <= RECORD_MAX:
                return self.write_record(data) if size else 0
        except AGAIN:
            return 0
        return self.encrypt_many(data)

    cdef Py_ssize_t encrypt_many(self, object data) except -1:
        """What `encrypt` does, for more than a record."""
        cdef Py_buffer view
        cdef Py_ssize_t done = 0
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            while done < view.len:
                done += self.write_record(PyMemoryView_FromMemory(
                    <char *> view.buf + done, min(view.len - done, <Py_ssize_t> RECORD_MAX),
                    PyBUF_READ))
        except AGAIN:
            pass
        finally:
            PyBuffer_Release(&view)
        return done
