/* The floor by epoll: level-triggered, one receive and one send for each event. */
#define _GNU_SOURCE
#include "floor.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX 256
#define RECEIVE_SIZE (256 * 1024)
#define DATAGRAMS_MAX 64       /* of one event */

static int epoll_fd;
static uint8_t buffer[RECEIVE_SIZE];

static void watch(int operation, int fd, uint32_t events, void *owner)
{
    struct epoll_event event = {.events = events, .data.ptr = owner};
    if (epoll_ctl(epoll_fd, operation, fd, &event))
        fail("epoll_ctl");
}

static void accept_all(int listener)
{
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (fd < 0)
            return;
        struct peer *peer = calloc(1, sizeof *peer);
        peer->fd = fd;
        prepare_stream(fd);
        watch(EPOLL_CTL_ADD, fd, EPOLLIN | (options.kind == KIND_SOURCE ? EPOLLOUT : 0), peer);
    }
}

static void end(struct peer *peer)
{
    answer_sink(peer);
    close(peer->fd);
    free(peer->rest);
    free(peer);
}

/* False when the connection has ended. */
static bool receive(struct peer *peer)
{
    ssize_t size = recv(peer->fd, buffer, RECEIVE_SIZE, 0);
    if (size == 0 || (size < 0 && errno != EAGAIN)) {
        end(peer);
        return false;
    }
    if (size < 0)
        return true;
    peer->received += (uint64_t)size;
    if (options.kind == KIND_ECHO && !send_now(peer, buffer, (size_t)size) && !peer->is_waiting) {
        peer->is_waiting = true;
        watch(EPOLL_CTL_MOD, peer->fd, EPOLLIN | EPOLLOUT, peer);
    }
    return true;
}

static void transmit(struct peer *peer)
{
    if (options.kind == KIND_SOURCE) {
        send_source(peer);
    } else if (send_rest(peer)) {
        peer->is_waiting = false;
        watch(EPOLL_CTL_MOD, peer->fd, EPOLLIN, peer);
    }
}

static void echo_datagrams(int fd)
{
    for (int i = 0; i < DATAGRAMS_MAX; i++) {
        struct sockaddr_in from;
        socklen_t from_size = sizeof from;
        ssize_t size = recvfrom(fd, buffer, RECEIVE_SIZE, 0, (struct sockaddr *)&from, &from_size);
        if (size < 0)
            return;
        sendto(fd, buffer, (size_t)size, 0, (struct sockaddr *)&from, from_size);
    }
}

void serve(int fd)
{
    struct epoll_event events[EVENTS_MAX];
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    watch(EPOLL_CTL_ADD, fd, EPOLLIN, NULL);
    for (;;) {
        int ready = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);
        for (int i = 0; i < ready; i++) {
            struct peer *peer = events[i].data.ptr;
            if (!peer)
                options.kind == KIND_UDP ? echo_datagrams(fd) : accept_all(fd);
            else if (!(events[i].events & ~(uint32_t)EPOLLOUT) || receive(peer))
                if (events[i].events & EPOLLOUT)
                    transmit(peer);
        }
    }
}
