"""Keeps the garbage collector, and the finalizers that it runs, out of native code (Python 3.11).

Up to Python 3.11 the collector may run in any allocation of an object that it tracks, and with it
any code of the program: a finalizer that closes, pauses or writes to the very transport that is
between a check and its act. From 3.12 on it runs between bytecodes only, and all of this is
nothing.

    held = hold_collector()         no collection from here on, unless it is held already
    before = let_program_in()       around each call into the program or the interpreter's own
    ...                             Python code, and wherever the GIL is let go of: as the program
    program_left(before)            has set the collector
    let_collector_go(held)

What native code allocates meanwhile still counts, so that the program's next allocation collects.
No other thread can run while the collector is held, for only Python code and a wait let the GIL go.
"""

cdef extern from *:
    """
    #if PY_VERSION_HEX < 0x030C0000
    #define zc_collects_in_allocations 1
    #define zc_stop_collector() PyGC_Disable()
    #define zc_start_collector() ((void) PyGC_Enable())
    #else
    #define zc_collects_in_allocations 0
    #define zc_stop_collector() 0
    #define zc_start_collector() ((void) 0)
    #endif
    """
    bint zc_collects_in_allocations
    bint zc_stop_collector()
    void zc_start_collector()

cdef enum:
    FREE
    HELD_OFF        # the program has the collector off
    HELD_ON

cdef int _state = FREE


cdef bint hold_collector() noexcept:
    """Whether this call holds it, and not one around it: what `let_collector_go` is given."""
    global _state
    if not zc_collects_in_allocations or _state != FREE:
        return False
    _state = HELD_ON if zc_stop_collector() else HELD_OFF
    return True


cdef void let_collector_go(bint is_held) noexcept:
    if is_held:
        let_program_in()


cdef int let_program_in() noexcept:
    """What `program_left` is given."""
    global _state
    cdef int before = _state
    if before != FREE:
        _state = FREE
        if before == HELD_ON:
            zc_start_collector()
    return before


cdef void program_left(int before) noexcept:
    """The program may have turned the collector on or off meanwhile: so it is from now on."""
    if before != FREE:
        hold_collector()
