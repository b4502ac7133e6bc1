from libc.stdint cimport uint64_t

from zcloop._native.kernel.export cimport Export
from zcloop._native.kernel.uring cimport io_uring_sqe
from zcloop._native.memory.region cimport Region
from zcloop._native.operation.operation cimport Operation
from zcloop._native.kernel.uio cimport iovec


cdef class Request(Operation):
    cdef io_uring_sqe sqe           # as it will be submitted; the channel adds the user_data
    cdef Export export              # what the kernel reads or writes, kept until the end
    cdef bint has_view              # `export` is one
    cdef list views                 # of a vectored request: the memoryviews of its pieces
    cdef iovec *vector              # the same, as the kernel reads them
    cdef object kept                # what else must stay in memory: a path, a structure
    cdef object file                # the file whose fd it uses, not closed before the end

    cdef Region region(self)
    cdef void use_pin(self, int pin) noexcept
    cdef int set_memory(self, object buffer, bint is_written) except -1
    cdef int set_pieces(self, object buffers, bint is_written) except -1

cdef Request make_request(int opcode, int fd)
cdef Request make_cancel(uint64_t token)
