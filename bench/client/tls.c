/* TLS for the load generator, by libssl.so.3 opened at run time: OpenSSL headers are not needed.
 *
 * Certificates are not verified: the server under test made its own a moment ago.
 */
#include "client.h"

#include <dlfcn.h>
#include <errno.h>

#define WANT_READ 2            /* SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE */
#define WANT_WRITE 3
#define CLOSED 6               /* SSL_ERROR_ZERO_RETURN */
#define CONTROL_MODE 33        /* SSL_CTRL_MODE */
#define MODES 3                /* ENABLE_PARTIAL_WRITE | ACCEPT_MOVING_WRITE_BUFFER */

static void *context;
static void *(*new_session)(void *);
static int (*read_session)(void *, void *, int), (*write_session)(void *, const void *, int);
static int (*set_fd)(void *, int), (*handshake)(void *), (*session_error)(const void *, int);

static void *symbol(void *library, const char *name)
{
    void *found = dlsym(library, name);
    if (!found)
        fail("libssl.so.3 has no %s", name);
    return found;
}

static void load(void)
{
    void *library = dlopen("libssl.so.3", RTLD_NOW);
    if (!library)
        fail("TLS needs libssl.so.3 on this machine");
    const void *(*method)(void) = symbol(library, "TLS_client_method");
    void *(*new_context)(const void *) = symbol(library, "SSL_CTX_new");
    long (*control)(void *, int, long, void *) = symbol(library, "SSL_CTX_ctrl");
    new_session = symbol(library, "SSL_new");
    set_fd = symbol(library, "SSL_set_fd");
    handshake = symbol(library, "SSL_connect");
    read_session = symbol(library, "SSL_read");
    write_session = symbol(library, "SSL_write");
    session_error = symbol(library, "SSL_get_error");
    context = new_context(method());
    control(context, CONTROL_MODE, MODES, NULL);
}

/* The socket still blocks here. */
void *tls_connect(int fd)
{
    if (!context)
        load();
    void *session = new_session(context);
    set_fd(session, fd);
    if (handshake(session) != 1)
        fail("the TLS handshake failed");
    return session;
}

static ssize_t result(void *session, int done)
{
    if (done > 0)
        return done;
    switch (session_error(session, done)) {
    case WANT_READ:
    case WANT_WRITE: errno = EAGAIN; return -1;
    case CLOSED: return 0;
    default: fail("TLS error");
    }
}

ssize_t tls_receive(void *session, void *data, size_t size)
{
    return result(session, read_session(session, data, (int)size));
}

ssize_t tls_send(void *session, const void *data, size_t size)
{
    return result(session, write_session(session, data, (int)size));
}
