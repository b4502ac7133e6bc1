# Keeps the garbage collector out of native code; see the module.

cdef bint hold_collector() noexcept
cdef void let_collector_go(bint is_held) noexcept
cdef bint let_program_in() noexcept
cdef void program_left(bint was_held) noexcept
