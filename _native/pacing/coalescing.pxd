from libc.stdint cimport int64_t, uint64_t


cdef class Coalescing:
    cdef unsigned limit_us              # no sleep is shorter while there are flows; 0 is off
    cdef unsigned flows                 # that have joined in this epoch
    cdef uint64_t epoch                 # from 1 on
    cdef uint64_t judgement             # each sleep is one, or several short ones together
    cdef unsigned fruitful              # flows that have brought something since it began
    cdef int64_t then_ns                # when it began
    cdef readonly uint64_t sleeps       # that were made longer

    cdef uint64_t join(self) noexcept
    cdef void end(self) noexcept
    cdef void judge_anew(self, int64_t now) noexcept
    cdef bint is_worth_it(self) noexcept
