"""To whom a stream gives what it received, and what memory it receives into for that.

    bytes      data_received(bytes) of an asyncio.Protocol
    native     a Receiver gets the bytes: no call of Python's, no context
    buffered   a BufferedProtocol's own memory, by get_buffer() and buffer_updated()
    leases     a ZeroCopyProtocol gets a view: of the block behind a slot, or of a block that was
               received into directly

There is one stateless object of each kind in a process. A stream has the one that fits its
protocol, which is chosen when the protocol is set. What was held meanwhile may have been received
for another kind of protocol, so `deliver` of each takes both bytes and views.

The protocol is the program's: in each call it may pause, close, or set another protocol. So what
was true before a call is looked at again after it.
"""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from libc.string cimport memcpy

from asyncio import protocols

from zcloop._native.kernel.cpython cimport (
    PyBytes_New, PyBytes_Start, PyObject_Release, _PyBytes_Resize,
)
from zcloop._native.kernel.sealed cimport seal
from zcloop._native.memory.region cimport Lease
from zcloop._native.transport.native_protocol cimport NativeProtocol
from zcloop._native.transport.receiver cimport Receiver
from zcloop._native.transport.tls cimport TlsRecords

from zcloop._native.transport.zero_copy import ZeroCopyProtocol

# Bytes that are received at a time where no block is free to be lent: what a slot holds.
cdef Py_ssize_t PRIVATE_SIZE = 16 * 1024
cdef str DATA_RECEIVED = "data_received"
cdef str GET_BUFFER = "get_buffer"
cdef str BUFFER_UPDATED = "buffer_updated"
cdef str BUFFER_RECEIVED = "buffer_received"
cdef object _BufferedProtocol = protocols.BufferedProtocol
cdef object _ZeroCopyProtocol = ZeroCopyProtocol


# Each kind below defines what raises NotImplementedError here.
cdef class Delivery:
    cdef int deliver_slot(self, Inlet inlet, BufferRing pool, unsigned slot,
                          size_t size) except -1:
        """Deliver a message that came in a slot, or hold it; the slot is given back."""
        raise NotImplementedError

    cdef int deliver(self, Inlet inlet, object data) except -1:
        """Deliver bytes or a view, which was held, or the rest of another protocol's."""
        raise NotImplementedError

    cdef bint make_space(self, Inlet inlet, Space *space) except -1:
        """Find memory to receive into; False if the protocol has none, or is another one now.

        True is followed by `drop_space` if nothing came, or by `deliver_space`.
        """
        raise NotImplementedError

    cdef int drop_space(self, Space *space) except -1:
        PyObject_Release(space.owner)
        return 0

    cdef int deliver_space(self, Inlet inlet, Space *space, size_t size) except -1:
        """Deliver the `size` bytes that were received into the space."""
        raise NotImplementedError


# ---- bytes -----------------------------------------------------------------------------------

cdef inline bytes bytes_of_slot(Inlet inlet, BufferRing pool, unsigned slot, size_t size):
    """A copy of the message in a slot, which is given back."""
    cdef bytes data = PyBytes_FromStringAndSize(pool.slot(slot), size)
    inlet.core.copied_bytes += size
    pool.give(slot)
    return data


cdef bytes bytes_of(object data):
    """Bytes as they are; of a view, which is released, a copy."""
    cdef bytes copy
    if type(data) is bytes:
        return data
    copy = bytes(data)
    data.release()
    return copy


cdef bytes bytes_of_space(Space *space, size_t size):
    if size != space.size:
        _PyBytes_Resize(&space.owner, size)
    data = <bytes> space.owner
    PyObject_Release(space.owner)
    return data


cdef class ToBytes(Delivery):
    cdef int deliver_slot(self, Inlet inlet, BufferRing pool, unsigned slot,
                          size_t size) except -1:
        cdef bytes data = bytes_of_slot(inlet, pool, slot, size)
        if inlet.held is not None or inlet.is_holding_back():
            return inlet.keep(data, None)
        inlet.call_or_fail(DATA_RECEIVED, data)
        return 0

    cdef int deliver(self, Inlet inlet, object data) except -1:
        inlet.call_or_fail(DATA_RECEIVED, bytes_of(data))
        return 0

    cdef bint make_space(self, Inlet inlet, Space *space) except -1:
        space.owner = PyBytes_New(NULL, SPACE_SIZE)
        space.memory = PyBytes_Start(space.owner)
        space.size = SPACE_SIZE
        return True

    cdef int deliver_space(self, Inlet inlet, Space *space, size_t size) except -1:
        inlet.call_or_fail(DATA_RECEIVED, bytes_of_space(space, size))
        return 0


cdef class ToNative(ToBytes):
    cdef int deliver_slot(self, Inlet inlet, BufferRing pool, unsigned slot,
                          size_t size) except -1:
        cdef bytes data = bytes_of_slot(inlet, pool, slot, size)
        if inlet.held is not None or inlet.is_holding_back():
            return inlet.keep(data, None)
        return give_to_receiver(inlet, data)

    cdef int deliver(self, Inlet inlet, object data) except -1:
        return give_to_receiver(inlet, bytes_of(data))

    cdef int deliver_space(self, Inlet inlet, Space *space, size_t size) except -1:
        return give_to_receiver(inlet, bytes_of_space(space, size))


cdef int give_to_receiver(Inlet inlet, bytes data) except -1:
    cdef Receiver receiver = None
    if inlet.protocol is not None:
        receiver = (<NativeProtocol> inlet.protocol).receiver
    if receiver is None:        # another transport of this protocol has lost its connection
        inlet.call_or_fail(DATA_RECEIVED, data)
        return 0
    try:
        receiver.receive(data)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        inlet.protocol_failed(error, DATA_RECEIVED)
    return 0


# ---- a buffered protocol's own memory --------------------------------------------------------

cdef class ToBuffers(Delivery):
    cdef int deliver_slot(self, Inlet inlet, BufferRing pool, unsigned slot,
                          size_t size) except -1:
        if inlet.is_keeping():
            return inlet.keep(bytes_of_slot(inlet, pool, slot, size), None)
        try:
            copy_into_buffers(inlet, pool.slot(slot), size)
        finally:
            pool.give(slot)
        return 0

    cdef int deliver(self, Inlet inlet, object data) except -1:
        cdef bytes copy = bytes_of(data)
        return copy_into_buffers(inlet, PyBytes_AS_STRING(copy), PyBytes_GET_SIZE(copy))

    cdef bint make_space(self, Inlet inlet, Space *space) except -1:
        protocol = inlet.protocol
        if not get_buffer(inlet, &space.buffer):
            return False
        if inlet.protocol is not protocol:
            PyBuffer_Release(&space.buffer)     # get_buffer() has set another one
            return False
        space.memory = <char *> space.buffer.buf
        space.size = space.buffer.len
        return True

    cdef int drop_space(self, Space *space) except -1:
        PyBuffer_Release(&space.buffer)
        return 0

    cdef int deliver_space(self, Inlet inlet, Space *space, size_t size) except -1:
        PyBuffer_Release(&space.buffer)     # the protocol may resize it now
        inlet.call_or_fail(BUFFER_UPDATED, size)
        return 0


cdef bint get_buffer(Inlet inlet, Py_buffer *buffer) except -1:
    """Ask the protocol for memory, as socket.recv_into takes it; False if that has failed."""
    try:
        offered = inlet.protocol_call(GET_BUFFER, -1)
        PyObject_GetBuffer(offered, buffer, PyBUF_WRITABLE)
        if buffer.len == 0:     # in bytes: four rows of nothing have a length of 4
            PyBuffer_Release(buffer)
            raise RuntimeError("get_buffer() returned an empty buffer")
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        inlet.fatal(error, "Fatal error: protocol.get_buffer() call failed.")
        return False
    return True


cdef int copy_into_buffers(Inlet inlet, const char *data, size_t size) except -1:
    """Copy bytes into the protocol's buffers, into as many as it takes."""
    cdef Py_buffer buffer
    cdef size_t count
    protocol = inlet.protocol
    while size and not inlet.is_closing_:
        if inlet.is_paused:
            return keep_rest(inlet, data, size)
        if inlet.protocol is not protocol:
            protocol = inlet.protocol
            if delivery_to(protocol, True) is not TO_BUFFERS:
                return inlet.deliver_rest(PyBytes_FromStringAndSize(data, size))
        try:
            if not get_buffer(inlet, &buffer):
                return 0
        except BaseException:
            keep_rest(inlet, data, size)
            raise
        if inlet.protocol is not protocol or inlet.is_paused or inlet.is_closing_:
            PyBuffer_Release(&buffer)       # get_buffer() has changed what is wanted
            continue
        count = min(<size_t> buffer.len, size)
        memcpy(buffer.buf, data, count)
        PyBuffer_Release(&buffer)           # the protocol may resize it now
        inlet.core.copied_bytes += count
        data += count
        size -= count
        try:
            if not inlet.call_or_fail(BUFFER_UPDATED, count):
                return 0
        except BaseException:
            keep_rest(inlet, data, size)
            raise
    return 0


cdef int keep_rest(Inlet inlet, const char *data, size_t size) except -1:
    """Hold what is left of a delivery that was left in the middle."""
    if size == 0 or inlet.is_closing_:
        return 0
    return inlet.put_back(PyBytes_FromStringAndSize(data, size))


# ---- lent memory -----------------------------------------------------------------------------

cdef class ToLeases(Delivery):
    def __cinit__(self):
        self.lends = True

    cdef int deliver_slot(self, Inlet inlet, BufferRing pool, unsigned slot,
                          size_t size) except -1:
        try:
            view = inlet.lender.lend_slot(pool, slot, 0, size)
        finally:
            pool.give(slot)
        if inlet.is_keeping():
            return inlet.keep(view, None)
        return deliver_view(inlet, view)

    cdef int deliver(self, Inlet inlet, object data) except -1:
        if type(data) is bytes:
            data = inlet.lender.copy(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        return deliver_view(inlet, data)

    cdef bint make_space(self, Inlet inlet, Space *space) except -1:
        """A fresh block; private memory if there is none."""
        cdef Lease lease = inlet.lender.take_some(SPACE_SIZE)
        cdef object owner
        if lease is not None:
            owner = lease
            space.memory = lease.data
            space.size = lease.size
        else:
            owner = PyByteArray_FromStringAndSize(NULL, PRIVATE_SIZE)
            space.memory = PyByteArray_AS_STRING(owner)
            space.size = PRIVATE_SIZE
        Py_INCREF(owner)
        space.owner = <PyObject *> owner
        return True

    cdef int deliver_space(self, Inlet inlet, Space *space, size_t size) except -1:
        cdef object owner = <object> space.owner
        PyObject_Release(space.owner)
        if type(owner) is not Lease:
            view = inlet.lender.starve(space.memory, size)
        elif size <= inlet.lender.copybreak:
            view = inlet.lender.copy(space.memory, size)
        else:
            view = inlet.lender.lend(<Lease> owner, size)
        owner = None
        return deliver_view(inlet, view)


cdef int deliver_view(Inlet inlet, object view) except -1:
    inlet.call_or_fail(BUFFER_RECEIVED, view)
    if inlet.lender.account.is_over():
        inlet.fell_behind()
    return 0


# ---- which of them ---------------------------------------------------------------------------

# One of each for the process, since they hold nothing.
cdef Delivery TO_BYTES = ToBytes.__new__(ToBytes)
cdef Delivery TO_NATIVE = ToNative.__new__(ToNative)
cdef Delivery TO_BUFFERS = ToBuffers.__new__(ToBuffers)
cdef Delivery TO_LEASES = ToLeases.__new__(ToLeases)


cdef Delivery delivery_to(object protocol, bint may_be_buffered):
    """The delivery that fits a protocol; asyncio's pipes know data_received() alone."""
    # TLS takes ciphertext as it comes, although asyncio's is a BufferedProtocol.
    if (may_be_buffered and isinstance(protocol, _BufferedProtocol)
            and not isinstance(protocol, TlsRecords)):
        return TO_BUFFERS
    if isinstance(protocol, _ZeroCopyProtocol):
        return TO_LEASES
    if isinstance(protocol, NativeProtocol) and (<NativeProtocol> protocol).receiver is not None:
        return TO_NATIVE
    return TO_BYTES


cdef Delivery delivery_to_nobody():
    """What a stream has before its protocol is set, when nothing is read."""
    return TO_BYTES


seal(ToNative)
seal(ToBytes)
seal(ToBuffers)
seal(ToLeases)
seal(Delivery)
