cdef bint hold_collector() noexcept
cdef void let_collector_go(bint is_held) noexcept
cdef int let_program_in() noexcept
cdef void program_left(int before) noexcept
