// A backend that costs next to nothing and does the same work for every request, so that what is measured is the proxy.
//
// One thread, level-triggered epoll, keep-alive without limit. The last segment of the path chooses the answer:
//   /100 /4k /1m   200 with that many bytes        POST /…/login   401, what a wrong password gets
//   /count         how many requests came before   anything else   404
// Request bodies are read by Content-Length and dropped; a chunked request gets 411, because no tool here sends one.
// Prints {"port":N} when it listens, runs until it is killed.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { REQUEST_BYTES = 16384, MAX_FD = 65536, DATE_BYTES = 29 };

struct answer {
    char *bytes;
    size_t count;
    char *date;  // inside `bytes`, fixed width, rewritten when the second changes
};

struct connection {
    char request[REQUEST_BYTES];
    size_t have;
    size_t body_left;
    const struct answer *sending;  // NULL when nothing is under way
    size_t sent;
};

static struct connection *connections[MAX_FD];
static struct answer small, page, large, denied, missing, length_required, counted;
static unsigned long long requests;
static time_t shown_second;
static int poller;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void build(struct answer *answer, const char *status, const char *type, const char *body, size_t count) {
    char head[256];
    int length = snprintf(head, sizeof head,
                          "HTTP/1.1 %s\r\nDate: %*s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", status,
                          DATE_BYTES, "", type, count);
    answer->bytes = realloc(answer->bytes, (size_t)length + count);
    if (!answer->bytes) fail("realloc");
    memcpy(answer->bytes, head, (size_t)length);
    memcpy(answer->bytes + length, body, count);
    answer->count = (size_t)length + count;
    answer->date = strstr(answer->bytes, "Date: ") + 6;
}

static void refresh_dates(void) {
    time_t now = time(NULL);
    if (now == shown_second) return;
    shown_second = now;
    char text[DATE_BYTES + 1];
    struct tm parts;
    gmtime_r(&now, &parts);
    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    struct answer *all[] = {&small, &page, &large, &denied, &missing, &length_required};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) memcpy(all[i]->date, text, DATE_BYTES);
}

static const struct answer *choose(const char *head) {
    const char *target = strchr(head, ' ');
    if (!target) return &missing;
    target++;
    size_t length = strcspn(target, " ?\r");
    const char *last = memrchr(target, '/', length);
    if (!last) return &missing;
    size_t segment = length - (size_t)(last - target);
#define IS(text) (segment == sizeof(text) - 1 && memcmp(last, text, segment) == 0)
    if (IS("/100")) return &small;
    if (IS("/4k")) return &page;
    if (IS("/1m")) return &large;
    if (IS("/login") && strncmp(head, "POST ", 5) == 0) return &denied;
    if (IS("/count")) {
        char body[64];
        int count = snprintf(body, sizeof body, "{\"requests\":%llu}\n", requests);
        build(&counted, "200 OK", "application/json", body, (size_t)count);
        memcpy(counted.date, small.date, DATE_BYTES);
        return &counted;
    }
#undef IS
    return &missing;
}

/// Content-Length of a complete, NUL-terminated head; -1 for a chunked body.
static long body_length(const char *head) {
    if (strcasestr(head, "\r\ntransfer-encoding:")) return -1;
    const char *field = strcasestr(head, "\r\ncontent-length:");
    return field ? strtol(field + 17, NULL, 10) : 0;
}

static void drop(int fd) {
    close(fd);
    free(connections[fd]);
    connections[fd] = NULL;
}

static void watch(int fd, unsigned events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(poller, EPOLL_CTL_MOD, fd, &event) < 0) fail("epoll_ctl");
}

/// Sends what is left of the answer; false when the connection is gone.
static bool push(int fd, struct connection *c, bool was_waiting) {
    while (c->sending) {
        ssize_t n = send(fd, c->sending->bytes + c->sent, c->sending->count - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            if (!was_waiting) watch(fd, EPOLLOUT);
            return true;
        }
        if (n < 0) {
            drop(fd);
            return false;
        }
        c->sent += (size_t)n;
        if (c->sent == c->sending->count) c->sending = NULL;
    }
    if (was_waiting) watch(fd, EPOLLIN);
    return true;
}

/// Answers every complete request in the buffer, in order; false when the connection is gone.
static bool serve(int fd, struct connection *c) {
    while (!c->sending && c->have > 0) {
        if (c->body_left > 0) {
            size_t eaten = c->body_left < c->have ? c->body_left : c->have;
            memmove(c->request, c->request + eaten, c->have - eaten);
            c->have -= eaten;
            c->body_left -= eaten;
            continue;
        }
        char *end = memmem(c->request, c->have, "\r\n\r\n", 4);
        if (!end) return true;
        size_t head = (size_t)(end - c->request) + 4;
        char after = c->request[head];
        c->request[head] = 0;
        long body = body_length(c->request);
        c->sending = body < 0 ? &length_required : choose(c->request);
        requests++;
        c->request[head] = after;
        c->body_left = body < 0 ? 0 : (size_t)body;
        memmove(c->request, c->request + head, c->have - head);
        c->have -= head;
        c->sent = 0;
        if (!push(fd, c, false)) return false;
    }
    return true;
}

static void receive(int fd) {
    struct connection *c = connections[fd];
    // One byte stays free for the NUL that `serve` puts behind a head.
    ssize_t n = recv(fd, c->request + c->have, REQUEST_BYTES - 1 - c->have, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        drop(fd);
        return;
    }
    c->have += (size_t)n;
    // A head that fills the buffer and has no end will never get one.
    if (serve(fd, c) && c->have == REQUEST_BYTES - 1 && !c->sending) drop(fd);
}

static void welcome(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    if (fd >= MAX_FD) {
        close(fd);
        return;
    }
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connections[fd] = calloc(1, sizeof(struct connection));
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (!connections[fd] || epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0) fail("accept");
}

static int listen_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 4096) < 0) fail("listen");
    socklen_t length = sizeof address;
    getsockname(fd, (struct sockaddr *)&address, &length);
    printf("{\"port\":%d}\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);

    char *body = malloc(1 << 20);
    if (!body) fail("malloc");
    memset(body, 'x', 1 << 20);
    build(&small, "200 OK", "text/plain", body, 100);
    build(&page, "200 OK", "text/plain", body, 4096);
    build(&large, "200 OK", "application/octet-stream", body, 1 << 20);
    build(&denied, "401 Unauthorized", "application/json", "{\"detail\":\"wrong password\"}", 27);
    build(&missing, "404 Not Found", "text/plain", "", 0);
    build(&length_required, "411 Length Required", "text/plain", "", 0);

    int listener = listen_on(argc > 1 ? atoi(argv[1]) : 0);
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event first = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &first);

    struct epoll_event events[256];
    for (;;) {
        int ready = epoll_wait(poller, events, 256, -1);
        refresh_dates();
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                welcome(listener);
            } else if (events[i].events & EPOLLOUT) {
                struct connection *c = connections[fd];
                if (push(fd, c, true) && !c->sending) serve(fd, c);
            } else {
                receive(fd);
            }
        }
    }
}
