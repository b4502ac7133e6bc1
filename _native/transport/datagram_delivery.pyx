"""To whom a received datagram goes: to the protocol at once, or to what is held for it (`Inlet`).

    the protocol                    it gets
    a DatagramProtocol              bytes
    a ZeroCopyDatagramProtocol      a view, of a lease or of a copy

What is held was received for the protocol of that moment, so `deliver` looks again at what it has
and at who is to get it. An exception of the protocol is reported, as of any callback, and the
endpoint goes on. An interrupt (SystemExit, KeyboardInterrupt) ends the run of the loop, and what
came with the interrupted datagram is delivered in the next one.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.errno cimport EAGAIN, EINTR

from zcloop._native.kernel.errors cimport ECANCELED, os_error
from zcloop._native.kernel.sealed cimport seal
from zcloop._native.transport.held cimport HELD_ERROR


@cython.no_gc_clear     # its fd goes with it, which needs the core
cdef class DatagramDelivery(DatagramSender):
    cdef int deliver_segments(self, const char *data, Py_ssize_t size, Py_ssize_t segment,
                              object address) except -1:
        """Deliver copies of the datagrams in one slot, which is ours meanwhile, unless the process
        forks."""
        cdef Py_ssize_t start = 0
        cdef Py_ssize_t end
        try:
            while start < size and not self.is_closing_ and not self.channel.is_forked:
                end = min(start + segment, size)
                piece = PyBytes_FromStringAndSize(data + start, end - start)
                start = end
                self.hold_or_deliver(piece, address)
                piece = None
        finally:
            if start < size and not self.is_closing_ and not self.channel.is_forked:
                while start < size:     # an exception ended the delivery
                    end = min(start + segment, size)
                    self.keep(PyBytes_FromStringAndSize(data + start, end - start), address)
                    start = end
                self.want_delivery()
        return 0

    cdef int deliver_views(self, object data, Py_ssize_t segment, object address) except -1:
        """Deliver the datagrams of one buffer, as slices of its view."""
        cdef Py_ssize_t size = len(data)
        cdef Py_ssize_t start = 0
        try:
            while start < size and not self.is_closing_:
                start += segment
                self.hold_or_deliver(data[start - segment:start], address)
        finally:
            if start < size and not self.is_closing_:       # an exception ended the delivery
                while start < size:
                    self.keep(data[start:start + segment], address)
                    start += segment
                self.want_delivery()
            if type(data) is memoryview:
                data.release()
        return 0

    cdef int hold_or_deliver(self, object data, object address) except -1:
        if self.is_keeping():
            return self.keep(data, address)
        return self.deliver(data, address)

    cdef int hold_or_deliver_error(self, int errno_) except -1:
        """A receive was refused: the protocol is told, unless it is of no interest to it."""
        if errno_ in (ECANCELED, EINTR, EAGAIN):
            return 0
        if self.is_keeping():
            return self.keep_error(errno_)
        return self.deliver_error(os_error(errno_, None))

    cdef int deliver(self, object data, object address) except -1:
        if self.is_lending:
            if type(data) is not memoryview:
                data = memoryview(bytearray(data))      # held since before set_protocol
        elif type(data) is memoryview:
            view, data = data, bytes(data)
            view.release()
        try:
            self.protocol_call_two("datagram_buffer_received" if self.is_lending
                                   else "datagram_received", data, address)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self.report("Exception in the protocol's call for a datagram" if self.is_lending
                        else "Exception in protocol.datagram_received()", error)
        data = None
        if self.is_lending and self.lender.account.is_over():
            self.pause_if_over_quota()
        return 0

    cdef int deliver_item(self, HeldItem item) except -1:
        if item.kind == HELD_ERROR:
            return self.deliver_error(os_error(item.errno_, None))
        return self.deliver(item.data, item.address)


seal(DatagramDelivery)
