/* The floor by io_uring, by its system calls alone: multishot accept and receive from one pool of
 * buffers, made for the size of the messages, 2 MiB in all so that it stays in the cache.
 *
 * A small echo is a send in the ring that tries once, and completes only on failure (since
 * 5.17). The buffer is free when enter returns. Failures are seen before any buffer goes back, and
 * the rest of the data is kept. Larger echoes are sent at once, while the data is in the cache.
 */
#define _GNU_SOURCE
#include "floor.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES 4096
#define COMPLETIONS 16384
#define POOL_SIZE (2u << 20)
#define SMALL 4096             /* up to here a send goes by the ring */
#define GROUP 0
#define SEND_FLAGS (MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL)
#define NAME_SIZE 16           /* a sockaddr_in, before each datagram */

/* The low bits of a completion's user_data: its operation. The others are the peer, or a buffer. */
enum { ACCEPT, RECEIVE, ROOM, SEND, TAG = 7, TAG_BITS = 3 };

struct sending {               /* one for each buffer */
    struct peer *peer;
    uint8_t *data;
    size_t size;
};

static int ring_fd;
static struct io_uring_sqe *sqes;
static unsigned *sq_tail, sq_mask, pending_count;
static unsigned *cq_head, *cq_tail, cq_mask;
static struct io_uring_cqe *cqes;
static struct io_uring_buf_ring *pool;
static uint8_t *memory;
static unsigned slot_size, slots;
static uint16_t pool_tail;
static struct sending *sendings;
static unsigned *lent, lent_count;         /* buffers that a send in the ring may still read */
static struct msghdr datagram_shape = {.msg_namelen = NAME_SIZE};

static void map_ring(const struct io_uring_params *made)
{
    size_t size = made->cq_off.cqes + made->cq_entries * sizeof(struct io_uring_cqe);
    size_t array_end = made->sq_off.array + made->sq_entries * sizeof(unsigned);
    size = size > array_end ? size : array_end;
    int access = PROT_READ | PROT_WRITE, flags = MAP_SHARED | MAP_POPULATE;
    uint8_t *ring = mmap(NULL, size, access, flags, ring_fd, IORING_OFF_SQ_RING);
    sqes = mmap(NULL, made->sq_entries * sizeof *sqes, access, flags, ring_fd, IORING_OFF_SQES);
    if (ring == MAP_FAILED || sqes == MAP_FAILED)
        fail("mmap");
    sq_tail = (unsigned *)(ring + made->sq_off.tail);
    sq_mask = made->sq_entries - 1;
    cq_head = (unsigned *)(ring + made->cq_off.head);
    cq_tail = (unsigned *)(ring + made->cq_off.tail);
    cq_mask = made->cq_entries - 1;
    cqes = (struct io_uring_cqe *)(ring + made->cq_off.cqes);
    unsigned *array = (unsigned *)(ring + made->sq_off.array);
    for (unsigned i = 0; i < made->sq_entries; i++)
        array[i] = i;
}

static void give_back(unsigned slot)
{
    struct io_uring_buf *buffer = &pool->bufs[pool_tail & (slots - 1)];
    buffer->addr = (uintptr_t)(memory + (size_t)slot * slot_size);
    buffer->len = slot_size;
    buffer->bid = (uint16_t)slot;
    pool_tail++;
}

static void publish(void) { __atomic_store_n(&pool->tail, pool_tail, __ATOMIC_RELEASE); }

static void make_pool(void)
{
    slot_size = options.size <= SMALL - 128 ? SMALL : options.size <= 16384 ? 16384 : 131072;
    slots = POOL_SIZE / slot_size;
    size_t ring_size = slots * sizeof(struct io_uring_buf);
    int access = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE;
    pool = mmap(NULL, ring_size, access, flags, -1, 0);
    memory = mmap(NULL, POOL_SIZE, access, flags, -1, 0);
    lent = calloc(slots, sizeof *lent);
    sendings = calloc(slots, sizeof *sendings);
    struct io_uring_buf_reg made = {
        .ring_addr = (uintptr_t)pool, .ring_entries = slots, .bgid = GROUP,
    };
    if (syscall(SYS_io_uring_register, ring_fd, IORING_REGISTER_PBUF_RING, &made, 1))
        fail("IORING_REGISTER_PBUF_RING");
    for (unsigned slot = 0; slot < slots; slot++)
        give_back(slot);
    publish();
}

static void make_ring(void)
{
    struct io_uring_params wanted = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE
                 | IORING_SETUP_SUBMIT_ALL,
        .cq_entries = COMPLETIONS,
    };
    ring_fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &wanted);
    if (ring_fd < 0)
        fail("io_uring_setup");
    map_ring(&wanted);
    make_pool();
}

static void enter(unsigned wait)
{
    long done = syscall(SYS_io_uring_enter, ring_fd, pending_count, wait, IORING_ENTER_GETEVENTS,
                        NULL, 0);
    if (done < 0 && errno != EINTR)
        fail("io_uring_enter");
    pending_count -= done > 0 ? (unsigned)done : 0;
}

static struct io_uring_sqe *prepare(uint8_t operation, int fd, void *owner, unsigned tag)
{
    if (pending_count > sq_mask)
        enter(0);
    unsigned tail = *sq_tail;
    struct io_uring_sqe *sqe = &sqes[tail & sq_mask];
    memset(sqe, 0, sizeof *sqe);
    sqe->opcode = operation;
    sqe->fd = fd;
    sqe->user_data = (uintptr_t)owner | tag;
    __atomic_store_n(sq_tail, tail + 1, __ATOMIC_RELEASE);
    pending_count++;
    return sqe;
}

static void arm_accept(int listener)
{
    prepare(IORING_OP_ACCEPT, listener, NULL, ACCEPT)->ioprio = IORING_ACCEPT_MULTISHOT;
}

static void arm_receive(struct peer *peer)
{
    bool is_udp = options.kind == KIND_UDP;
    uint8_t operation = is_udp ? IORING_OP_RECVMSG : IORING_OP_RECV;
    struct io_uring_sqe *sqe = prepare(operation, peer->fd, peer, RECEIVE);
    sqe->ioprio = IORING_RECV_MULTISHOT;
    sqe->flags = IOSQE_BUFFER_SELECT;
    sqe->buf_group = GROUP;
    if (is_udp)
        sqe->addr = (uintptr_t)&datagram_shape;
}

static void wait_for_room(struct peer *peer)
{
    if (peer->is_waiting)
        return;
    peer->is_waiting = true;
    prepare(IORING_OP_POLL_ADD, peer->fd, peer, ROOM)->poll32_events = POLLOUT;
}

static struct io_uring_sqe *prepare_send(struct peer *peer, unsigned slot, uint8_t *data,
                                         size_t size)
{
    struct io_uring_sqe *sqe = prepare(IORING_OP_SEND, peer->fd, NULL, SEND);
    sendings[slot] = (struct sending){peer, data, size};
    sqe->user_data |= (uint64_t)slot << TAG_BITS;
    sqe->addr = (uintptr_t)data;
    sqe->len = (unsigned)size;
    sqe->msg_flags = SEND_FLAGS;
    sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
    lent[lent_count++] = slot;
    return sqe;
}

static void accepted(int fd)
{
    struct peer *peer = aligned_alloc(64, (sizeof *peer + 63) / 64 * 64);
    memset(peer, 0, sizeof *peer);
    peer->fd = fd;
    prepare_stream(fd);
    arm_receive(peer);
    if (options.kind == KIND_SOURCE)
        wait_for_room(peer);
}

static void echo_datagram(struct peer *peer, unsigned slot, uint8_t *data)
{
    struct io_uring_recvmsg_out *shape = (struct io_uring_recvmsg_out *)data;
    uint8_t *name = data + sizeof *shape;
    struct io_uring_sqe *sqe = prepare_send(peer, slot, name + NAME_SIZE, shape->payloadlen);
    sqe->addr2 = (uintptr_t)name;
    sqe->addr_len = NAME_SIZE;
}

/* True when the buffer can go back now. */
static bool take(struct peer *peer, unsigned slot, size_t size)
{
    uint8_t *data = memory + (size_t)slot * slot_size;
    peer->received += size;
    if (options.kind == KIND_UDP) {
        echo_datagram(peer, slot, data);
        return false;
    }
    if (options.kind != KIND_ECHO)
        return true;
    if (size < SMALL && peer->rest_at == peer->rest_size && peer->fd >= 0) {
        prepare_send(peer, slot, data, size);
        return false;
    }
    if (!send_now(peer, data, size))
        wait_for_room(peer);
    return true;
}

/* The peer itself is not freed: a completion of it may still come, and the run is short. */
static void end(struct peer *peer)
{
    answer_sink(peer);
    close(peer->fd);
    peer->fd = -1;
}

static void received(struct peer *peer, const struct io_uring_cqe *cqe)
{
    if (cqe->flags & IORING_CQE_F_BUFFER) {
        unsigned slot = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
        if (cqe->res <= 0 || take(peer, slot, (size_t)cqe->res))
            give_back(slot);
    }
    if (cqe->res <= 0 && cqe->res != -ENOBUFS)
        end(peer);
    else if (!(cqe->flags & IORING_CQE_F_MORE))
        arm_receive(peer);
}

static void has_room(struct peer *peer)
{
    peer->is_waiting = false;
    if (peer->fd >= 0 && (options.kind == KIND_SOURCE ? !send_source(peer) : !send_rest(peer)))
        wait_for_room(peer);
}

static void complete(int listener, const struct io_uring_cqe *cqe)
{
    struct peer *peer = (struct peer *)(uintptr_t)(cqe->user_data & ~(uint64_t)TAG);
    switch (cqe->user_data & TAG) {
    case ACCEPT:
        if (cqe->res >= 0)
            accepted(cqe->res);
        if (!(cqe->flags & IORING_CQE_F_MORE))
            arm_accept(listener);
        break;
    case RECEIVE: received(peer, cqe); break;
    case ROOM: has_room(peer); break;
    default: break;            /* seen before */
    }
}

/* The rest of what a send did not take is kept, before its buffer goes back. */
static void keep_failed_sends(unsigned tail)
{
    for (unsigned at = *cq_head; at != tail; at++) {
        const struct io_uring_cqe *cqe = &cqes[at & cq_mask];
        if ((cqe->user_data & TAG) != SEND)
            continue;
        struct sending *sending = &sendings[cqe->user_data >> TAG_BITS];
        size_t done = cqe->res > 0 ? (size_t)cqe->res : 0;
        if (options.kind == KIND_UDP || (cqe->res < 0 && cqe->res != -EAGAIN))
            continue;              /* lost, or a peer that left */
        keep_rest(sending->peer, sending->data + done, sending->size - done);
        wait_for_room(sending->peer);
    }
    while (lent_count)
        give_back(lent[--lent_count]);
}

void serve(int fd)
{
    struct peer datagrams = {.fd = fd};
    make_ring();
    if (options.kind == KIND_UDP)
        arm_receive(&datagrams);
    else
        arm_accept(fd);
    for (;;) {
        enter(1);
        unsigned tail = __atomic_load_n(cq_tail, __ATOMIC_ACQUIRE);
        keep_failed_sends(tail);
        while (*cq_head != tail) {
            struct io_uring_cqe cqe = cqes[*cq_head & cq_mask];
            __atomic_store_n(cq_head, *cq_head + 1, __ATOMIC_RELEASE);
            complete(fd, &cqe);
        }
        publish();
    }
}
