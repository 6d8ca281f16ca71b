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
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
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
extern int shim_name_thread(pthread_t, const char *) __asm__("pthread_setname_np");
static inline int shim_open(const char *path, int flags, mode_t mode) { return open(path, flags, mode); }
static inline void shim_ignore_sigpipe(void) { signal(SIGPIPE, SIG_IGN); }

#endif
