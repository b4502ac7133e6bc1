/* UDP echo of the load generator: connected sockets, each with a window of numbered datagrams.
 *
 * A datagram is its number and then the pattern of that number. UDP may lose: a gap in the numbers
 * is counted as lost, and a socket that heard nothing for a while gives its window up and sends a
 * new one. A datagram with wrong content, or out of order (loopback keeps the order of one socket),
 * is an error.
 */
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define GIVE_UP_NS 250000000ull

struct endpoint {
    int fd;
    uint32_t index;
    uint64_t next_sent, next_expected, given_up, heard_ns;
    uint64_t sent_ns[DEPTH_MAX];
};

static struct endpoint *endpoints;
static uint8_t *buffer;

static void fill_window(struct endpoint *endpoint)
{
    while (!draining && endpoint->next_sent - endpoint->next_expected < (uint64_t)options.depth) {
        uint64_t sequence = endpoint->next_sent;
        const uint8_t *content = pattern(endpoint->index, sequence);
        memcpy(buffer, &sequence, sizeof sequence);
        memcpy(buffer + sizeof sequence, content, options.size - sizeof sequence);
        endpoint->sent_ns[sequence % DEPTH_MAX] = now_ns();
        if (send(endpoint->fd, buffer, options.size, MSG_DONTWAIT) < 0) {
            if (errno == EAGAIN || errno == ENOBUFS)
                return;
            fail("send: %s", strerror(errno));
        }
        endpoint->next_sent++;
    }
}

static void take(struct endpoint *endpoint, size_t size)
{
    uint64_t sequence;
    if (size != options.size)
        fail("an answer of %zu bytes to a datagram of %zu", size, options.size);
    memcpy(&sequence, buffer, sizeof sequence);
    const uint8_t *content = pattern(endpoint->index, sequence);
    if (memcmp(buffer + sizeof sequence, content, size - sizeof sequence))
        fail("a datagram with wrong content");
    if (sequence >= endpoint->next_sent)
        fail("a datagram that was never sent");
    if (sequence < endpoint->given_up)
        return;
    if (sequence < endpoint->next_expected)
        fail("datagram %llu a second time or out of order", (unsigned long long)sequence);
    count_lost(sequence - endpoint->next_expected);
    count(1, size);
    endpoint->heard_ns = now_ns();
    record_latency(endpoint->heard_ns - endpoint->sent_ns[sequence % DEPTH_MAX]);
    endpoint->next_expected = sequence + 1;
}

static void datagram_ready(void *owner, uint32_t events)
{
    struct endpoint *endpoint = owner;
    (void)events;
    for (int i = 0; i < options.depth; i++) {
        ssize_t size = recv(endpoint->fd, buffer, options.size + 1, MSG_DONTWAIT);
        if (size < 0) {
            if (errno != EAGAIN)
                fail("recv: %s", strerror(errno));
            break;
        }
        take(endpoint, (size_t)size);
    }
    fill_window(endpoint);
}

static void datagram_tick(uint64_t now)
{
    for (int i = 0; i < options.connections; i++) {
        struct endpoint *endpoint = &endpoints[i];
        if (now > endpoint->heard_ns + GIVE_UP_NS) {
            count_lost(endpoint->next_sent - endpoint->next_expected);
            endpoint->given_up = endpoint->next_expected = endpoint->next_sent;
            endpoint->heard_ns = now;
            fill_window(endpoint);
        }
    }
}

static void datagram_open(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    inet_pton(AF_INET, options.host, &address.sin_addr);
    buffer = malloc(options.size + PATTERN_PERIOD);
    endpoints = calloc((size_t)options.connections, sizeof *endpoints);
    for (int i = 0; i < options.connections; i++) {
        struct endpoint *endpoint = &endpoints[i];
        endpoint->index = (uint32_t)i;
        endpoint->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (endpoint->fd < 0 || connect(endpoint->fd, (struct sockaddr *)&address, sizeof address))
            fail("UDP socket: %s", strerror(errno));
        endpoint->heard_ns = now_ns();
        watch(EPOLL_CTL_ADD, endpoint->fd, EPOLLIN, endpoint);
        fill_window(endpoint);
    }
}

const struct peers datagram_peers = {datagram_open, datagram_ready, datagram_tick, NULL, NULL};
