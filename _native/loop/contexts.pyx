"""The contexts that callbacks run in. Handles share them where nobody can tell the difference.

Each call_soon is promised a copy of the current context, and making the copy would be a third of
the cost of the call. The variables of a context are one immutable mapping. Copies that are made
while the mapping stays the same are alike until somebody sets a variable in one of them. So:

- Handles that are made meanwhile share one snapshot, which nobody enters while it is shared.
- They run one after another in a spare copy of it, until a callback has set a variable or has kept
  the context. Then there is a new spare copy.
- A snapshot that only one handle has is entered itself, without a copy, as asyncio's would be.

Whether the mapping is still the same is read from CPython's own structure. Where the structure is
not as this module knows it, each handle gets a copy of its own.
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
        """A new reference to a context with the current one's variables. It must not be entered."""
        cdef PyObject *current = current_context()
        cdef PyObject *latest = <PyObject *> self.latest
        if (self.latest is not None and current != NULL
                and variables_of(current) == variables_of(latest)):
            incref(latest)
            return latest
        latest = copy_current_context()
        if self.is_shared:
            # It ends when it is not the latest any more, since its end may call this again.
            before = self.latest
            self.latest = <object> latest
            before = None
        return latest

    cdef PyObject *enterable(self, PyObject *snapshot) noexcept:
        """A new reference to a context that its holder alone may enter, once, now.

        NULL if there is no memory; MemoryError is set then, and the caller handles it.
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
        """Let go of both contexts: what their variables hold must not outlive the callbacks."""
        if self.latest is None and self.spare is None:
            return
        latest = self.latest
        spare = self.spare
        self.latest = self.spare = None
        latest = spare = None


cdef PyObject *private_copy(PyObject *snapshot) except NULL:
    """A new reference to a context that only the holder of this reference to the snapshot has.

    A copy is an allocation, which may run code that gives the caller's own reference back. So the
    snapshot is held meanwhile.
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
