/* Stream connections of the load generator: echo, HTTP, sink, source and churn, over any transport.
 *
 * An echo or HTTP connection keeps options.depth messages in flight, and sends what it may in one
 * sendmsg(). A churn connection lives for one message: connect, send, check the echo, shut down,
 * wait for the server's end of file, close, and again. A sink server answers the end of its input
 * with the number of bytes it took (eight bytes, little endian); a source server repeats the block
 * of SOURCE_BLOCK bytes.
 */
#define _DEFAULT_SOURCE
#include "client.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define SINK_SENDS_MAX 16      /* sends of one turn, so that other connections get theirs */

struct connection {
    int fd;
    uint32_t index, armed;
    void *tls;
    uint64_t sent, received;               /* whole messages */
    size_t sent_part, received_part;       /* and of the one under way */
    uint64_t sent_ns[DEPTH_MAX], opened_ns;
    uint64_t bytes_sent;
    uint8_t *answer;                       /* HTTP: an answer cut in two by a receive */
    size_t answer_size;
};

static struct connection *connections;
static uint8_t *buffer;

static void open_connection(struct connection *connection, uint32_t events)
{
    connection->opened_ns = now_ns();
    connection->fd = connect_stream(&connection->tls);
    watch(EPOLL_CTL_ADD, connection->fd, connection->armed = events, connection);
}

static ssize_t receive(struct connection *connection)
{
    return connection->tls ? tls_receive(connection->tls, buffer, RECEIVE_SIZE)
                           : recv(connection->fd, buffer, RECEIVE_SIZE, 0);
}

static ssize_t transmit(struct connection *connection, struct iovec *pieces, size_t pieces_count)
{
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = pieces_count};
    if (connection->tls)
        return tls_send(connection->tls, pieces[0].iov_base, pieces[0].iov_len);
    return sendmsg(connection->fd, &message, MSG_NOSIGNAL);
}

static void arm(struct connection *connection, uint32_t events)
{
    if (connection->armed != events)
        watch(EPOLL_CTL_MOD, connection->fd, connection->armed = events, connection);
}

static size_t message_size(void)
{
    return options.mode == MODE_HTTP ? http_request_size : options.size;
}

static const uint8_t *message(const struct connection *connection, uint64_t sequence)
{
    return options.mode == MODE_HTTP ? http_request : pattern(connection->index, sequence);
}

/* Sends the messages that the depth allows; false when the socket is full. */
static bool send_messages(struct connection *connection, uint64_t depth, uint64_t now)
{
    struct iovec pieces[DEPTH_MAX];
    size_t size = message_size();
    if (draining)
        depth = connection->sent - connection->received + (connection->sent_part ? 1 : 0);
    while (connection->sent - connection->received < depth) {
        size_t total = 0, wanted = (size_t)(depth - (connection->sent - connection->received));
        for (size_t i = 0; i < wanted; i++) {
            size_t skip = i ? 0 : connection->sent_part;
            pieces[i].iov_base = (void *)(message(connection, connection->sent + i) + skip);
            pieces[i].iov_len = size - skip;
            total += size - skip;
            if (!skip)
                connection->sent_ns[(connection->sent + i) % DEPTH_MAX] = now;
        }
        ssize_t done = transmit(connection, pieces, wanted);
        if (done < 0 && errno != EAGAIN)
            fail("send: %s", strerror(errno));
        if (done > 0) {
            size_t bytes = connection->sent_part + (size_t)done;
            connection->bytes_sent += (uint64_t)done;
            connection->sent += bytes / size;
            connection->sent_part = bytes % size;
        }
        if (done < 0 || ((size_t)done < total && !connection->tls))
            return false;
    }
    return true;
}

static void take_echo(struct connection *connection, const uint8_t *data, size_t size, uint64_t now)
{
    while (size) {
        size_t part = options.size - connection->received_part;
        if (part > size)
            part = size;
        if (connection->received > connection->sent)
            fail("more was echoed than was sent");
        const uint8_t *content = pattern(connection->index, connection->received);
        if (memcmp(data, content + connection->received_part, part))
            fail("wrong bytes in message %llu", (unsigned long long)connection->received);
        data += part;
        size -= part;
        connection->received_part += part;
        if (connection->received_part == options.size) {
            connection->received_part = 0;
            if (options.mode == MODE_CHURN) {
                connection->received++;
                shutdown(connection->fd, SHUT_WR);
            } else {
                record_latency(now - connection->sent_ns[connection->received++ % DEPTH_MAX]);
                count(1, options.size);
            }
        }
    }
}

static void take_http(struct connection *connection, const uint8_t *data, size_t size, uint64_t now)
{
    uint32_t answers = 0;
    if (connection->answer_size) {
        if (connection->answer_size + size > 2 * RECEIVE_SIZE)
            fail("an answer of more than %d bytes", RECEIVE_SIZE);
        memcpy(connection->answer + connection->answer_size, data, size);
        data = connection->answer;
        size += connection->answer_size;
    }
    size_t used = http_take_answers(data, size, &answers);
    connection->answer_size = size - used;
    if (size > used) {
        if (!connection->answer)
            connection->answer = malloc(2 * RECEIVE_SIZE);
        memmove(connection->answer, data + used, size - used);
    }
    if (connection->received + answers > connection->sent)
        fail("more answers than requests");
    count(answers, used);
    while (answers--)
        record_latency(now - connection->sent_ns[connection->received++ % DEPTH_MAX]);
}

static void take_source(struct connection *connection, const uint8_t *data, size_t size)
{
    count(0, size);
    while (size) {
        size_t at = connection->received_part;
        size_t part = SOURCE_BLOCK - at < size ? SOURCE_BLOCK - at : size;
        if (memcmp(data, pattern(0, 0) + at, part))
            fail("wrong bytes from the source");
        data += part;
        size -= part;
        connection->received_part = (at + part) % SOURCE_BLOCK;
        count(!connection->received_part, 0);
    }
}

static void end_of_file(struct connection *connection, uint64_t now)
{
    if (options.mode != MODE_CHURN || !connection->received)
        fail("the server closed the connection");
    record_latency(now - connection->opened_ns);
    count(1, options.size);
    close(connection->fd);
    connection->sent = connection->received = 0;
    if (!draining)
        open_connection(connection, EPOLLOUT);
}

/* False when the connection was replaced by a new one. */
static bool receive_ready(struct connection *connection)
{
    for (;;) {
        ssize_t size = receive(connection);
        uint64_t now = now_ns();
        if (size == 0) {
            end_of_file(connection, now);
            return false;
        }
        if (size < 0) {
            if (errno == EAGAIN)
                return true;
            fail("receive: %s", strerror(errno));
        }
        switch (options.mode) {
        case MODE_HTTP: take_http(connection, buffer, (size_t)size, now); break;
        case MODE_SOURCE: take_source(connection, buffer, (size_t)size); break;
        case MODE_SINK: fail("a sink that answers before the end");
        default: take_echo(connection, buffer, (size_t)size, now);
        }
        if (!connection->tls)      /* epoll does not see what is left inside a TLS session */
            return true;
    }
}

static void sink_ready(struct connection *connection)
{
    for (int i = 0; i < SINK_SENDS_MAX; i++) {
        uint64_t messages = connection->sent, bytes = connection->bytes_sent;
        connection->received = connection->sent;
        bool room = send_messages(connection, 1, 0);
        count(connection->sent - messages, connection->bytes_sent - bytes);
        if (!room)
            return;
    }
}

static void stream_ready(void *owner, uint32_t events)
{
    struct connection *connection = owner;
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !receive_ready(connection))
        return;
    if (options.mode == MODE_SINK)
        sink_ready(connection);
    else if (options.mode == MODE_CHURN && connection->received)
        arm(connection, EPOLLIN);
    else if (options.mode != MODE_SOURCE)
        arm(connection, send_messages(connection, (uint64_t)options.depth, now_ns())
                            ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

static void stream_open(void)
{
    buffer = malloc(RECEIVE_SIZE);
    connections = calloc((size_t)options.connections, sizeof *connections);
    if (options.mode == MODE_HTTP)
        http_prepare();
    for (int i = 0; i < options.connections; i++) {
        struct connection *connection = &connections[i];
        connection->index = (uint32_t)i;
        open_connection(connection, options.mode == MODE_SOURCE ? EPOLLIN : EPOLLIN | EPOLLOUT);
    }
}

static bool stream_is_drained(void)
{
    if (options.mode == MODE_SOURCE || options.mode == MODE_SINK)
        return true;
    for (int i = 0; i < options.connections; i++) {
        struct connection *connection = &connections[i];
        if (options.mode == MODE_CHURN ? connection->sent || connection->sent_part
                                       : connection->sent != connection->received)
            return false;
        if (connection->sent_part || connection->received_part || connection->answer_size)
            return false;
    }
    return true;
}

/* A sink tells how much it took: all that was sent, or the run was wrong. */
static void stream_finish(void)
{
    for (int i = 0; options.mode == MODE_SINK && i < options.connections; i++) {
        struct connection *connection = &connections[i];
        struct pollfd answer = {.fd = connection->fd, .events = POLLIN};
        uint64_t taken;
        shutdown(connection->fd, SHUT_WR);
        if (poll(&answer, 1, 5000) != 1 || recv(answer.fd, &taken, sizeof taken, 0) != sizeof taken)
            fail("no answer from the sink");
        if (le64toh(taken) != connection->bytes_sent)
            fail("the sink took %llu bytes of %llu", (unsigned long long)le64toh(taken),
                 (unsigned long long)connection->bytes_sent);
    }
}

const struct peers stream_peers = {
    stream_open, stream_ready, NULL, stream_is_drained, stream_finish,
};
