"""What an event channel tells a program: the end of one request, or what the program posted."""

import os

cimport cython

from zcloop._native.kernel.errors cimport os_error


cdef Event make_event(object type_, object source, object result, int error, object data):
    cdef Event event = Event.__new__(Event)
    event.type = type_
    event.source = source
    event.result = result
    event.error = error
    event.data = data
    return event


@cython.final
@cython.freelist(64)
cdef class Event:
    """One thing that happened. Every event has these five fields; they cannot be set.

    type    what was asked for, such as "recv"; "post" and "overflow" are the channel's own
    source  what it was asked of: the socket, fd, path or other object that was given
    result  the outcome: a count, an fd, (count, address) ...; None when it failed
    errno   0, or the number of the error
    data    what was passed along with the request
    """

    __match_args__ = ("type", "source", "result", "errno", "data")

    def __init__(self, type, source=None, result=None, int errno=0, data=None):
        self.type = type
        self.source = source
        self.result = result
        self.error = errno
        self.data = data

    @property
    def errno(self):
        """0, or the number of the error."""
        return self.error

    def __repr__(self):
        shown = f"errno={self.error} ({os.strerror(self.error)})" if self.error else (
            f"result={self.result!r}")
        return f"<Event {self.type} of {self.source!r}: {shown}, data={self.data!r}>"

    def check(self):
        """The result. If the request failed, the OSError is raised."""
        if self.error:
            raise os_error(self.error, f"{self.type} of {self.source!r}")
        return self.result
