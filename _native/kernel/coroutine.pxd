# What makes an extension type a coroutine for `await`: two slots that Cython has no names for.

from cpython.object cimport PyObject

cdef extern from *:
    """
    #define ZC_RETURN PYGEN_RETURN
    #define ZC_NEXT PYGEN_NEXT

    /* End `tp_iternext` with a result, without making the exception yet. */
    static CYTHON_INLINE void zc_stop_with(PyObject *result)
    {
        PyErr_SetObject(PyExc_StopIteration, result);
    }

    /* `am_send`, which Python 3.11 and tasks prefer, brings a result without an exception. */
    static CYTHON_INLINE void zc_set_slots(PyObject *type, void *next, void *send)
    {
        ((PyTypeObject *) type)->tp_iternext = (iternextfunc) next;
        ((PyTypeObject *) type)->tp_as_async->am_send = (sendfunc) send;
        PyType_Modified((PyTypeObject *) type);
    }
    """
    enum:
        ZC_RETURN
        ZC_NEXT
    void zc_stop_with(object result) noexcept
    void zc_set_slots(object type, void *next, void *send) noexcept
