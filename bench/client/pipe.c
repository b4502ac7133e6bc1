/* The child process whose output a loop under test reads: the source's block, for ever. */
#include "client.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

void write_pipe(void)
{
    fill_pattern();
    for (size_t at = 0;;) {
        ssize_t done = write(STDOUT_FILENO, pattern(0, 0) + at, SOURCE_BLOCK - at);
        if (done < 0 && errno != EINTR)
            exit(0);
        at = (at + (done > 0 ? (size_t)done : 0)) % SOURCE_BLOCK;
    }
}
