from cpython.object cimport PyObject


cdef class Contexts:
    cdef public bint is_shared      # whether handles may have the same snapshot
    cdef object latest      # what `snapshot` gave last; nobody has entered it
    cdef object spare       # a copy of a snapshot that several have, for one of them at a time

    cdef PyObject *snapshot(self) except NULL
    cdef PyObject *enterable(self, PyObject *snapshot) noexcept
    cdef void forget(self) noexcept

cdef PyObject *private_copy(PyObject *snapshot) except NULL
