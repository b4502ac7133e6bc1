"""Which views were collected and not released, while that is traced (`trace_leases`).

A lease that is traced has a trace: a weak reference to the view that a protocol was given, and the
place that received it. When the last view of the lease ends, the trace tells by which way. A view
whose `release()` runs, or whose `with` ends, is still alive then. One that is being collected is
not: its weak references are dead already.
"""

import gc
import warnings
import weakref

from cpython.object cimport PyObject

from zcloop._native.kernel.cpython cimport (
    PyErr_Fetch, PyErr_Restore, PyMemoryView_Check, export_of,
)


cdef tuple trace_of(object view, str place):
    return weakref.ref(view), place


cdef void report_unless_released(tuple trace, void *export) noexcept:
    """Warn if a view was collected. It runs while the last view of an export ends, which may be
    when an exception is on its way through the frame that had the view; that is kept."""
    cdef PyObject *kind
    cdef PyObject *value
    cdef PyObject *traceback
    PyErr_Fetch(&kind, &value, &traceback)
    report_collected(trace, export)
    PyErr_Restore(kind, value, traceback)


cdef void report_collected(tuple trace, void *export) noexcept:
    # The view that is alive while its release() runs may be a slice of the first one. Such a view
    # is found by looking through all objects, which only happens before a warning, or for a slice.
    if trace[0]() is not None or any([PyMemoryView_Check(item) and export_of(item) == export
                                      for item in gc.get_objects()]):
        return
    warnings.warn(f"a lease received by {trace[1]} was collected, not released: call its view's "
                  "release(), or use it in a `with`", ResourceWarning, source=None)
