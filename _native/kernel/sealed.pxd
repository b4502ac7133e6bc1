# Types that only native code makes.

# At the end of its module; it may have native subclasses, which are made as they say.
cdef int seal(type kind) except -1
