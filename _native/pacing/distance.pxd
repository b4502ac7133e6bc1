# How long a controller waits from the end of one trial to the next: see `pacing/__init__.py`.

from libc.stdint cimport int64_t


cdef inline int64_t next_distance(int64_t distance, bint is_worthwhile, int64_t shortest,
                                  int64_t longest) noexcept nogil:
    """The shortest distance after a trial that was worth it. After one in vain it is twice as long
    as before, and at most the longest."""
    return shortest if is_worthwhile else min(2 * distance, longest)
