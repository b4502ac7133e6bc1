from zcloop._native.operation.request cimport Request


cdef class FileStatus(Request):
    pass
