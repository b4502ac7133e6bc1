# Functions of CPython's C API that Cython's `cpython` lacks, or in whose calls Cython counts
# references that need not be counted.

from cpython.buffer cimport Py_buffer
from cpython.object cimport PyObject, PyTypeObject

cdef extern from "Python.h":
    unsigned long PyThread_get_thread_ident()
    int PyObject_AsFileDescriptor(object source) except -1
    # With NULL for the exception: the nearest number that fits.
    Py_ssize_t PyNumber_AsSsize_t(object number, void *) except? -1
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL
    Py_ssize_t Py_REFCNT(object)
    PyTypeObject *Py_TYPE(object)

    object PyObject_Call(object callable, tuple args, dict kwargs)
    PyObject *PyObject_Vectorcall(PyObject *callable, PyObject **args, size_t count,
                                  PyObject *names)
    PyObject *PyObject_VectorcallMethod(object name, PyObject **args, size_t count, PyObject *names)

    # Contexts: first as objects, then as pointers. The last two report a failure by -1,
    # which a callback's handle looks at; to leave a context that one has entered does not fail.
    object PyContext_CopyCurrent()
    object PyContext_Copy(object context)
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1
    PyObject *copy_current_context "PyContext_CopyCurrent"() except NULL
    PyObject *copy_context "PyContext_Copy"(PyObject *context) except NULL
    int enter_context "PyContext_Enter"(PyObject *context)
    int leave_context "PyContext_Exit"(PyObject *context)

    # A bytes object that is still ours alone: made, filled, and cut to size.
    PyObject *PyBytes_New "PyBytes_FromStringAndSize"(const char *data, Py_ssize_t size) except NULL
    char *PyBytes_Start "PyBytes_AS_STRING"(PyObject *data)
    int _PyBytes_Resize(PyObject **data, Py_ssize_t size) except -1
    void PyObject_Release "Py_DECREF"(PyObject *)

    int PyMemoryView_Check(object value)
    object PyMemoryView_FromObject(object exporter)
    object PyMemoryView_GetContiguous(object data, int access, char order)
    Py_buffer *PyMemoryView_GET_BUFFER(object view)

    void PyErr_Fetch(PyObject **kind, PyObject **value, PyObject **traceback)
    void PyErr_Restore(PyObject *kind, PyObject *value, PyObject *traceback)

cdef inline int reraise() except -1:
    """Raise the exception that a call into C has set."""
    return -1

cdef extern from *:
    """
    /* The exporter of a view, NULL for raw memory. (Cython takes Py_buffer.obj for an object.) */
    static PyObject *zc_exporter(PyObject *view) { return PyMemoryView_GET_BUFFER(view)->obj; }
    /* The buffer that an exporter was asked for. Views made from one another share it. */
    static void *zc_export_of(PyObject *view) {
        return &((PyMemoryViewObject *) view)->mbuf->master;
    }
    /* Do what the end of the last of these views does, while some still exist: from now on these
       count as released. */
    static void zc_end_export(void *master) {
        _PyManagedBufferObject *managed = (_PyManagedBufferObject *)
            ((char *) master - offsetof(_PyManagedBufferObject, master));
        managed->flags |= _Py_MANAGED_BUFFER_RELEASED;
        PyObject_GC_UnTrack(managed);
        PyBuffer_Release(&managed->master);
    }
    """
    void end_export "zc_end_export"(void *export)
    PyObject *exporter "zc_exporter"(object view)
    void *export_of "zc_export_of"(object view)

cdef extern from *:
    """
    #define zc_has_weak_references(thing) \
        (*(PyObject **)((char *)(thing) + Py_TYPE(thing)->tp_weaklistoffset) != NULL)
    """
    bint has_weak_references "zc_has_weak_references"(object)

cdef extern from *:
    """
    #define zc_call(callback, args) PyObject_Vectorcall( \
        callback, ((PyTupleObject *)(args))->ob_item, PyTuple_GET_SIZE(args), NULL)
    #define zc_decref(o) Py_DECREF(o)
    #define zc_incref(o) Py_INCREF(o)
    #define zc_xdecref(o) Py_XDECREF(o)
    """
    PyObject *zc_call(PyObject *callback, PyObject *args)
    void zc_decref(PyObject *)
    void zc_incref(PyObject *)
    void zc_xdecref(PyObject *)

cdef extern from *:
    """
    #include <structmember.h>

    static PyObject **zc_slot_of(PyObject *instance, PyObject *member)
    {
        return (PyObject **) ((char *) instance
                              + ((PyMemberDescrObject *) member)->d_member->offset);
    }
    """
    PyObject **zc_slot_of(object instance, object member) noexcept
