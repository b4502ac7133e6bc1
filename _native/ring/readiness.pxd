# A ring whose requests zcloop carries out itself, by epoll and a few threads.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from zcloop._native.kernel.epoll cimport epoll_event
from zcloop._native.kernel.uring cimport io_uring_getevents_arg, io_uring_sqe, kernel_timespec
from zcloop._native.kernel.workers cimport Inbox, Job
from zcloop._native.ring.ring cimport Ring

cdef enum Stage:
    LINKED          # behind another one in a chain
    WAITING         # for a file, or to be visited
    WORKING         # a thread has it
    TIMED           # for a moment in time
    OVER            # its completion waits for room in the queue

# What a thread is given.
cdef struct Task:
    Job job                 # first: the pool gives back this
    Pending *pending

# A request from its submission to its last completion.
cdef struct Pending:
    io_uring_sqe sqe
    Task *task              # of one that a thread has
    Pending *next           # in the list that it is in by its stage, free ones too
    Pending *previous
    Pending *next_ready     # among those to be visited
    Pending *previous_ready
    Pending *linked         # begins when this one has succeeded
    int64_t deadline_ns     # of a timed one
    int fd                  # of a waiting one
    uint32_t mask           # of a waiting one: what for
    uint32_t found          # of a multishot one: what the file was last said to be ready for
    int32_t result          # of one that is over
    uint8_t stage
    uint8_t is_multishot
    uint8_t is_ready        # to be visited
    uint8_t is_short_empty  # of a receive: a socket that gave less than was asked for has no more
    uint8_t is_cancelled    # while a thread has it, or before it has begun
    uint8_t batch           # datagrams that the next visit asks for

# A file that requests wait for, by its fd.
cdef struct Watched:
    Pending *first          # that waits longest
    Pending *last
    uint32_t generation     # of its registration: what is said of an earlier one is old
    uint32_t turns          # as `generation`, of those that wait exclusively
    uint8_t is_registered   # as far as we know: closing an fd takes it out
    uint8_t is_armed        # else it has been told, once, and is told of nothing more
    uint8_t is_by_edge
    uint8_t is_turn_armed   # for those that wait exclusively
    uint8_t is_accepting    # a thread is, where the listener blocks
    int turn_fd             # a copy of the fd, for these; -1

# A buffer ring: `head` counts the slots that were taken.
cdef struct Group:
    char *entries
    uint32_t mask
    uint16_t head
    uint16_t id
    uint8_t is_used

cdef enum:
    GROUPS_MAX = 8
    EVENTS_MAX = 64


cdef class ReadinessRing(Ring):
    cdef unsigned sq_head
    cdef unsigned sq_tail
    cdef unsigned flags
    cdef unsigned cq_head
    cdef unsigned cq_tail
    cdef Watched *files
    cdef unsigned files_size
    cdef Pending **slots            # by the low half of user_data
    cdef unsigned slots_size
    cdef Pending *free_pending
    cdef void *blocks               # of Pending, chained by their first word
    cdef Pending *ready_first
    cdef Pending *ready_last
    cdef Pending *timed             # earliest first
    cdef Pending *overflow_first
    cdef Pending *overflow_last
    cdef Pending *due_first         # linked to what is over: to begin
    cdef Pending *due_last
    cdef Pending *called_out        # threads that are to leave their calls
    cdef Inbox inbox
    cdef Group[GROUPS_MAX] groups
    cdef int epoll_fd
    cdef int event_fd               # the inbox's
    cdef int timer_fd               # -1 until something is timed
    cdef bint is_replaced           # `arm` has found another file under the fd
    cdef unsigned working           # requests that threads have
    cdef int64_t called_ns          # when `called_out` were last called
    cdef int64_t looked_ns          # when the kernel was last asked what is ready

    cdef Pending *take_pending(self) noexcept nogil
    cdef void release(self, Pending *one) noexcept nogil
    cdef int ensure_slots(self, unsigned count) noexcept nogil
    cdef int begin_all(self) noexcept nogil
    cdef void begin(self, Pending *one) noexcept nogil
    cdef void begin_due(self) noexcept nogil
    cdef bint is_worked_on(self, int fd) noexcept nogil
    cdef void try_it(self, Pending *one) noexcept nogil
    cdef void take_turn(self, Pending *one) noexcept nogil
    cdef void employ(self, Pending *one) noexcept nogil
    cdef void stop_working(self, Pending *one) noexcept nogil
    cdef void wait_for_file(self, Pending *one, int fd, uint32_t mask) noexcept nogil
    cdef int ensure_file(self, int fd) noexcept nogil
    cdef void end_others(self, Pending *one, int fd, int result) noexcept nogil
    cdef void arm_again(self, int fd) noexcept nogil
    cdef int arm(self, int fd) noexcept nogil
    cdef int arm_turn(self, int fd) noexcept nogil
    cdef void leave_file(self, Pending *one) noexcept nogil
    cdef void settle_file(self, int fd) noexcept nogil
    cdef void arrived(self, int fd, uint32_t found, bint is_turn) noexcept nogil
    cdef void want_visit(self, Pending *one) noexcept nogil
    cdef void forget_visit(self, Pending *one) noexcept nogil
    cdef void visit_ready(self) noexcept nogil
    cdef void visit(self, Pending *one) noexcept nogil
    cdef unsigned room(self) noexcept nogil
    cdef void lack_slots(self, Pending *one) noexcept nogil
    cdef void receive_bytes(self, Pending *one) noexcept nogil
    cdef void receive_datagrams(self, Pending *one) noexcept nogil
    cdef Group *group_of(self, Pending *one) noexcept nogil
    cdef void time_it(self, Pending *one, int64_t after_ns) noexcept nogil
    cdef void untime(self, Pending *one) noexcept nogil
    cdef void set_timer(self) noexcept nogil
    cdef void expire(self) noexcept nogil
    cdef void take_back_jobs(self) noexcept nogil
    cdef void wait_again(self, Pending *one) noexcept nogil
    cdef void uncall(self, Pending *one) noexcept nogil
    cdef void call_again(self) noexcept nogil
    cdef void free_memory(self) noexcept nogil
    cdef int cancel(self, const io_uring_sqe *sqe) noexcept nogil
    cdef int cancel_one(self, Pending *one) noexcept nogil
    cdef int cancel_all(self) noexcept nogil
    cdef void complete(self, Pending *one, int result) noexcept nogil
    cdef bint post_more(self, Pending *one, int result, uint32_t flags) noexcept nogil
    cdef bint put(self, uint64_t user_data, int result, uint32_t flags) noexcept nogil
    cdef void surface(self) noexcept nogil
    cdef int collect(self, int64_t timeout_ns) noexcept nogil
    cdef void note_events(self, epoll_event *events, int count) noexcept nogil
    cdef int carry_on(self, unsigned wait_count, int64_t timeout_ns) noexcept nogil
    cdef void advance(self) noexcept nogil
