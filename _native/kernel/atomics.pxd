# Words that the kernel or another thread reads and writes as well, such as the ends of a queue.

cdef extern from * nogil:
    """
    #define zc_load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
    #define zc_load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
    #define zc_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
    """
    unsigned load_acquire "zc_load_acquire"(unsigned *address)
    unsigned load_relaxed "zc_load_relaxed"(unsigned *address)
    void store_release "zc_store_release"(unsigned *address, unsigned value)

# What a thread does in each round of a loop that polls memory.
cdef extern from * nogil:
    """
    #if defined(__x86_64__) || defined(__i386__)
    #define zc_relax() __builtin_ia32_pause()
    #else
    #define zc_relax() __asm__ volatile("" ::: "memory")
    #endif
    """
    void zc_relax()
