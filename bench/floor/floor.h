/* What the two servers in C share: their options, the listening socket, what could not be sent. */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BACKLOG 4096
#define SOURCE_BLOCK 65536     /* as in client/client.h */

enum kind { KIND_ECHO, KIND_SINK, KIND_SOURCE, KIND_UDP };

struct options {
    enum kind kind;
    const char *unix_path;
    size_t size;               /* of a message */
};

struct peer {
    int fd;
    bool is_waiting;           /* for room to send */
    uint64_t received;
    uint8_t *rest;             /* what the socket had no room for */
    size_t rest_at, rest_size, rest_space;
    size_t source_at;
};

extern struct options options;

void fail(const char *what) __attribute__((noreturn));
int open_server(int argc, char **argv);
void prepare_stream(int fd);
const uint8_t *source_block(void);

/* Each sends what it can; false when the socket is full: wait for room, then send_rest(). */
bool send_now(struct peer *peer, const uint8_t *data, size_t size);
bool send_rest(struct peer *peer);
bool send_source(struct peer *peer);
void keep_rest(struct peer *peer, const uint8_t *data, size_t size);
void answer_sink(struct peer *peer);

/* epoll.c, uring.c */
void serve(int fd) __attribute__((noreturn));

#endif
