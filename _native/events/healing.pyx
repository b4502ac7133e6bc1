"""Looks every second whether a process has died that holds up what a channel's requests wait for.

A program that polls the channel is not woken by such a death. So while a request waits for
something that a dead process may hold, a timer of HEAL_MS is in flight: the channel's own request,
of which the program sees no event. When the timer ends, and the program asks for its next event,
`expired` heals what all operations in flight wait for, and begins another timer if there is need.
"""

from zcloop._native.events.event_request cimport make_event_request
from zcloop._native.kernel.sealed cimport seal
from zcloop._native.operation.operation cimport HEAL_MS

from zcloop._native.operation.request import timeout as _timeout


cdef Healing make_healing(SharedChannel channel):
    cdef Healing healing = Healing.__new__(Healing)
    healing.channel = channel
    return healing


cdef class Healing:
    cdef int watch(self, Operation operation) except -1:
        """Heal what it waits for, and see to it that this is done again, if a process may die
        holding that."""
        cdef EventRequest timer
        if operation.heal_words() and self.timer is None:
            timer = make_event_request("heal", None, _timeout(HEAL_MS / 1e3), None)
            timer.begin(0, False)
            try:
                self.channel.submit_all([timer.operation], False)
            except BaseException:
                timer.retract()
                raise
            self.timer = timer
        return 0

    cdef int expired(self) except -1:
        """The timer has ended: look at everything in flight."""
        self.timer.forget()
        self.timer = None
        for operation in list(self.channel.table.operations):
            if operation is not None:
                self.watch(<Operation> operation)
        return 0

    cdef bint is_alone(self) except -1:
        """Whether the timer's completion is the only one that is visible."""
        return (self.timer is not None and self.channel.ring.visible() == 1
                and self.channel.are_complete([self.timer.operation]))


seal(Healing)
