"""A slot of a transport's face that is filled when it is first read.

It then holds the bound method of its name of the native half. To read it costs what a plain slot
does, and a connection that never writes has no bound method.

Rejected: `__getattr__`, which makes every other attribute slower, too.
"""

from cpython.object cimport PyObject

from types import MemberDescriptorType

from zcloop._native.kernel.cpython cimport zc_slot_of


cdef class LazySlot:
    """Stands in the place of the member that `__slots__` has made; `_stream` has the method."""

    cdef object member
    cdef type owner
    cdef str name

    def __init__(self, slot):
        if type(slot) is not MemberDescriptorType:
            raise TypeError(f"{slot!r} is no slot")
        self.member = slot
        self.owner = slot.__objclass__
        self.name = slot.__name__

    def __get__(self, instance, owner):
        if instance is None:
            return self
        cdef PyObject *found = NULL
        if isinstance(instance, self.owner):
            found = zc_slot_of(instance, self.member)[0]
        if found != NULL:
            return <object> found
        method = getattr(instance._stream, self.name)
        self.member.__set__(instance, method)
        return method

    def __set__(self, instance, value):
        self.member.__set__(instance, value)

    def __delete__(self, instance):
        self.member.__delete__(instance)
