"""To whom a received datagram goes: to the protocol at once, or to what is held during a pause.

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
                self.held = [(data[rest:min(rest + segment, size)], address)    # interrupted
                             for rest in range(start, size, segment)]
                self.core.call(self._deliver_held, (), None)
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
            if start < size and not self.is_closing_:       # interrupted
                self.held = [(data[rest:rest + segment], address)
                             for rest in range(start, size, segment)]
                self.core.call(self._deliver_held, (), None)
            if type(data) is memoryview:
                data.release()
        return 0

    cdef int hold_or_deliver(self, object data, object address) except -1:
        if self.held is not None:
            self.held.append((data, address))
            return 0
        if self.is_paused:
            self.held = [(data, address)]
            return 0
        return self.deliver(data, address)

    cdef int hold_or_deliver_error(self, int errno_) except -1:
        """A receive was refused: the protocol is told, unless it is of no interest to it."""
        if errno_ in (ECANCELED, EINTR, EAGAIN):
            return 0
        if self.held is not None:
            self.held.append(errno_)
        elif self.is_paused:
            self.held = [errno_]
        else:
            self.deliver_error(os_error(errno_, None))
        return 0

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

    def pause_reading(self):
        if self.is_closing_ or self.is_paused:
            return
        self.is_paused = True
        self.stop_reading()

    def resume_reading(self):
        if self.is_closing_ or not self.is_paused:
            return
        self.is_paused = False
        if self.held is not None:
            self.core.call(self._deliver_held, (), None)
        else:
            self.update_reading()

    def _deliver_held(self):
        """Hand over what arrived during a pause, oldest first, until paused again."""
        try:
            while self.held and not self.is_paused and not self.is_closing_:
                item = self.held[0]
                del self.held[0]
                if isinstance(item, tuple):
                    data, address = item
                    item = None
                    self.deliver(data, address)
                    data = None
                else:
                    self.deliver_error(os_error(item, None))
        finally:
            if self.is_closing_:
                self.drop_held()
            elif not self.held:
                self.held = None
            if not self.is_paused and not self.is_closing_:
                if self.held is not None:
                    self.core.call(self._deliver_held, (), None)    # interrupted
                else:
                    self.update_reading()


seal(DatagramDelivery)
