# Words that threads and processes share: atomics, and the futex calls (futex(2)). They are never
# the private kind: a wait by a ring that was armed before the process's first thread would not hear
# of a private wake.

from libc.stdint cimport uint32_t, uint64_t

cdef extern from * nogil:
    """
    #include <errno.h>
    #include <limits.h>
    #include <linux/futex.h>
    #include <stdint.h>
    #include <sys/syscall.h>
    #include <time.h>
    #include <unistd.h>
    enum { ZC_FUTEX2_SIZE_U32 = 2 };        /* since 6.7, of IORING_OP_FUTEX_WAIT */

    #define zc_load32(p) __atomic_load_n((p), __ATOMIC_SEQ_CST)
    #define zc_load64(p) __atomic_load_n((p), __ATOMIC_SEQ_CST)
    #define zc_store32(p, v) __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)
    #define zc_store64(p, v) __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)
    #define zc_add32(p, v) __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST)
    #define zc_add64(p, v) __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST)
    #define zc_swap32(p, seen, v) __atomic_compare_exchange_n( \\
        (p), (seen), (v), 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
    #define zc_swap64(p, seen, v) __atomic_compare_exchange_n( \\
        (p), (seen), (v), 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)

    /* The half of a 64-bit word that holds its low 32 bits. */
    #if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    #define zc_low_half(p) ((uint32_t *)(p))
    #else
    #define zc_low_half(p) ((uint32_t *)(p) + 1)
    #endif

    static void zc_futex_wake(uint32_t *word, int count)
    {
        syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
    }
    /* 0 or -errno. `deadline` is in seconds of CLOCK_MONOTONIC; a negative one means none. */
    static int zc_futex_wait(uint32_t *word, uint32_t expected, double deadline)
    {
        struct timespec when;
        when.tv_sec = (time_t)deadline;
        when.tv_nsec = (long)((deadline - (double)when.tv_sec) * 1e9);
        return syscall(SYS_futex, word, FUTEX_WAIT_BITSET, expected, deadline < 0 ? NULL : &when,
                       NULL, FUTEX_BITSET_MATCH_ANY) < 0 ? -errno : 0;
    }
    """
    enum:
        FUTEX2_SIZE_U32 "ZC_FUTEX2_SIZE_U32"
        FUTEX_BITSET_MATCH_ANY
        EVERYBODY "INT_MAX"
    uint32_t load32 "zc_load32"(uint32_t *word)
    uint64_t load64 "zc_load64"(uint64_t *word)
    void store32 "zc_store32"(uint32_t *word, uint32_t value)
    void store64 "zc_store64"(uint64_t *word, uint64_t value)
    uint32_t add32 "zc_add32"(uint32_t *word, uint32_t value)
    uint64_t add64 "zc_add64"(uint64_t *word, uint64_t value)
    bint swap32 "zc_swap32"(uint32_t *word, uint32_t *seen, uint32_t value)
    bint swap64 "zc_swap64"(uint64_t *word, uint64_t *seen, uint64_t value)
    uint32_t *low_half "zc_low_half"(uint64_t *word)
    void futex_wake "zc_futex_wake"(uint32_t *word, int count)
    int futex_wait "zc_futex_wait"(uint32_t *word, uint32_t expected, double deadline)
