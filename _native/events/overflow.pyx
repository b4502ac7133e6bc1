"""What becomes of events beyond an event channel's bound: the kernel keeps them, and they follow
when there is room, or they are dropped.

The channel finds out how many there were when its own room is free again. Then an event of type
"overflow" has their number.
"""

from zcloop._native.events.event cimport make_event
from zcloop._native.events.event_request cimport EventRequest
from zcloop._native.kernel.sealed cimport seal
from zcloop._native.operation.operation cimport Operation


cdef Overflow make_overflow(SharedChannel channel, Healing healing, bint is_dropping):
    cdef Overflow overflow = Overflow.__new__(Overflow)
    overflow.channel = channel
    overflow.healing = healing
    overflow.is_dropping = is_dropping
    overflow.requests = []
    return overflow


cdef class Overflow:
    cdef Event surface(self, object source):
        """The channel's room is free: let in what was beyond the bound, or drop it.

        The "overflow" event, of `source`, when nothing is beyond the bound any more; else None.
        """
        self.beyond += self.channel.surface(None if self.healing.timer is None
                                            else self.healing.timer.operation)
        if self.is_dropping:
            self.drop_visible()
        if self.channel.is_overfull():
            return None
        beyond, self.beyond = self.beyond, 0
        return make_event("overflow", source, beyond, 0, None)

    cdef int drop_visible(self) except -1:
        cdef Operation operation = self.channel.reap_one()
        cdef EventRequest request
        while operation is not None:
            request = <EventRequest> operation.owner
            if request is self.healing.timer:
                self.healing.expired()
            else:
                operation.discard(self.channel.result, 0)
                request.forget()
                self.dropped += 1
                self.requests.append(request)
            operation = self.channel.reap_one()
        return 0


seal(Overflow)
