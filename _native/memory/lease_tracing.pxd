# Which views were collected and not released, while that is traced.

cdef tuple trace_of(object view, str place)
cdef void report_unless_released(tuple trace, void *export) noexcept
