# Bits of a word, counted by one instruction. The result for 0 is undefined.

cdef extern from * nogil:
    unsigned count_leading_zeros "__builtin_clzl"(unsigned long value)
    unsigned count_trailing_zeros "__builtin_ctz"(unsigned value)
