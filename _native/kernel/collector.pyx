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

Each thread holds for itself, and the last one that lets go turns the collector on again, if it was
on. For some code of the program runs without being let in (the `__del__` of what native code lets
go of, a log handler), and in it another thread may come: that one's hold must not be taken for
ours, or the collector would stay off for good.
"""

import os

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

    static __thread int zc_is_held;     /* by this thread */
    #define zc_holds() zc_is_held
    #define zc_set_holds(value) (zc_is_held = (value))
    """
    bint zc_collects_in_allocations
    bint zc_stop_collector()
    void zc_start_collector()
    bint zc_holds()
    void zc_set_holds(bint is_held)

cdef int _holders = 0               # threads
cdef bint _was_on = False           # before the first of them


cdef bint hold_collector() noexcept:
    """Whether this call holds it, and not one around it: what `let_collector_go` is given."""
    global _holders, _was_on
    if not zc_collects_in_allocations or zc_holds():
        return False
    zc_set_holds(True)
    if _holders == 0:
        _was_on = zc_stop_collector()
    _holders += 1
    return True


cdef void let_collector_go(bint is_held) noexcept:
    if is_held:
        let_program_in()


cdef bint let_program_in() noexcept:
    """What `program_left` is given."""
    global _holders
    if not zc_collects_in_allocations or not zc_holds():
        return False
    zc_set_holds(False)
    _holders -= 1
    if _holders == 0 and _was_on:
        zc_start_collector()
    return True


cdef void program_left(bint was_held) noexcept:
    """The program may have turned the collector on or off meanwhile: so it is from now on."""
    if was_held:
        hold_collector()


def _after_fork_in_child():
    """The parent's other threads are not here, and hold nothing any more."""
    global _holders
    cdef bint is_ours = zc_holds()
    if _holders and not is_ours and _was_on:
        zc_start_collector()
    _holders = is_ours


os.register_at_fork(after_in_child=_after_fork_in_child)
