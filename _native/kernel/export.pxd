# What an object exports to us (PEP 3118), as the collector must not see it. Of a field that is a
# Py_buffer Cython shows the exporter to the collector, which then forgets it in a cycle without
# PyBuffer_Release: the exporter would stay exported for good. It may also take a memoryview apart
# that is exported still. So an exporter is kept as by anything that the collector does not know.

cdef extern from *:
    """
    typedef struct { Py_buffer view; } zc_export;
    """
    ctypedef struct Export "zc_export":
        Py_buffer view
