# Types that only native code makes. The module of such a type calls this at its end. It may have
# native subclasses, and each of these says for itself how it is made.
cdef int seal(type kind) except -1
