/* UDP in one direction of the load generator, in groups of GROUP datagrams, options.depth of them
 * under way: so much fits into a socket's receive buffer, and nothing is lost.
 *
 * A sink gets groups of equal datagrams, compares each, and sends the last of a group back. A
 * source sends groups of datagrams that all differ, and the next group for each byte that it gets.
 * If they are segmented, a group is one system call here: UDP_SEGMENT to send, UDP_GRO to receive.
 */
#define _GNU_SOURCE
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define RECEIVES_MAX 64        /* of one event, so that the clock is looked at */
#define BUFFER_WANTED (4 << 20)

static int fd;
static uint64_t groups_sent, groups_answered, received;
static int sent_part;          /* datagrams of the group under way */
static uint8_t *buffer;

static bool send_segmented(const uint8_t *content)
{
    uint16_t segment = (uint16_t)options.size;
    union { struct cmsghdr head; uint8_t space[CMSG_SPACE(sizeof segment)]; } control = {0};
    struct iovec pieces[GROUP];
    for (int i = 0; i < GROUP; i++)
        pieces[i] = (struct iovec){(void *)content, options.size};
    control.head.cmsg_level = SOL_UDP;
    control.head.cmsg_type = UDP_SEGMENT;
    control.head.cmsg_len = CMSG_LEN(sizeof segment);
    memcpy(CMSG_DATA(&control.head), &segment, sizeof segment);
    struct msghdr message = {
        .msg_iov = pieces, .msg_iovlen = GROUP,
        .msg_control = &control, .msg_controllen = sizeof control,
    };
    return sendmsg(fd, &message, MSG_DONTWAIT) > 0;
}

static bool send_group(void)
{
    const uint8_t *content = pattern(0, groups_sent % GROUPS);
    if (options.segmented)
        return send_segmented(content);
    for (; sent_part < GROUP; sent_part++)
        if (send(fd, content, options.size, MSG_DONTWAIT) < 0)
            return false;
    sent_part = 0;
    return true;
}

static void fill_window(void)
{
    while (!draining && groups_sent - groups_answered < (uint64_t)options.depth) {
        if (!send_group()) {
            if (errno != EAGAIN && errno != ENOBUFS)
                fail("send: %s", strerror(errno));
            return;
        }
        groups_sent++;
    }
}

static void take_answer(size_t size)
{
    if (groups_answered == groups_sent)
        fail("an answer to nothing");
    if (size != options.size || memcmp(buffer, pattern(0, groups_answered % GROUPS), size))
        fail("a wrong answer to group %llu", (unsigned long long)groups_answered);
    groups_answered++;
    count(GROUP, GROUP * options.size);
}

static void take_datagrams(size_t size)
{
    if (size % options.size)
        fail("a datagram of %zu bytes where %zu are right", size, options.size);
    for (size_t at = 0; at < size; at += options.size) {
        if (memcmp(buffer + at, pattern(0, received % (GROUP * GROUPS)), options.size))
            fail("wrong content, or lost: datagram %llu", (unsigned long long)received);
        count(1, options.size);
        if (++received % GROUP == 0 && !draining && send(fd, "+", 1, MSG_DONTWAIT) < 0)
            fail("send: %s", strerror(errno));
    }
}

/* The source sends from a socket of its own, which is known by its first datagram. */
static ssize_t receive(void)
{
    struct sockaddr_in from;
    socklen_t from_size = sizeof from;
    if (received || options.mode == MODE_DATAGRAM_SINK)
        return recv(fd, buffer, RECEIVE_SIZE, MSG_DONTWAIT);
    ssize_t size = recvfrom(fd, buffer, RECEIVE_SIZE, MSG_DONTWAIT, (struct sockaddr *)&from,
                            &from_size);
    if (size > 0 && connect(fd, (struct sockaddr *)&from, from_size))
        fail("connect: %s", strerror(errno));
    return size;
}

static void one_way_ready(void *owner, uint32_t events)
{
    (void)owner;
    (void)events;
    for (int i = 0; i < RECEIVES_MAX; i++) {
        ssize_t size = receive();
        if (size < 0) {
            if (errno != EAGAIN)
                fail("recv: %s", strerror(errno));
            break;
        }
        if (options.mode == MODE_DATAGRAM_SINK)
            take_answer((size_t)size);
        else
            take_datagrams((size_t)size);
    }
    if (options.mode == MODE_DATAGRAM_SINK)
        fill_window();
}

static void one_way_open(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    int on = 1, wanted = BUFFER_WANTED;
    socklen_t size = sizeof address;
    inet_pton(AF_INET, options.host, &address.sin_addr);
    buffer = malloc(RECEIVE_SIZE);
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof wanted);
    watch(EPOLL_CTL_ADD, fd, EPOLLIN, NULL);
    if (options.mode == MODE_DATAGRAM_SINK) {
        if (connect(fd, (struct sockaddr *)&address, size))
            fail("connect: %s", strerror(errno));
        fill_window();
        return;
    }
    if (options.segmented && setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on))
        fail("UDP_GRO: %s", strerror(errno));
    if (sendto(fd, "go", 2, 0, (struct sockaddr *)&address, size) != 2)
        fail("sendto: %s", strerror(errno));
}

static bool one_way_is_drained(void)
{
    return options.mode == MODE_DATAGRAM_SOURCE || groups_answered == groups_sent;
}

const struct peers one_way_peers = {one_way_open, one_way_ready, NULL, one_way_is_drained, NULL};
