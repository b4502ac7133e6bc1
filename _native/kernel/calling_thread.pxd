# A thread without Python that makes one blocking call, and can be called out of it.

from zcloop._native.kernel.pthread cimport pthread_t

# Makes the call: its result, or -errno. After -EINTR it is made again, unless nobody wants it.
ctypedef int (*Work)(void *argument) noexcept nogil
ctypedef void *(*Run)(void *argument) noexcept nogil

# What the two threads share. `result` is the thread's until that was joined.
cdef struct Call:
    Work work
    void *argument      # what `work` is given
    pthread_t thread
    int event_fd        # readable once the thread is done
    int signal          # calls the thread out
    int result          # of `work`
    unsigned is_ended   # nobody wants the result any more

cdef int start_thread(Run run, void *argument, pthread_t *thread) noexcept nogil
cdef int start_call(Call *call) noexcept
cdef int finish_call(Call *call) noexcept nogil
cdef int end_call(Call *call) noexcept nogil
cdef int call_out_signal() noexcept nogil
