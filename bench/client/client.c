/* Load generator that checks every byte: options, event loop, latencies and the report as JSON.
 *
 * It waits with epoll on one thread, and reads the server's CPU clock itself at both ends of the
 * measured window, so that neither the start of the server nor the warm-up is counted. After the
 * window it sends no more and waits for every answer that is due. A wrong or missing answer ends
 * the run: a figure obtained with wrong answers is worth nothing.
 */
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX 512
#define TICK_MS 100
/* Latencies in buckets of 1/32 of a power of two: 3 % precision from 1 ns to 580 years. */
#define BUCKET_BITS 5
#define BUCKETS ((64 - BUCKET_BITS + 1) << BUCKET_BITS)

struct options options = {
    .host = "127.0.0.1", .target = "/", .connections = 1, .depth = 1, .size = 64,
    .warmup_ns = 500000000, .window_ns = 2000000000,
};
int epoll_fd;

bool draining;

static struct { uint64_t operations, bytes, lost, latencies, bucket[BUCKETS]; } tally, window;
static uint8_t *pattern_bytes;

uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* CPU time, user and system, of all threads of the server; the kernel's nanoseconds, not ticks. */
static uint64_t server_cpu_ns(void)
{
    clockid_t clock;
    struct timespec used;
    if (!options.server_pid)
        return 0;
    if (clock_getcpuclockid(options.server_pid, &clock) || clock_gettime(clock, &used))
        fail("the server process has ended");
    return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

void fail(const char *format, ...)
{
    va_list arguments;
    char text[512];
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    for (char *at = text; *at; at++)
        if (*at == '"' || *at == '\\' || (unsigned char)*at < ' ')
            *at = '\'';
    printf("{\"errors\": 1, \"error\": \"%s\"}\n", text);
    exit(1);
}

void count(uint64_t operations, uint64_t bytes)
{
    tally.operations += operations;
    tally.bytes += bytes;
}

void count_lost(uint64_t datagrams) { tally.lost += datagrams; }

void record_latency(uint64_t ns)
{
    unsigned shift = 0;
    if (ns >> BUCKET_BITS)
        shift = 63 - (unsigned)__builtin_clzll(ns) - BUCKET_BITS + 1;
    tally.bucket[((uint64_t)shift << BUCKET_BITS) + (ns >> shift)]++;
    tally.latencies++;
}

static double percentile_us(double share)
{
    uint64_t rank = (uint64_t)((double)window.latencies * share), seen = 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += window.bucket[i];
        if (seen > rank) {
            unsigned shift = i >> BUCKET_BITS;
            uint64_t lowest = (uint64_t)(i - (shift << BUCKET_BITS)) << shift;
            return (double)(lowest + ((1ull << shift) >> 1)) / 1e3;
        }
    }
    return 0;
}

/* Makes the right content, options.size bytes, of message `sequence` of connection `index`. */
const uint8_t *pattern(uint32_t index, uint64_t sequence)
{
    return pattern_bytes + (sequence * 61 + index * 17ull) % PATTERN_PERIOD;
}

void fill_pattern(void)
{
    /* The same generator as source_block() in protocols.py, whose block a source server repeats. */
    size_t content = options.size > SOURCE_BLOCK ? options.size : SOURCE_BLOCK;
    size_t size = content + PATTERN_PERIOD;
    uint32_t state = 1;
    pattern_bytes = malloc(size);
    for (size_t i = 0; i < size; i++) {
        state = state * 1664525u + 1013904223u;
        pattern_bytes[i] = (uint8_t)(state >> 24);
    }
}

void watch(int operation, int fd, uint32_t events, void *owner)
{
    struct epoll_event event = {.events = events, .data.ptr = owner};
    if (epoll_ctl(epoll_fd, operation, fd, &event))
        fail("epoll_ctl: %s", strerror(errno));
}

static void read_body(const char *path)
{
    int fd = open(path, O_RDONLY);
    struct stat status;
    if (fd < 0 || fstat(fd, &status))
        fail("%s: %s", path, strerror(errno));
    options.body_size = (size_t)status.st_size;
    uint8_t *body = malloc(options.body_size + 1);
    if (read(fd, body, options.body_size) != status.st_size)
        fail("%s: cannot be read whole", path);
    options.body = body;
    close(fd);
}

static void parse_options(int argc, char **argv)
{
    static const char *const modes[] = {
        "echo", "http", "datagram", "sink", "source", "churn", "datagram-sink", "datagram-source",
        NULL,
    };
    static const struct option names[] = {
        {"host", 1, 0, 'h'}, {"port", 1, 0, 'p'}, {"unix", 1, 0, 'u'}, {"connections", 1, 0, 'c'},
        {"size", 1, 0, 's'}, {"depth", 1, 0, 'd'}, {"warmup", 1, 0, 'w'}, {"seconds", 1, 0, 't'},
        {"pid", 1, 0, 'P'}, {"tls", 0, 0, 'T'}, {"body", 1, 0, 'b'}, {"target", 1, 0, 'g'},
        {"idle", 1, 0, 'i'}, {"segmented", 0, 0, 'S'}, {0, 0, 0, 0},
    };
    int mode = 0, letter;
    if (argc < 2)
        fail("usage: client MODE --port PORT [--connections N] [--size BYTES] ...");
    while (modes[mode] && strcmp(modes[mode], argv[1]))
        mode++;
    if (!modes[mode])
        fail("unknown mode %s", argv[1]);
    options.mode = (enum mode)mode;
    optind = 2;
    while ((letter = getopt_long(argc, argv, "", names, NULL)) != -1)
        switch (letter) {
        case 'h': options.host = optarg; break;
        case 'p': options.port = atoi(optarg); break;
        case 'u': options.unix_path = optarg; break;
        case 'c': options.connections = atoi(optarg); break;
        case 's': options.size = (size_t)atol(optarg); break;
        case 'd': options.depth = atoi(optarg); break;
        case 'w': options.warmup_ns = (uint64_t)(atof(optarg) * 1e9); break;
        case 't': options.window_ns = (uint64_t)(atof(optarg) * 1e9); break;
        case 'P': options.server_pid = atoi(optarg); break;
        case 'T': options.tls = true; break;
        case 'S': options.segmented = true; break;
        case 'i': options.idle = atoi(optarg); break;
        case 'b': read_body(optarg); break;
        case 'g': options.target = optarg; break;
        default: fail("unknown option");
        }
    if (options.depth < 1 || options.depth > DEPTH_MAX)
        fail("--depth is 1 to %d", DEPTH_MAX);
    if (options.mode == MODE_HTTP && !options.body)
        fail("http needs --body FILE, the right answer");
    if (options.size < 1 || (options.mode == MODE_DATAGRAM && options.size < sizeof(uint64_t)))
        fail("--size is too small");
}

static void report(double seconds, double cpu_seconds)
{
    printf("{\"ops\": %llu, \"bytes\": %llu, \"lost\": %llu, \"errors\": 0, ",
           (unsigned long long)window.operations, (unsigned long long)window.bytes,
           (unsigned long long)window.lost);
    if (window.latencies)
        printf("\"p50_us\": %.1f, \"p99_us\": %.1f, ", percentile_us(0.5), percentile_us(0.99));
    if (options.server_pid)
        printf("\"rss_bytes\": %llu, ", (unsigned long long)server_rss_bytes());
    if (options.idle)
        printf("\"rss_per_connection\": %.1f, ", idle_bytes_each());
    printf("\"seconds\": %.6f, \"cpu_seconds\": %.9f}\n", seconds, cpu_seconds);
}

/* Waits once for events, and works on them. Returns the time at which the wait ended. */
static uint64_t turn(const struct peers *peers)
{
    static uint64_t tick_ns, progress_ns, seen = UINT64_MAX;
    struct epoll_event events[EVENTS_MAX];
    int ready = epoll_wait(epoll_fd, events, EVENTS_MAX, TICK_MS);
    uint64_t now = now_ns();
    for (int i = 0; i < ready; i++)
        peers->ready(events[i].data.ptr, events[i].events);
    if (now - tick_ns > TICK_MS * 1000000ull) {
        tick_ns = now;
        if (peers->tick)
            peers->tick(now);
        if (tally.bytes != seen)
            progress_ns = now;
        else if (now - progress_ns > STALL_NS)
            fail("no answer for %d seconds", (int)(STALL_NS / 1000000000));
        seen = tally.bytes;
    }
    return now;
}

static const struct peers *peers_of(enum mode mode)
{
    switch (mode) {
    case MODE_DATAGRAM: return &datagram_peers;
    case MODE_DATAGRAM_SINK:
    case MODE_DATAGRAM_SOURCE: return &one_way_peers;
    default: return &stream_peers;
    }
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (argc > 1 && !strcmp(argv[1], "backend"))
        serve_echo(argc > 2 && !strcmp(argv[2], "once"));
    if (argc > 1 && !strcmp(argv[1], "pipe"))
        write_pipe();
    parse_options(argc, argv);
    fill_pattern();
    const struct peers *peers = peers_of(options.mode);
    idle_open();
    peers->open();

    uint64_t start_ns = now_ns(), end_ns, cpu_ns;
    while (options.warmup_ns && turn(peers) < start_ns + options.warmup_ns)
        ;
    memset(&tally, 0, sizeof tally);
    cpu_ns = server_cpu_ns();
    start_ns = now_ns();
    while (turn(peers) < start_ns + options.window_ns)
        ;
    cpu_ns = server_cpu_ns() - cpu_ns;
    end_ns = now_ns();
    window = tally;

    draining = true;
    while (peers->is_drained && !peers->is_drained())
        turn(peers);
    if (peers->finish)
        peers->finish();
    report((double)(end_ns - start_ns) / 1e9, (double)cpu_ns / 1e9);
    return 0;
}
