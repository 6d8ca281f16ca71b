// What Swift cannot import of libevent and of the socket layer: macros, variadic and overloaded-by-union functions.
// Nothing here decides anything.
#ifndef GATEWAY_LIBEVENT_SHIM_H
#define GATEWAY_LIBEVENT_SHIM_H

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/util.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

// glibc shows accept4 only under _GNU_SOURCE, which must not differ from what Swift's own Glibc module was built with.
extern int shim_accept4(int, struct sockaddr_storage *, socklen_t *, int) __asm__("accept4");

static inline int shim_accept(int fd, struct sockaddr_storage *address, socklen_t *length) {
    return shim_accept4(fd, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}
static inline int shim_bind(int fd, const struct sockaddr_storage *address, socklen_t length) {
    return bind(fd, (const struct sockaddr *)address, length);
}
static inline int shim_connect(int fd, const struct sockaddr_storage *address, socklen_t length) {
    return connect(fd, (const struct sockaddr *)address, length);
}
static inline int shim_getsockname(int fd, struct sockaddr_storage *address, socklen_t *length) {
    return getsockname(fd, (struct sockaddr *)address, length);
}
static inline int shim_getpeername(int fd, struct sockaddr_storage *address, socklen_t *length) {
    return getpeername(fd, (struct sockaddr *)address, length);
}
static inline ssize_t shim_send_to(int fd, const void *bytes, size_t count, const struct sockaddr_un *to, socklen_t length) {
    return sendto(fd, bytes, count, MSG_NOSIGNAL, (const struct sockaddr *)to, length);
}
static inline int shim_datagram_socket(int family) {
    return socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}
static inline int shim_fcntl(int fd, int command, int value) { return fcntl(fd, command, value); }
static inline int shim_socket(int family) {
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}
static inline int shim_set_int_option(int fd, int level, int name, int value) {
    return setsockopt(fd, level, name, &value, sizeof value);
}
static inline int shim_get_int_option(int fd, int level, int name, int *value) {
    socklen_t length = sizeof *value;
    return getsockopt(fd, level, name, value, &length);
}
static inline int shim_unacknowledged(int fd, int *count) { return ioctl(fd, SIOCOUTQ, count); }
// Also hidden behind _GNU_SOURCE, with the constants of the system's interface (splice(2), pipe(2), fcntl(2)).
extern ssize_t shim_splice(int, off_t *, int, off_t *, size_t, unsigned) __asm__("splice");
extern int shim_pipe2(int[2], int) __asm__("pipe2");
static inline int shim_pipe(int ends[2]) { return shim_pipe2(ends, O_NONBLOCK | O_CLOEXEC); }
static const int shim_set_pipe_size = 1031;    // F_SETPIPE_SZ
static const unsigned shim_splice_flags = 1 | 2;  // SPLICE_F_MOVE, SPLICE_F_NONBLOCK
// A filter of a listening socket sees each segment from its TCP header on; byte 13 has the flags. SYN without ACK is
// dropped, everything else is let through: handshakes that have begun come to their end, and no new one begins.
static inline int shim_refuse_handshakes(int fd) {
    struct sock_filter program[] = {
        {BPF_LD | BPF_B | BPF_ABS, 0, 0, 13},
        {BPF_ALU | BPF_AND | BPF_K, 0, 0, 0x12},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0x02},
        {BPF_RET | BPF_K, 0, 0, 0},
        {BPF_RET | BPF_K, 0, 0, 0xffffffff},
    };
    struct sock_fprog filter = {sizeof program / sizeof program[0], program};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
}
extern int shim_name_thread(pthread_t, const char *) __asm__("pthread_setname_np");
static inline int shim_open(const char *path, int flags, mode_t mode) { return open(path, flags, mode); }
static inline void shim_ignore_sigpipe(void) { signal(SIGPIPE, SIG_IGN); }

#endif
