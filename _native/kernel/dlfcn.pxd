# dlopen(3).

cdef extern from "<dlfcn.h>" nogil:
    void *dlopen(const char *path, int flags)
    void *dlsym(void *handle, const char *name)
    char *dlerror()
    enum:
        RTLD_NOW
        RTLD_LOCAL
