// A backend that costs next to nothing and does the same work for every request, so that what is measured is the proxy.
//
// One thread, level-triggered epoll, keep-alive without limit. The last segment of the path chooses the answer:
//   /100 /4k /1m   200 with that many bytes        POST /…/login   401, what a wrong password gets
//   /upload        200 when 10 MiB were received   /chunked        1 MiB in chunks when 1 MiB was received
//   /ws            101, then every frame comes back
//   /who           200 when the identity of the token that is repeated came with the request, else 400
//   /count         how many requests came before   anything else   404
// A request is answered when its body is complete; a body of another size than the path wants gets 400.
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

#include "chunks.h"

enum { REQUEST_BYTES = 16384, MAX_FD = 65536, DATE_BYTES = 29, SCRATCH_BYTES = 1 << 18, CHUNK_BYTES = 16384 };
enum { MEBIBYTE = 1 << 20 };

struct answer {
    char *bytes;
    size_t count;
    char *date;  // inside `bytes`, fixed width, rewritten when the second changes
    long wants;  // bytes of request body; 0: any
};

struct connection {
    char request[REQUEST_BYTES];
    size_t have;
    enum { READS_HEAD, READS_SIZED, READS_CHUNKS, ECHOES } at;
    long body, body_left;
    struct chunks chunks;
    const struct answer *answer;   // what the request gets when its body is complete
    const struct answer *sending;  // NULL when nothing is under way
    size_t sent;
};

static struct connection *connections[MAX_FD];
static struct answer small, page, large, uploaded, chunked, denied, missing, mistaken, upgraded, counted;
static char scratch[SCRATCH_BYTES];
static unsigned long long requests;
static time_t shown_second;
static int poller;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

/// `framing` is the field that tells where the body ends; for Content-Length it is made from the count.
static void build(struct answer *answer, const char *status, const char *framing, const char *body, size_t count) {
    char head[512], length[64];
    snprintf(length, sizeof length, "Content-Length: %zu", count);
    int bytes = snprintf(head, sizeof head,
                         "HTTP/1.1 %s\r\nDate: %*s\r\nContent-Type: text/plain\r\n%s\r\n\r\n", status, DATE_BYTES, "",
                         framing ? framing : length);
    answer->bytes = realloc(answer->bytes, (size_t)bytes + count);
    if (!answer->bytes) fail("realloc");
    memcpy(answer->bytes, head, (size_t)bytes);
    memcpy(answer->bytes + bytes, body, count);
    answer->count = (size_t)bytes + count;
    answer->date = strstr(answer->bytes, "Date: ") + 6;
}

static void build_all(void) {
    char *body = malloc(MEBIBYTE), *chunks = malloc(chunks_room(MEBIBYTE, CHUNK_BYTES));
    if (!body || !chunks) fail("malloc");
    memset(body, 'x', MEBIBYTE);
    build(&small, "200 OK", NULL, body, 100);
    build(&page, "200 OK", NULL, body, 4096);
    build(&large, "200 OK", NULL, body, MEBIBYTE);
    build(&uploaded, "200 OK", NULL, body, 100);
    uploaded.wants = 10 * MEBIBYTE;
    build(&chunked, "200 OK", "Transfer-Encoding: chunked", chunks, chunks_write(chunks, MEBIBYTE, CHUNK_BYTES));
    chunked.wants = MEBIBYTE;
    build(&denied, "401 Unauthorized", NULL, "{\"detail\":\"wrong password\"}", 27);
    build(&missing, "404 Not Found", NULL, "", 0);
    build(&mistaken, "400 Bad Request", NULL, "", 0);
    // The answer to the one key that tools/websocket.c sends, so that no SHA-1 is needed here (RFC 6455 §1.3).
    build(&upgraded, "101 Switching Protocols",
          "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "", 0);
}

static void refresh_dates(void) {
    time_t now = time(NULL);
    if (now == shown_second) return;
    shown_second = now;
    char text[DATE_BYTES + 1];
    struct tm parts;
    gmtime_r(&now, &parts);
    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    struct answer *all[] = {&small, &page, &large, &uploaded, &chunked, &denied, &missing, &mistaken, &upgraded};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) memcpy(all[i]->date, text, DATE_BYTES);
}

/// What a proxy adds that has verified the token of tokens.py.
static bool is_identified(const char *head) {
    return strcasestr(head, "\r\nx-user-id: user-0123456789\r\n") && strcasestr(head, "\r\nx-user-role: user\r\n")
        && strcasestr(head, "\r\nx-authenticated: true\r\n");
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
    if (IS("/upload")) return &uploaded;
    if (IS("/chunked")) return &chunked;
    if (IS("/who")) return is_identified(head) ? &small : &mistaken;
    if (IS("/ws") && strcasestr(head, "\r\nupgrade: websocket")) return &upgraded;
    if (IS("/login") && strncmp(head, "POST ", 5) == 0) return &denied;
    if (IS("/count")) {
        char body[64];
        int count = snprintf(body, sizeof body, "{\"requests\":%llu}\n", requests);
        build(&counted, "200 OK", NULL, body, (size_t)count);
        memcpy(counted.date, small.date, DATE_BYTES);
        return &counted;
    }
#undef IS
    return &missing;
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

/// Sends back every complete frame, unmasked (RFC 6455 §5.2); only what fits the short form is understood.
static bool echo(int fd, struct connection *c) {
    size_t used = 0;
    while (c->have - used >= 6) {
        unsigned char *frame = (unsigned char *)c->request + used, *key = frame + 2;
        size_t length = frame[1] & 127;
        if (length > 125 || !(frame[1] & 128)) {
            drop(fd);
            return false;
        }
        if (c->have - used < 6 + length) break;
        char back[2 + 125] = {(char)frame[0], (char)length};
        for (size_t i = 0; i < length; i++) back[2 + i] = (char)(frame[6 + i] ^ key[i & 3]);
        used += 6 + length;
        // One message is under way at a time, so the socket has room for it.
        if (send(fd, back, 2 + length, MSG_NOSIGNAL) != (ssize_t)(2 + length)) {
            drop(fd);
            return false;
        }
    }
    memmove(c->request, c->request + used, c->have - used);
    c->have -= used;
    return true;
}

/// Chooses the answer to a complete, NUL-terminated head, and how its body is read.
static void begin(struct connection *c, const char *head) {
    const char *length = strcasestr(head, "\r\ncontent-length:");
    requests++;
    c->answer = choose(head);
    c->body = 0;
    c->body_left = length ? strtol(length + 17, NULL, 10) : 0;
    c->chunks = (struct chunks){0};
    c->at = strcasestr(head, "\r\ntransfer-encoding: chunked") ? READS_CHUNKS : READS_SIZED;
}

/// Takes bytes of the body and gives their count; sends the answer when there are no more to come.
static size_t read_body(struct connection *c, const char *bytes, size_t count) {
    size_t taken;
    bool complete;
    if (c->at == READS_CHUNKS) {
        taken = chunks_take(&c->chunks, bytes, count);
        complete = c->chunks.at == CHUNKS_DONE || c->chunks.at == CHUNKS_BAD;
        c->body = c->chunks.at == CHUNKS_BAD ? -1 : c->chunks.received;
    } else {
        taken = count < (size_t)c->body_left ? count : (size_t)c->body_left;
        c->body_left -= (long)taken;
        c->body += (long)taken;
        complete = c->body_left == 0;
    }
    if (complete) {
        c->sending = c->answer->wants && c->answer->wants != c->body ? &mistaken : c->answer;
        c->sent = 0;
        c->at = c->sending == &upgraded ? ECHOES : READS_HEAD;
    }
    return taken;
}

/// Answers every complete request in the buffer, in order; false when the connection is gone.
static bool serve(int fd, struct connection *c) {
    while (!c->sending) {
        size_t used;
        if (c->at == ECHOES) return echo(fd, c);
        if (c->at == READS_HEAD) {
            char *end = memmem(c->request, c->have, "\r\n\r\n", 4);
            if (!end) return true;
            used = (size_t)(end - c->request) + 4;
            char after = c->request[used];
            c->request[used] = 0;
            begin(c, c->request);
            c->request[used] = after;
        } else {
            used = read_body(c, c->request, c->have);
            if (!c->sending && used == 0) return true;
        }
        memmove(c->request, c->request + used, c->have - used);
        c->have -= used;
        if (!push(fd, c, false)) return false;
    }
    return true;
}

static void receive(int fd) {
    struct connection *c = connections[fd];
    // Nothing stands behind a body of these clients, so a body can be read without keeping it.
    bool in_body = (c->at == READS_SIZED || c->at == READS_CHUNKS) && c->have == 0;
    // One byte stays free for the NUL that `serve` puts behind a head.
    ssize_t n = in_body ? recv(fd, scratch, sizeof scratch, 0)
                        : recv(fd, c->request + c->have, REQUEST_BYTES - 1 - c->have, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0 || (in_body && read_body(c, scratch, (size_t)n) < (size_t)n)) {
        drop(fd);
        return;
    }
    if (in_body) {
        push(fd, c, false);
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

    build_all();
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
