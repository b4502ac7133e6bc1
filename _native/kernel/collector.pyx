"""Keeps the garbage collector, and the finalizers that it runs, out of native code (Python 3.11).

Up to Python 3.11 the collector may run in any allocation of an object that it tracks, and with it
any code of the program: a finalizer that closes, pauses or writes to the very transport that is
between a check and its act. From Python 3.12 on the collector runs between bytecodes only, and
these functions do nothing.

    held = hold_collector()         there is no collection from here on
    before = let_program_in()       the collector is as the program has set it from here on: around
    ...                             each call into the program or into Python code of the
    program_left(before)            interpreter's own, and wherever the GIL is let go of
    let_collector_go(held)          the collector is again as the program has set it

What native code allocates meanwhile still counts, so that the program's next allocation collects.

Each thread holds for itself. The last one that lets go turns the collector on again, if it was on.
Some code of the program runs without being let in: the `__del__` of what native code lets go of, a
log handler. Another thread may come while it runs. If that thread's hold were taken for ours, the
collector would stay off for good.
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

cdef int _holders = 0               # threads that hold it
cdef bint _was_on = False           # the collector was on before the first of them


cdef bint hold_collector() noexcept:
    """Hold the collector. Returns what `let_collector_go` is to be given: whether it was this call
    that began to hold it, and not one around it."""
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
    """Let go of the collector while code of the program runs. Returns what `program_left` is to be
    given."""
    global _holders
    if not zc_collects_in_allocations or not zc_holds():
        return False
    zc_set_holds(False)
    _holders -= 1
    if _holders == 0 and _was_on:
        zc_start_collector()
    return True


cdef void program_left(bint was_held) noexcept:
    """Hold the collector again. If the program has turned it on or off meanwhile, that is how it
    will be after the hold."""
    if was_held:
        hold_collector()


def _after_fork_in_child():
    """Forget the holds of the parent's other threads, which are not in this process."""
    global _holders
    cdef bint is_ours = zc_holds()
    if _holders and not is_ours and _was_on:
        zc_start_collector()
    _holders = is_ours


os.register_at_fork(after_in_child=_after_fork_in_child)
