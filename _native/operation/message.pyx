"""What a socket is asked for with a struct msghdr: an address, several pieces, ancillary data."""

import struct

from libc.stdint cimport uint32_t
from libc.string cimport memset
from posix.unistd cimport close as close_fd

from zcloop._native.kernel.address cimport address_of, family_of, sockaddr_storage
from zcloop._native.kernel.control cimport (
    CMSG_DATA, CMSG_FIRSTHDR, CMSG_LEN, CMSG_NXTHDR, CMSG_SPACE, MSG_CMSG_CLOEXEC, SCM_RIGHTS,
    SOL_SOCKET, cmsghdr,
)
from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.socket cimport MSG_NOSIGNAL
from zcloop._native.kernel.uring cimport OP_RECVMSG, OP_SENDMSG

from zcloop._native.kernel.address import encode_address

# Bytes: what Python's socket module allows, and far above what any kernel sends.
cdef size_t ANCILLARY_MAX = 0x7FFFFFFF


cdef Message make_message(int opcode, int fd, buffers, bint is_written, int flags):
    cdef Message message = Message.__new__(Message)
    message.fd = fd
    message.sqe.opcode = opcode
    message.sqe.fd = fd
    message.set_pieces(buffers, is_written)
    message.header.msg_iov = message.vector
    message.header.msg_iovlen = len(message.views)
    message.sqe.addr = <size_t> &message.header
    message.sqe.len = 1
    message.sqe.msg_flags = flags | (MSG_CMSG_CLOEXEC if is_written else MSG_NOSIGNAL)
    if is_written:
        message.header.msg_name = message.name
        message.header.msg_namelen = sizeof(message.name)
    return message


cdef class Message(Request):
    def __cinit__(self):
        memset(&self.header, 0, sizeof(self.header))

    cdef int set_name(self, object address) except -1:
        """Send to this address, numeric and of the socket's family."""
        cdef bytes raw = encode_address(family_of(self.fd), address)
        self.kept = raw
        self.header.msg_name = <char *> raw
        self.header.msg_namelen = <unsigned> len(raw)
        return 0

    cdef object outcome(self, int result):
        if self.sqe.opcode == OP_SENDMSG:
            return result
        address = address_of(<sockaddr_storage *> <void *> self.name, self.header.msg_namelen)
        if self.is_whole:
            # The kernel returns this flag, which zcloop has set and not the program.
            flags = self.header.msg_flags & ~MSG_CMSG_CLOEXEC
            return result, self.ancillary(), flags, address
        return result, address

    cdef list ancillary(self):
        """What came along: (level, type, data) for each control message."""
        cdef cmsghdr *one = CMSG_FIRSTHDR(&self.header)
        cdef list found = []
        while one != NULL:
            if one.cmsg_len < CMSG_LEN(0):
                break
            data = (<char *> CMSG_DATA(one))[:one.cmsg_len - CMSG_LEN(0)]
            found.append((one.cmsg_level, one.cmsg_type, data))
            one = CMSG_NXTHDR(&self.header, one)
        return found

    cdef void discard(self, int result, uint32_t flags) noexcept:
        """Close the descriptors that came along, which nobody else knows."""
        cdef cmsghdr *one
        cdef int *fds
        cdef size_t index
        if self.sqe.opcode != OP_RECVMSG or result < 0:
            return
        one = CMSG_FIRSTHDR(&self.header)
        while one != NULL and one.cmsg_len >= CMSG_LEN(0):
            if one.cmsg_level == SOL_SOCKET and one.cmsg_type == SCM_RIGHTS:
                fds = <int *> CMSG_DATA(one)
                for index in range((one.cmsg_len - CMSG_LEN(0)) // sizeof(int)):
                    close_fd(fds[index])
            one = CMSG_NXTHDR(&self.header, one)


cdef bytes control_of(messages):
    """Ancillary data as the kernel takes it: control messages, each padded to CMSG_SPACE."""
    pieces = []
    for level, kind, data in messages:
        body = bytes(memoryview(data))
        head = struct.pack("@Nii", CMSG_LEN(len(body)), level, kind)
        pieces.append((head + body).ljust(CMSG_SPACE(len(body)), b"\0"))
    return b"".join(pieces)


def recvfrom(int fd, buffer, int flags=0):
    """Receive into a writable buffer. The outcome is (count, address)."""
    return make_message(OP_RECVMSG, fd, (buffer,), True, flags)


def recvmsg(int fd, buffers, ancillary_size=0, int flags=0):
    """Receive into several writable buffers, one after another. The outcome is that of
    socket.recvmsg_into. Descriptors that come along are close-on-exec."""
    if not 0 <= ancillary_size <= ANCILLARY_MAX:
        raise ValueError(f"room for {ancillary_size} bytes of ancillary data: 0 to "
                         f"{ANCILLARY_MAX} are possible")
    cdef Message message = make_message(OP_RECVMSG, fd, buffers, True, flags)
    cdef bytearray control = bytearray(ancillary_size)
    message.is_whole = True
    message.control = control
    message.header.msg_control = <char *> control if control else NULL
    message.header.msg_controllen = len(control)
    return message


def sendto(int fd, buffer, address, int flags=0):
    """Send a buffer, which must not change meanwhile, to a numeric address."""
    cdef Message message = make_message(OP_SENDMSG, fd, (buffer,), False, flags)
    message.set_name(address)
    return message


def sendmsg(int fd, buffers, ancillary=(), int flags=0, address=None):
    """Send several buffers, one after another, which must not change meanwhile, with ancillary data
    as socket.sendmsg takes it."""
    cdef Message message = make_message(OP_SENDMSG, fd, buffers, False, flags)
    cdef bytes control = control_of(ancillary)
    message.control = control
    message.header.msg_control = <char *> control if control else NULL
    message.header.msg_controllen = len(control)
    if address is not None:
        message.set_name(address)
    return message


seal(Message)
