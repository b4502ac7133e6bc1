"""The buffer rings that a ring over epoll was given, by their group's number.

The memory is laid out as the kernel has it (io_uring_register_buf_ring(3)): entries with the
address, size and number of a slot, and a tail that the program moves when it provides one. Here
zcloop takes the slots in the kernel's place, from `head` on.
"""

from libc.errno cimport ENOENT, ENOMEM


cdef int add_group(BufferGroups *where, const io_uring_buf_reg *asked) noexcept nogil:
    """0, or -ENOMEM when there are GROUPS_MAX already."""
    cdef BufferGroup *group
    cdef unsigned index
    for index in range(GROUPS_MAX):
        group = &where.groups[index]
        if not group.is_used:
            group.is_used = True
            group.id = asked.bgid
            group.entries = <char *> <size_t> asked.ring_addr
            group.mask = asked.ring_entries - 1
            group.head = 0
            return 0
    return -ENOMEM


cdef int remove_group(BufferGroups *where, uint16_t group) noexcept nogil:
    """0, or -ENOENT when there is none of that number."""
    cdef BufferGroup *found = find_group(where, group)
    if found == NULL:
        return -ENOENT
    found.is_used = False
    return 0
