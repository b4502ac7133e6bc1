/* How the load generator connects a stream: TCP, Unix or TLS; blocking, except under churn. */
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Churn leaves its ports in TIME_WAIT for a minute, and idle connections keep theirs. One source
 * address has 28,000: take turns. */
static void bind_next_source(int fd)
{
    static uint32_t turn;
    struct sockaddr_in source = {.sin_family = AF_INET};
    int one = 1;
    source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + turn++ % 250);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&source, sizeof source))
        fail("bind: %s", strerror(errno));
}

int connect_stream(void **tls)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr_in remote = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    struct sockaddr *address = (struct sockaddr *)&remote;
    socklen_t address_size = sizeof remote;
    bool churn = options.mode == MODE_CHURN;
    int one = 1;

    if (options.unix_path) {
        address = (struct sockaddr *)&local;
        address_size = sizeof local;
    }
    int kind = SOCK_STREAM | SOCK_CLOEXEC | (churn ? SOCK_NONBLOCK : 0);
    int fd = socket(address->sa_family, kind, 0);
    if (fd < 0)
        fail("socket: %s", strerror(errno));
    inet_pton(AF_INET, options.host, &remote.sin_addr);
    if (options.unix_path)
        snprintf(local.sun_path, sizeof local.sun_path, "%s", options.unix_path);
    else
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if ((churn || options.idle) && !options.unix_path && !strncmp(options.host, "127.", 4))
        bind_next_source(fd);
    while (connect(fd, address, address_size) && errno != EINPROGRESS)
        /* A Unix socket whose backlog is full says EAGAIN, and offers nothing to wait for. */
        if (errno != EAGAIN || poll(NULL, 0, 1))
            fail("connect: %s", strerror(errno));
    *tls = options.tls ? tls_connect(fd) : NULL;
    if (fcntl(fd, F_SETFL, O_NONBLOCK))
        fail("fcntl: %s", strerror(errno));
    return fd;
}
