# A context of CPython, as CPython's own code sees it. `loop.contexts` checks the layout at import.

from cpython.object cimport PyObject

cdef extern from * nogil:
    """
    typedef struct { PyObject_HEAD PyObject *previous; PyObject *variables; } zc_context;
    #define zc_variables(context) (((zc_context *) (context))->variables)
    #define zc_current_context() (PyThreadState_Get()->context)
    """
    PyObject *variables_of "zc_variables"(PyObject *context)
    PyObject *current_context "zc_current_context"()
    # These take pointers, since Cython takes a reference of its own to pass an object on.
    Py_ssize_t references_to "Py_REFCNT"(PyObject *context)
    void incref "Py_INCREF"(PyObject *context)
    void decref "Py_DECREF"(PyObject *context)
