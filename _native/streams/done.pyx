"""A coroutine that ends with None as soon as it is awaited. One object serves all."""

cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF

from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.coroutine cimport ZC_RETURN, zc_set_slots


@cython.final
cdef class Done:
    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __reduce__(self):
        raise TypeError("cannot pickle 'Done' object")

    def __next__(self):
        raise StopIteration

    def send(self, value):
        """End."""
        raise StopIteration

    def throw(self, kind, value=None, traceback=None):
        """End with an exception."""
        if value is None:
            value = kind if isinstance(kind, BaseException) else kind()
        if traceback is not None:
            value = value.with_traceback(traceback)
        raise value

    def close(self):
        """End."""


cdef PyObject *_next(PyObject *done) noexcept:
    return NULL     # without an exception: an end with None


cdef int _send(PyObject *done, PyObject *value, PyObject **result) noexcept:
    Py_INCREF(None)
    result[0] = <PyObject *> None
    return ZC_RETURN


zc_set_slots(Done, <void *> _next, <void *> _send)
DONE = Done()       # the only one
seal(Done)
