/* A server in C, for what the machine can do: `server KIND [--unix PATH] [--size BYTES]`.
 *
 * It does what the servers of servers.py do, prints where it listens as they do, and serves until
 * it is killed. epoll.c and uring.c are two ways to wait and receive; a server has one.
 */
#define _GNU_SOURCE
#include "floor.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct options options = {.size = 64};

void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static void parse_options(int argc, char **argv)
{
    static const char *const kinds[] = {"echo", "sink", "source", "udp", NULL};
    static const struct option names[] = {{"unix", 1, 0, 'u'}, {"size", 1, 0, 's'}, {0, 0, 0, 0}};
    int kind = 0, letter;
    while (argc > 1 && kinds[kind] && strcmp(kinds[kind], argv[1]))
        kind++;
    if (argc < 2 || !kinds[kind]) {
        fprintf(stderr, "no server in C is of this kind\n");
        exit(2);
    }
    options.kind = (enum kind)kind;
    optind = 2;
    while ((letter = getopt_long(argc, argv, "", names, NULL)) != -1)
        switch (letter) {
        case 'u': options.unix_path = optarg; break;
        case 's': options.size = (size_t)atol(optarg); break;
        default: exit(2);
        }
}

static int open_unix(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", options.unix_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, BACKLOG))
        fail("listen");
    printf("listening on %s\n", options.unix_path);
    return fd;
}

static int open_inet(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    bool is_udp = options.kind == KIND_UDP;
    int fd = socket(AF_INET, (is_udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) || (!is_udp && listen(fd, BACKLOG))
        || getsockname(fd, (struct sockaddr *)&address, &size))
        fail("listen");
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    return fd;
}

int open_server(int argc, char **argv)
{
    parse_options(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    int fd = options.unix_path ? open_unix() : open_inet();
    fflush(stdout);
    return fd;
}

void prepare_stream(int fd)
{
    int one = 1;
    if (!options.unix_path)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

/* The same generator as pattern() in protocols.py. */
const uint8_t *source_block(void)
{
    static uint8_t block[SOURCE_BLOCK];
    static bool is_made;
    uint32_t state = 1;
    for (size_t i = 0; !is_made && i < SOURCE_BLOCK; i++) {
        state = state * 1664525u + 1013904223u;
        block[i] = (uint8_t)(state >> 24);
    }
    is_made = true;
    return block;
}

void keep_rest(struct peer *peer, const uint8_t *data, size_t size)
{
    size_t kept = peer->rest_size - peer->rest_at;
    if (peer->rest_at && kept)
        memmove(peer->rest, peer->rest + peer->rest_at, kept);
    peer->rest_at = 0;
    peer->rest_size = kept + size;
    if (peer->rest_size > peer->rest_space) {
        peer->rest_space = 2 * peer->rest_size;
        peer->rest = realloc(peer->rest, peer->rest_space);
        if (!peer->rest)
            fail("realloc");
    }
    memcpy(peer->rest + kept, data, size);
}

bool send_now(struct peer *peer, const uint8_t *data, size_t size)
{
    ssize_t done = 0;
    if (peer->rest_at == peer->rest_size)
        done = send(peer->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (done == (ssize_t)size || (done < 0 && errno != EAGAIN))
        return true;               /* a peer that left is seen when receiving */
    done = done < 0 ? 0 : done;
    keep_rest(peer, data + done, size - (size_t)done);
    return false;
}

bool send_rest(struct peer *peer)
{
    while (peer->rest_at < peer->rest_size) {
        ssize_t done = send(peer->fd, peer->rest + peer->rest_at, peer->rest_size - peer->rest_at,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done < 0)
            return errno != EAGAIN;
        peer->rest_at += (size_t)done;
    }
    return true;
}

/* False when the socket is full, or after many writes, so that other connections get theirs. */
bool send_source(struct peer *peer)
{
    const uint8_t *block = source_block();
    for (int i = 0; i < 16; i++) {
        ssize_t done = send(peer->fd, block + peer->source_at, SOURCE_BLOCK - peer->source_at,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done < 0)
            return errno != EAGAIN;
        peer->source_at = (peer->source_at + (size_t)done) % SOURCE_BLOCK;
    }
    return false;
}

void answer_sink(struct peer *peer)
{
    uint64_t taken = htole64(peer->received);
    if (options.kind == KIND_SINK && send(peer->fd, &taken, sizeof taken, MSG_NOSIGNAL) < 0)
        return;
}

int main(int argc, char **argv)
{
    serve(open_server(argc, argv));
}
