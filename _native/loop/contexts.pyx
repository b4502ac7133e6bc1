"""The contexts that callbacks run in, of which most are never told from one another.

Each call_soon is promised a copy of the current context, and a copy is a third of its cost. The
variables of a context are one immutable mapping, so copies made while it stays the same are alike
until somebody sets a variable in one. Handles made meanwhile share one snapshot, which nobody
enters; they run one after another in a spare copy of it, until a callback has set a variable, or
has kept the context. A snapshot that only one handle has is its own, as asyncio's.

Whether the mapping is still the same is asked of CPython's own structure; where that is not as
this module knows it, each handle gets a copy of its own.
"""

import contextvars

from cpython.object cimport PyObject

from zcloop._native.kernel.contexts cimport (
    current_context, decref, incref, references_to, variables_of,
)
from zcloop._native.kernel.cpython cimport copy_context, copy_current_context


cdef bint is_layout_known() except -1:
    """Whether contexts have their mapping where `variables_of` looks."""
    context = contextvars.Context()
    if context.__sizeof__() < <Py_ssize_t> (4 * sizeof(PyObject *)):
        return False
    copy = context.copy()
    cdef PyObject *mapping = variables_of(<PyObject *> context)
    if mapping == NULL or mapping != variables_of(<PyObject *> copy):
        return False
    if type(<object> mapping).__name__ != "hamt":
        return False
    context.run(contextvars.ContextVar("zcloop").set, None)
    if variables_of(<PyObject *> context) == mapping:
        return False
    copy = context.copy()
    return variables_of(<PyObject *> context) == variables_of(<PyObject *> copy)


cdef bint _is_layout_known = is_layout_known()


cdef class Contexts:
    def __cinit__(self):
        self.is_shared = _is_layout_known

    cdef PyObject *snapshot(self) except NULL:
        """A new reference to a context with what the current one has now; not to be entered."""
        cdef PyObject *current = current_context()
        cdef PyObject *latest = <PyObject *> self.latest
        if (self.latest is not None and current != NULL
                and variables_of(current) == variables_of(latest)):
            incref(latest)
            return latest
        latest = copy_current_context()
        if self.is_shared:
            before = self.latest        # ends when it is no longer there: that may call us again
            self.latest = <object> latest
            before = None
        return latest

    cdef PyObject *enterable(self, PyObject *snapshot) noexcept:
        """A new reference to a context that its holder alone may enter, once, now.

        NULL with MemoryError set, which is for the caller to see to.
        """
        cdef PyObject *spare = <PyObject *> self.spare
        if references_to(snapshot) == 1:
            incref(snapshot)
            return snapshot
        if (self.spare is not None and references_to(spare) == 1
                and variables_of(spare) == variables_of(snapshot)):
            incref(spare)
            return spare
        spare = copy_context(snapshot)
        if spare == NULL:
            return NULL
        before = self.spare
        self.spare = <object> spare
        before = None
        return spare

    cdef void forget(self) noexcept:
        """What nobody else has is not to outlive the callbacks that came by it."""
        if self.latest is None and self.spare is None:
            return
        latest = self.latest
        spare = self.spare
        self.latest = self.spare = None
        latest = spare = None


cdef PyObject *private_copy(PyObject *snapshot) except NULL:
    """A new reference to a context that nobody has but who has this reference to the snapshot.

    To copy is to allocate, and may run code that gives the caller's own reference back.
    """
    cdef PyObject *copy
    incref(snapshot)
    if references_to(snapshot) == 2:
        return snapshot
    copy = copy_context(snapshot)
    decref(snapshot)
    if copy == NULL:
        raise MemoryError("context")
    return copy
