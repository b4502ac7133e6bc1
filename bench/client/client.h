/* What the parts of the load generator share: options, tally of the measured window, pattern. */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define DEPTH_MAX 256          /* messages in flight on a connection: pieces of one sendmsg() */
#define RECEIVE_SIZE (256 * 1024)
#define PATTERN_PERIOD 4093    /* prime, so that neighbouring messages never hold the same bytes */
#define SOURCE_BLOCK 65536     /* what a source server repeats; protocols.py has the same number */
#define STALL_NS 5000000000ull
#define GROUP 32               /* datagrams for which one answer comes; protocols.py has the same */
#define GROUPS 16              /* of different content, then again; and here */

enum mode {
    MODE_ECHO, MODE_HTTP, MODE_DATAGRAM, MODE_SINK, MODE_SOURCE, MODE_CHURN, MODE_DATAGRAM_SINK,
    MODE_DATAGRAM_SOURCE,
};

struct options {
    enum mode mode;
    const char *host, *unix_path, *target;
    int port;
    int connections, depth, idle;
    size_t size;
    uint64_t warmup_ns, window_ns;
    pid_t server_pid;
    bool tls, segmented;
    const uint8_t *body;       /* the one right body of an HTTP answer */
    size_t body_size;
};

extern struct options options;
extern int epoll_fd;
extern bool draining;          /* the window is over: what was begun ends, nothing new begins */

/* client.c */
uint64_t now_ns(void);
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void count(uint64_t operations, uint64_t bytes);
void count_lost(uint64_t datagrams);
void record_latency(uint64_t ns);
void fill_pattern(void);
const uint8_t *pattern(uint32_t index, uint64_t sequence);
void watch(int operation, int fd, uint32_t events, void *owner);

/* Each kind of peer: open all, serve a ready one, look after all now and then; when draining, say
 * whether all answers came; end the run. */
struct peers {
    void (*open)(void);
    void (*ready)(void *owner, uint32_t events);
    void (*tick)(uint64_t now);
    bool (*is_drained)(void);
    void (*finish)(void);
};
extern const struct peers stream_peers, datagram_peers, one_way_peers;

/* http.c: takes whole answers from data; returns the bytes used, adds the answers to *answers. */
void http_prepare(void);
extern uint8_t *http_request;
extern size_t http_request_size;
size_t http_take_answers(const uint8_t *data, size_t size, uint32_t *answers);

/* connect.c: a connected, non-blocking socket; *tls is its session or NULL. */
int connect_stream(void **tls);

/* idle.c: connections that only are there; and what each of them costs the server in memory. */
void idle_open(void);
uint64_t server_rss_bytes(void);
double idle_bytes_each(void);

/* backend.c: the server of a proxy, or of clients under test; never returns. */
void serve_echo(bool once) __attribute__((noreturn));

/* pipe.c: writes the source's block to standard output until nobody reads it. */
void write_pipe(void) __attribute__((noreturn));

/* tls.c: like recv() and send() on a non-blocking socket. */
void *tls_connect(int fd);
ssize_t tls_receive(void *session, void *data, size_t size);
ssize_t tls_send(void *session, const void *data, size_t size);

#endif
