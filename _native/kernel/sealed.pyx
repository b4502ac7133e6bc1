"""Types that only native code makes. For Python each call of one is a TypeError, and it cannot be
derived from. Without what its maker sets, such an object is half made, and its methods would read
what is not there.

Nothing is checked where native code makes one: there `X.__new__(X)` calls the type's own tp_new,
which is left in place. Python comes by the type's call, by `__new__` or by a subclass of its own,
and each of these ways is closed. (object.__new__ refuses types that have a function of their own.)

Rejected: a private token for `__cinit__`, as each of these types would need arguments, on the
hottest paths. Also rejected: to clear the type's own tp_new, since Cython uses it to make objects
of types from other modules.
"""

cdef extern from *:
    """
    static PyObject *zc_refuse(PyTypeObject *type)
    {
        PyErr_Format(PyExc_TypeError, "'%.200s' objects are made by zcloop alone", type->tp_name);
        return NULL;
    }

    static PyObject *zc_refuse_call(PyObject *type, PyObject *const *arguments, size_t count,
                                    PyObject *names)
    {
        return zc_refuse((PyTypeObject *) type);
    }

    /* Is called by type.__call__. Native subclasses inherit it, and are made all the same. */
    static int zc_refuse_init(PyObject *self, PyObject *arguments, PyObject *names)
    {
        if (Py_TYPE(self)->tp_vectorcall != zc_refuse_call)
            return 0;
        zc_refuse(Py_TYPE(self));
        return -1;
    }

    static int zc_seal(PyObject *kind)
    {
        PyTypeObject *type = (PyTypeObject *) kind;
        if (PyDict_DelItemString(type->tp_dict, "__new__") < 0)
            return -1;
        type->tp_vectorcall = zc_refuse_call;
        type->tp_init = zc_refuse_init;
        type->tp_flags &= ~Py_TPFLAGS_BASETYPE;
        PyType_Modified(type);
        return 0;
    }
    """
    int zc_seal(object kind) except -1


cdef int seal(type kind) except -1:
    return zc_seal(kind)
