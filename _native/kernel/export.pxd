# A buffer that an object exports to us (PEP 3118), hidden from the collector.
#
# Cython shows the exporter in a field of the type Py_buffer to the collector. In a cycle that then
# forgets it without PyBuffer_Release, and the exporter stays exported for good. It may also clear a
# memoryview that is still exported. A struct with the Py_buffer in it is not shown.

cdef extern from *:
    """
    typedef struct { Py_buffer view; } zc_export;
    """
    ctypedef struct Export "zc_export":
        Py_buffer view
