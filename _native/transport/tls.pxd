cdef class TlsRecords:
    # SSLProtocol reads and writes these under its own names. As fields they are found fast.
    cdef public object _state
    cdef public object _sslobj
    cdef public object _incoming        # ssl.MemoryBIO: ciphertext that was received
    cdef public object _outgoing        # ssl.MemoryBIO: ciphertext to be sent
    cdef public object _transport
    cdef public object _app_protocol
    cdef public object _write_backlog
    cdef public object _outgoing_high_water
    cdef public bint _app_protocol_is_buffer
    cdef public bint _app_reading_paused
    cdef public bint _app_writing_paused
    cdef public bint _ssl_reading_paused
    cdef public bint _ssl_writing_paused
    # Bound methods of the C object in the SSLObject; None until the handshake is done.
    cdef object read_record
    cdef object write_record
    cdef object count_pending

    cdef bint is_open(self) except -1
    cdef bint is_writable(self) except -1
    cdef int receive(self) except -1
    cdef tuple decrypt(self)
    cdef tuple decrypt_many(self, Py_ssize_t size)
    cdef tuple decrypt_into(self, char *memory, Py_ssize_t size)
    cdef Py_ssize_t encrypt(self, object data) except -1
    cdef Py_ssize_t encrypt_many(self, object data) except -1
