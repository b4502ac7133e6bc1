from cpython.object cimport PyObject


cdef class Contexts:
    cdef public bint is_shared      # whether handles may have the same snapshot
    cdef object latest      # the last that `snapshot` gave; nobody has entered it
    cdef object spare       # a copy of a shared snapshot, which one handle at a time enters

    cdef PyObject *snapshot(self) except NULL
    cdef PyObject *enterable(self, PyObject *snapshot) noexcept
    cdef void forget(self) noexcept

cdef PyObject *private_copy(PyObject *snapshot) except NULL
