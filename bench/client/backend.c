/* The echo server behind a proxy, or before a client, under test: what a connection sends comes
 * back, no faster than it is taken. It prints where it listens, and serves until it is killed. With
 * `once` it closes a connection after the answer to what came first, so that its client's port is
 * free at once.
 */
#define _GNU_SOURCE
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096
#define EVENTS_MAX 64

struct peer {
    int fd;
    size_t at, size;               /* what was received and not yet sent back */
    uint8_t data[RECEIVE_SIZE];
};

static int listen_anywhere(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) || listen(fd, BACKLOG)
        || getsockname(fd, (struct sockaddr *)&address, &size))
        fail("listen: %s", strerror(errno));
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void accept_one(int listener)
{
    int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0)
        return;
    struct peer *peer = calloc(1, sizeof *peer);
    peer->fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    watch(EPOLL_CTL_ADD, fd, EPOLLIN, peer);
}

/* Returns a negative number, with EAGAIN, when there is nothing to do before the next event. */
static ssize_t move_some(struct peer *peer)
{
    ssize_t done;
    if (peer->at < peer->size) {
        done = send(peer->fd, peer->data + peer->at, peer->size - peer->at, MSG_NOSIGNAL);
        peer->at += done > 0 ? (size_t)done : 0;
    } else {
        done = recv(peer->fd, peer->data, RECEIVE_SIZE, 0);
        peer->at = 0;
        peer->size = done > 0 ? (size_t)done : 0;
    }
    return done;
}

static void echo(struct peer *peer, bool once)
{
    bool was_full = peer->at < peer->size;
    ssize_t done = move_some(peer);
    while (done > 0 && peer->at < peer->size)
        done = move_some(peer);
    bool is_over = once && peer->size && peer->at == peer->size;
    if (done == 0 || (done < 0 && errno != EAGAIN) || is_over) {
        close(peer->fd);
        free(peer);
    } else if (was_full != (peer->at < peer->size)) {
        watch(EPOLL_CTL_MOD, peer->fd, was_full ? EPOLLIN : EPOLLOUT, peer);
    }
}

void serve_echo(bool once)
{
    struct epoll_event events[EVENTS_MAX];
    int listener = listen_anywhere();
    watch(EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
    for (;;) {
        int ready = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);
        for (int i = 0; i < ready; i++)
            if (events[i].data.ptr)
                echo(events[i].data.ptr, once);
            else
                accept_one(listener);
    }
}
