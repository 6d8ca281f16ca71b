// The floor: moves bytes between a client and a backend and understands none of them.
//
// Each client has a backend connection of its own for as long as it stays. One thread, edge-triggered epoll, one buffer;
// a read that did not fill it is taken for the last. What the other side does not take at once is waited for in poll(2):
// no case that is measured gets there, and a relay that kept it would not be the least that there is.
// relay BACKEND_PORT. Prints {"port":N} when it listens, runs until it is killed.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_FD = 65536, SCRATCH_BYTES = 1 << 18 };

static int other[MAX_FD];  // the connection that it is relayed to
static char scratch[SCRATCH_BYTES];
static struct sockaddr_in backend = {.sin_family = AF_INET};
static int poller;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void watch(int fd, unsigned events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event)) fail("epoll_ctl");
}

static void admit(int listener) {
    int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client < 0) return;
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server < 0 || client >= MAX_FD || server >= MAX_FD) fail("too many connections");
    if (connect(server, (struct sockaddr *)&backend, sizeof backend)) fail("connect");
    int one = 1;
    for (int i = 0; i < 2; i++) setsockopt(i ? client : server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    other[client] = server;
    other[server] = client;
    watch(client, EPOLLIN | EPOLLRDHUP | EPOLLET);
    watch(server, EPOLLIN | EPOLLRDHUP | EPOLLET);
}

// False: the receiver is gone.
static bool pass(int to, const char *bytes, size_t count) {
    while (count > 0) {
        ssize_t sent = send(to, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN) return false;
        if (sent < 0) poll(&(struct pollfd){.fd = to, .events = POLLOUT}, 1, 1000);
        if (sent > 0) bytes += sent, count -= sent;
    }
    return true;
}

static void relay(int from) {
    ssize_t got;
    do {
        got = recv(from, scratch, sizeof scratch, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0 || !pass(other[from], scratch, got)) {
            close(other[from]);
            close(from);
            other[other[from]] = -1;
            other[from] = -1;
            return;
        }
    } while (got == sizeof scratch);
}

int main(int argc, char **argv) {
    if (argc != 2) return fprintf(stderr, "usage: relay BACKEND_PORT\n"), 2;
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    backend.sin_addr = local.sin_addr;
    backend.sin_port = htons(atoi(argv[1]));
    socklen_t size = sizeof local;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&local, size) || listen(listener, 4096)) fail("listen");
    if (getsockname(listener, (struct sockaddr *)&local, &size)) fail("getsockname");
    poller = epoll_create1(EPOLL_CLOEXEC);
    for (int fd = 0; fd < MAX_FD; fd++) other[fd] = -1;
    watch(listener, EPOLLIN);
    printf("{\"port\":%d}\n", ntohs(local.sin_port));
    fflush(stdout);
    struct epoll_event events[256];
    while (true) {
        int count = epoll_wait(poller, events, 256, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) admit(fd);
            else if (other[fd] >= 0) relay(fd);
        }
    }
}
