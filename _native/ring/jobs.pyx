"""Requests whose call a thread makes, since it may block.

Disks, open, close, fsync and statx have no readiness that epoll could report, so a thread of
`kernel/workers` makes the call and puts the request into the ring's inbox. The request's memory
stays until then: a request that is cancelled meanwhile is not ended, but its thread is called out
of the call by a signal, and gives back -EINTR.
"""

from libc.errno cimport ENOMEM, errno
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free
from posix.unistd cimport close, read

from zcloop._native.kernel.clock cimport monotonic_ns
from zcloop._native.kernel.eventfd cimport EFD_CLOEXEC, EFD_NONBLOCK, eventfd
from zcloop._native.kernel.uring cimport OP_SPLICE
from zcloop._native.kernel.workers cimport (
    Job, call_out, open_inbox, start_job, take_done, withdraw_job,
)
from zcloop._native.ring.attempt cimport perform
from zcloop._native.ring.pending_request cimport Task, WAITING, WORKING, append_to, remove_from


cdef int run_task(Job *job) noexcept nogil:
    """What the thread does."""
    return perform(&(<Task *> job).request.sqe)


cdef int open_jobs(Jobs *jobs) noexcept nogil:
    """0 or errno."""
    cdef int event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
    open_inbox(&jobs.inbox, event_fd)
    return errno if event_fd < 0 else 0


cdef void close_jobs(Jobs *jobs) noexcept nogil:
    if jobs.inbox.event_fd >= 0:
        close(jobs.inbox.event_fd)
        jobs.inbox.event_fd = -1


cdef int start_request(Jobs *jobs, Pending *request) noexcept nogil:
    """A thread makes the call of a request, which is in no list: 0, or -errno and none does."""
    cdef int failed
    cdef Task *task = <Task *> calloc(1, sizeof(Task))
    if task == NULL:
        return -ENOMEM
    task.request = request
    task.job.work = run_task
    task.job.inbox = &jobs.inbox
    request.task = task
    request.stage = WORKING
    jobs.count += 1
    failed = start_job(&task.job)
    if failed:
        end_task(jobs, request)
    return failed


cdef void end_task(Jobs *jobs, Pending *request) noexcept nogil:
    """No thread has the request any more."""
    free(request.task)
    request.task = NULL
    request.stage = WAITING
    jobs.count -= 1


cdef bint withdraw_request(Pending *request) noexcept nogil:
    """Whether no thread had taken it yet, and now none will."""
    return withdraw_job(&request.task.job)


cdef void call_out_request(Jobs *jobs, Pending *request) noexcept nogil:
    """Have the thread leave its call; it is called again by `call_again` until it has."""
    if not request.is_cancelled:
        request.is_cancelled = True
        append_to(&jobs.called_out, request)
        call_out(&request.task.job)


cdef void call_again(Jobs *jobs) noexcept nogil:
    """Call those that are still in their calls, at most once in CALL_OUT_NS: a thread that does
    nothing but handle signals would never come back."""
    cdef Pending *request = jobs.called_out.first
    if request == NULL or monotonic_ns() - jobs.called_ns < CALL_OUT_NS:
        return
    jobs.called_ns = monotonic_ns()
    while request != NULL:
        call_out(&request.task.job)
        request = request.next


cdef void clear_inbox(Jobs *jobs) noexcept nogil:
    """Until a thread gives something back, the inbox's descriptor is not readable. It is to be
    emptied by `take_ended` after this, not before."""
    cdef uint64_t count
    read(jobs.inbox.event_fd, &count, sizeof(count))


cdef Pending *take_ended(Jobs *jobs, int *result) noexcept nogil:
    """A request whose thread is done, and the result of its call; NULL when there is none."""
    cdef Job *job = take_done(&jobs.inbox)
    cdef Pending *request
    if job == NULL:
        return NULL
    request = (<Task *> job).request
    result[0] = job.result
    end_task(jobs, request)
    if request.is_cancelled:
        remove_from(&jobs.called_out, request)
    return request


cdef bint is_worked_on(const Jobs *jobs, const PendingTable *table, int fd) noexcept nogil:
    """Whether a thread makes a call on this descriptor. Closing it meanwhile would let the call
    reach another file that gets the same number."""
    cdef const Pending *request
    cdef unsigned slot
    for slot in range(table.slots_size if jobs.count else 0):
        request = table.slots[slot]
        if request != NULL and request.stage == WORKING and (request.sqe.fd == fd or (
                request.sqe.opcode == OP_SPLICE and request.sqe.splice_fd_in == fd)):
            return True
    return False
