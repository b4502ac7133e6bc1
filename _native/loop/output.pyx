"""Who has written in this turn and pushes at its end.

A client that lets the kernel hold back its last segment, or that gathers datagrams, joins the list
once a turn. When the callbacks of the turn have run, `flush` lets each client push what it has.
"""


cdef class Output:
    def __cinit__(self):
        self.clients = []

    cdef int add(self, Client client) except -1:
        """Have `client.flush()` called at the end of this turn, once."""
        if not client.is_flush_wanted:
            client.is_flush_wanted = True
            self.clients.append(client)
        return 0

    cdef int flush(self) except -1:
        """The turn is over: let every client in the list push what it has written."""
        # Allocated first: an allocation may run code that writes, and its client is in the list
        # that is taken next.
        cdef list empty = []
        cdef list clients = self.clients
        cdef Py_ssize_t count = len(clients)
        cdef Py_ssize_t done = 0
        cdef Client client
        self.clients = empty
        try:
            while done < count:
                client = <Client> clients[done]
                done += 1
                client.is_flush_wanted = False
                client.flush()
        finally:
            while done < count:     # an exception came through: the others push next time
                client = <Client> clients[done]
                done += 1
                client.is_flush_wanted = False
                self.add(client)
        return 0
