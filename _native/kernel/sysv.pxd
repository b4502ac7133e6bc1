# Message queues and semaphores of System V: sysvipc(7).

cdef extern from "<sys/ipc.h>" nogil:
    enum:
        IPC_CREAT
        IPC_EXCL
        IPC_NOWAIT
        IPC_RMID
        IPC_SET
        IPC_STAT
    struct ipc_perm:
        unsigned uid
        unsigned gid
        unsigned short mode
    int c_ftok "ftok"(const char *path, int number)

cdef extern from "<sys/msg.h>" nogil:
    """
    #include <sys/ipc.h>
    #ifndef MSG_EXCEPT
    #define MSG_EXCEPT 020000       /* glibc has it with _GNU_SOURCE */
    #endif
    """
    enum:
        MSG_EXCEPT
    struct msqid_ds:
        ipc_perm msg_perm
        unsigned long msg_qnum
        unsigned long msg_qbytes
        unsigned long msg_cbytes "__msg_cbytes"
        int msg_lspid
        int msg_lrpid
    int msgget(int key, int flags)
    int msgctl(int queue, int command, msqid_ds *status)
    int msgsnd(int queue, const void *message, size_t size, int flags)
    ssize_t msgrcv(int queue, void *message, size_t size, long type, int flags)

cdef extern from "<sys/sem.h>" nogil:
    """
    #include <sys/ipc.h>
    /* semctl(2): programs have to declare this union themselves. */
    union zc_semun {
        int val;
        struct semid_ds *buf;
        unsigned short *array;
    };
    static int zc_semctl(int semid, int number, int command, int value, void *memory)
    {
        union zc_semun argument;
        if (command == SETVAL)
            argument.val = value;
        else
            argument.array = memory;
        return semctl(semid, number, command, argument);
    }
    """
    enum:
        SEM_UNDO
        GETALL
        GETNCNT
        GETPID
        GETVAL
        GETZCNT
        SETVAL
    struct semid_ds:
        ipc_perm sem_perm
        unsigned long sem_nsems
    struct sembuf:
        unsigned short sem_num
        short sem_op
        short sem_flg
    int semget(int key, int count, int flags)
    int semop(int semid, sembuf *operations, size_t count)
    int zc_semctl(int semid, int number, int command, int value, void *memory)
