/* Idle connections of the load generator: opened first and left alone, beside those that work.
 *
 * The growth of the server's resident memory until the end of the window is what they cost it. One
 * in PING of them echoes once when it is opened: the server then has accepted all before it, and
 * its backlog never runs over.
 */
#include "client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PING 256
#define PING_MS 10000

static uint64_t bytes_before;

uint64_t server_rss_bytes(void)
{
    char path[64];
    unsigned long size, resident = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)options.server_pid);
    FILE *file = fopen(path, "r");
    if (!file || fscanf(file, "%lu %lu", &size, &resident) != 2)
        fail("%s: %s", path, strerror(errno));
    fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void ping(int fd)
{
    struct pollfd answer = {.fd = fd, .events = POLLIN};
    uint8_t byte = 0;
    if (send(fd, "?", 1, MSG_NOSIGNAL) != 1 || poll(&answer, 1, PING_MS) != 1
        || recv(fd, &byte, 1, 0) != 1 || byte != '?')
        fail("an idle connection was not served");
}

void idle_open(void)
{
    void *tls;
    if (!options.idle)
        return;
    if (!options.server_pid)
        fail("--idle needs --pid");
    bytes_before = server_rss_bytes();
    for (int i = 0; i < options.idle; i++) {
        int fd = connect_stream(&tls);
        if (i % PING == PING - 1)
            ping(fd);
    }
}

double idle_bytes_each(void)
{
    return ((double)server_rss_bytes() - (double)bytes_before) / options.idle;
}
