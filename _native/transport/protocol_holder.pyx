"""A descriptor with a transport object and a protocol above it, and how these are called.

A protocol's methods run in the transport's context. While code of the program runs, the garbage
collector is as the program has set it (`let_program_in`).
"""

cimport cython
from cpython.object cimport PyObject

from asyncio.log import logger

from zcloop._native.kernel.collector cimport let_program_in, program_left
from zcloop._native.kernel.cpython cimport (
    PyContext_CopyCurrent, PyContext_Enter, leave_context, PyObject_Release,
    PyObject_VectorcallMethod, reraise,
)
from zcloop._native.kernel.sealed cimport seal


cdef object owned(PyObject *result):
    """What a call into the program has returned; NULL stands for the exception that it has set."""
    if result == NULL:
        reraise()
    answer = <object> result
    PyObject_Release(result)
    return answer


cdef inline object call_protocol(ProtocolHolder holder, object name, object argument):
    """holder.protocol.name(argument), or name() for None, in the transport's context.

    This is called for each message, from two methods, neither of which costs a call more for it.
    """
    cdef PyObject *result
    cdef PyObject *arguments[2]
    cdef object context = holder.context
    cdef object protocol = holder.protocol
    cdef double start = holder.core.time_of_debug()
    cdef bint before
    arguments[0] = <PyObject *> protocol
    arguments[1] = <PyObject *> argument
    PyContext_Enter(context)    # raises if the program gave a context, and has entered it
    before = let_program_in()
    result = PyObject_VectorcallMethod(name, arguments, 1 if argument is None else 2, NULL)
    leave_context(<PyObject *> context)
    try:
        answer = owned(result)
    finally:
        try:
            if start:
                holder.core.log_if_slow(start, protocol, name)
        finally:
            program_left(before)
    return answer


@cython.no_gc_clear     # as of a Descriptor
cdef class ProtocolHolder(Descriptor):
    def attach(self, face, protocol, socket=None, context=None):
        """Set who is above: the transport object `face`, and the protocol.

        The protocol is called in `context`. Without one it is called in a copy of the current
        context, in which the protocol's factory may have set variables. A `socket` that is given
        owns the fd from here on.
        """
        if socket is not None:
            self.socket = socket
            self.owns_fd = False
        self.face = face
        self.context = PyContext_CopyCurrent() if context is None else context
        self.set_protocol(protocol)
        self.enter_table()

    def set_protocol(self, protocol):
        self.protocol = protocol

    # ---- calls of the protocol ---------------------------------------------------------------

    cdef object protocol_call(self, object name, object argument):
        """protocol.name(argument), or name() for None, in the transport's context."""
        return call_protocol(self, name, argument)

    cdef object protocol_call_two(self, object name, object one, object two):
        """protocol.name(one, two), in the transport's context."""
        cdef PyObject *result
        cdef PyObject *arguments[3]
        cdef object context = self.context
        cdef object protocol = self.protocol
        cdef bint before
        arguments[0] = <PyObject *> protocol
        arguments[1] = <PyObject *> one
        arguments[2] = <PyObject *> two
        PyContext_Enter(context)
        before = let_program_in()
        result = PyObject_VectorcallMethod(name, arguments, 3, NULL)
        leave_context(<PyObject *> context)
        program_left(before)
        return owned(result)

    cdef bint call_or_report(self, object name, object argument, str message) except -1:
        """Call as `protocol_call` does, and report under `message` what the method raises.

        True if it raised nothing. SystemExit and KeyboardInterrupt go on: they end the run.
        """
        try:
            self.protocol_call(name, argument)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self.report(message, error)
            return False
        return True

    cdef bint call_or_fail(self, object name, object argument) except -1:
        """Call as `protocol_call` does, and give `protocol_failed` what the method raises.

        True if it raised nothing. SystemExit and KeyboardInterrupt go on: they end the run.
        """
        try:
            call_protocol(self, name, argument)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self.protocol_failed(error, name)
            return False
        return True

    cdef int protocol_failed(self, object error, str name) except -1:
        self.report(f"Exception in protocol.{name}()", error)
        return 0

    # ---- reports -----------------------------------------------------------------------------

    cdef object report(self, str message, object error):
        """Give the exception to the loop's exception handler."""
        cdef bint before = let_program_in()
        try:
            self.core.call_exception_handler({
                "message": message,
                "exception": error,
                "transport": self.face,
                "protocol": self.protocol,
            })
        finally:
            program_left(before)

    cdef int log(self, str message) except -1:
        """In debug mode, log a message that has one %r, for the transport object."""
        cdef bint before
        if self.core._debug:
            before = let_program_in()
            try:
                logger.debug(message, self.face)
            finally:
                program_left(before)
        return 0

    cdef int log_expected(self, str message, object error) except -1:
        """Log an exception that is no mistake of the program's, with its traceback."""
        cdef bint before = let_program_in()
        try:
            logger.debug("%r: %s", self.face, message, exc_info=error)
        finally:
            program_left(before)
        return 0


seal(ProtocolHolder)
