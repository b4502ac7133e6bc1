/* HTTP answers of the load generator: each a 200 with Content-Length and the one right body. */
#define _GNU_SOURCE
#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REFERENCE_MAX 65536

uint8_t *http_request;
size_t http_request_size;

/* The last answer that was right. An answer that equals it byte for byte needs no parsing. */
static uint8_t reference[REFERENCE_MAX];
static size_t reference_size;

void http_prepare(void)
{
    char *text;
    int size = asprintf(&text, "GET %s HTTP/1.1\r\nHost: %s:%d\r\n\r\n", options.target,
                        options.host, options.port);
    http_request = (uint8_t *)text;
    http_request_size = (size_t)size;
}

/* The size of one right answer at data, or 0 while it is incomplete. */
static size_t parse_answer(const uint8_t *data, size_t size)
{
    static const char status[] = "HTTP/1.1 200 ", name[] = "\r\ncontent-length:";
    size_t known = size < sizeof status - 1 ? size : sizeof status - 1;
    if (memcmp(data, status, known))
        fail("wrong status line: %.*s", (int)(size < 40 ? size : 40), (const char *)data);
    const uint8_t *end = memmem(data, size, "\r\n\r\n", 4);
    if (!end)
        return 0;
    const char *at = (const char *)data, *last = (const char *)end;
    while (at < last && strncasecmp(at, name, sizeof name - 1))
        at++;
    if (at >= last)
        fail("an answer without a Content-Length");
    size_t length = strtoul(at + sizeof name - 1, NULL, 10);
    if (length != options.body_size)
        fail("an answer of %zu bytes where %zu are right", length, options.body_size);
    size_t head = (size_t)(end - data) + 4;
    if (size < head + length)
        return 0;
    if (memcmp(data + head, options.body, length))
        fail("an answer with a wrong body");
    if (head + length <= REFERENCE_MAX) {
        reference_size = head + length;
        memcpy(reference, data, reference_size);
    }
    return head + length;
}

size_t http_take_answers(const uint8_t *data, size_t size, uint32_t *answers)
{
    size_t used = 0;
    while (used < size) {
        size_t taken = reference_size;
        if (!taken || size - used < taken || memcmp(data + used, reference, taken))
            taken = parse_answer(data + used, size - used);
        if (!taken)
            break;
        used += taken;
        ++*answers;
    }
    return used;
}
