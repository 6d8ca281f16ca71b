// A closed-loop keep-alive client that does exactly what it was told, so that two runs of it can be subtracted.
//
// Each connection sends a request, reads the whole answer, checks its status and sends the next. With --requests every
// connection has its own share of the total, so the order in which answers arrive changes nothing. Anything unexpected
// (another status, a connection closed unasked, an answer without Content-Length) ends the run with exit code 1: a
// number that counts errors is worse than none.
//
//   loop --port P [--address A] [--source A] [--connections C] (--requests N | --seconds S) [--path /100]
//        [--method GET] [--header 'Name: value']... [--body TEXT] [--expect 200] [--hold]
//
// Prints one JSON line. --hold opens the connections one after the other, one request each, prints its line, and keeps
// them open until standard input ends.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_BYTES = 8192, SCRATCH_BYTES = 1 << 18, BUCKETS = 64 * 32 };

struct connection {
    int fd;
    long quota;      // requests this connection may still start
    size_t have;     // bytes of the head read so far
    bool in_body;
    long body_left;
    bool closes;     // the answer said Connection: close
    uint64_t sent_at;
    char head[HEAD_BYTES + 1];
};

static struct sockaddr_in target = {.sin_family = AF_INET}, source = {.sin_family = AF_INET};
static char request[HEAD_BYTES], scratch[SCRATCH_BYTES];
static size_t request_bytes;
static int poller, expected = 200;
static long done, outstanding, reconnects;
static unsigned long long bytes_read;
static uint64_t deadline;
static uint64_t histogram[BUCKETS];

static void fail(const char *what, const char *detail) {
    fprintf(stderr, "loop: %s%s%s\n", what, detail ? ": " : "", detail ? detail : "");
    exit(1);
}

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/// Buckets of 1/32 of a power of two: a quantile is exact to 3 %.
static void record(uint64_t ns) {
    int power = 63 - __builtin_clzll(ns | 32);
    histogram[(power - 5) * 32 + (int)(ns >> (power - 5) & 31)]++;
}

static double quantile_us(double q) {
    uint64_t total = 0, seen = 0;
    for (int i = 0; i < BUCKETS; i++) total += histogram[i];
    for (int i = 0; i < BUCKETS; i++) {
        seen += histogram[i];
        if (total > 0 && (double)seen >= q * (double)total) return (double)((uint64_t)(32 + i % 32) << (i / 32)) / 1000;
    }
    return 0;
}

static void open_connection(struct connection *c) {
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (source.sin_addr.s_addr) {
        // Without this the kernel picks the port at bind, which wears the range out sooner.
        setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(c->fd, (struct sockaddr *)&source, sizeof source) < 0) fail("bind", strerror(errno));
    }
    if (connect(c->fd, (struct sockaddr *)&target, sizeof target) < 0) fail("connect", strerror(errno));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event) < 0) fail("epoll_ctl", strerror(errno));
}

static void start(struct connection *c) {
    c->have = 0;
    c->in_body = c->closes = false;
    c->quota--;
    outstanding++;
    c->sent_at = now();
    if (send(c->fd, request, request_bytes, MSG_NOSIGNAL) != (ssize_t)request_bytes) fail("send", strerror(errno));
}

static void finish(struct connection *c) {
    uint64_t at = now();
    record(at - c->sent_at);
    done++;
    outstanding--;
    if (c->closes) {
        close(c->fd);
        reconnects++;
        open_connection(c);
    }
    if (c->quota > 0 && (!deadline || at < deadline)) start(c);
}

/// Status, framing and Connection of a complete head.
static void read_head(struct connection *c, size_t length) {
    c->head[length] = 0;
    if (strncmp(c->head, "HTTP/1.1 ", 9) != 0 || atoi(c->head + 9) != expected) {
        c->head[strcspn(c->head, "\r")] = 0;
        fail("unexpected answer", c->head);
    }
    const char *field = strcasestr(c->head, "\r\ncontent-length:");
    if (!field) fail("answer without Content-Length", NULL);
    c->body_left = strtol(field + 17, NULL, 10);
    const char *connection = strcasestr(c->head, "\r\nconnection: close");
    c->closes = connection != NULL;
    c->in_body = true;
}

static void receive(struct connection *c) {
    ssize_t n = recv(c->fd, scratch, sizeof scratch, 0);
    if (n < 0) fail("recv", strerror(errno));
    if (n == 0) fail("the proxy closed a connection", c->have ? "in the middle of a head" : NULL);
    bytes_read += (unsigned long long)n;
    size_t used = 0;
    if (!c->in_body) {
        size_t room = HEAD_BYTES - c->have, take = (size_t)n < room ? (size_t)n : room, before = c->have;
        memcpy(c->head + c->have, scratch, take);
        c->have += take;
        char *end = memmem(c->head, c->have, "\r\n\r\n", 4);
        if (!end && c->have == HEAD_BYTES) fail("head too long", NULL);
        if (!end) return;
        size_t length = (size_t)(end - c->head) + 4;
        used = length - before;
        read_head(c, length);
    }
    c->body_left -= (long)((size_t)n - used);
    if (c->body_left < 0) fail("more bytes than Content-Length", NULL);
    if (c->body_left == 0) finish(c);
}

static void run(void) {
    struct epoll_event events[256];
    while (outstanding > 0) {
        int ready = epoll_wait(poller, events, 256, 10000);
        if (ready == 0) fail("no answer for ten seconds", NULL);
        for (int i = 0; i < ready; i++) receive(events[i].data.ptr);
    }
}

static void address(struct sockaddr_in *into, const char *text) {
    if (inet_pton(AF_INET, text, &into->sin_addr) != 1) fail("not an IPv4 address", text);
}

int main(int argc, char **argv) {
    enum { PORT = 1, ADDRESS, SOURCE, CONNECTIONS, REQUESTS, SECONDS, PATH, METHOD, HEADER, BODY, EXPECT, HOLD };
    static const struct option options[] = {
        {"port", 1, 0, PORT}, {"address", 1, 0, ADDRESS}, {"source", 1, 0, SOURCE}, {"connections", 1, 0, CONNECTIONS},
        {"requests", 1, 0, REQUESTS}, {"seconds", 1, 0, SECONDS}, {"path", 1, 0, PATH}, {"method", 1, 0, METHOD},
        {"header", 1, 0, HEADER}, {"body", 1, 0, BODY}, {"expect", 1, 0, EXPECT}, {"hold", 0, 0, HOLD}, {0}};
    const char *path = "/100", *method = "GET", *body = "";
    char headers[HEAD_BYTES / 2] = "";
    long connections = 1, requests = 0;
    double seconds = 0;
    bool hold = false;
    address(&target, "127.0.0.1");
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case PORT: target.sin_port = htons((uint16_t)atoi(optarg)); break;
        case ADDRESS: address(&target, optarg); break;
        case SOURCE: address(&source, optarg); break;
        case CONNECTIONS: connections = atol(optarg); break;
        case REQUESTS: requests = atol(optarg); break;
        case SECONDS: seconds = atof(optarg); break;
        case PATH: path = optarg; break;
        case METHOD: method = optarg; break;
        case HEADER:
            if (strlen(headers) + strlen(optarg) + 3 > sizeof headers) fail("headers too long", NULL);
            strcat(strcat(headers, optarg), "\r\n");
            break;
        case BODY: body = optarg; break;
        case EXPECT: expected = atoi(optarg); break;
        case HOLD: hold = true; break;
        default: return 2;
        }
    }
    if (hold) requests = connections;
    if (!target.sin_port || connections < 1 || (requests < 1) == (seconds <= 0)) {
        fputs("usage: loop --port P (--requests N | --seconds S | --hold) [options, see loop.c]\n", stderr);
        return 2;
    }
    char length[64] = "";
    if (*body) snprintf(length, sizeof length, "Content-Length: %zu\r\n", strlen(body));
    int total = snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: bench.test\r\n%s%s\r\n%s", method, path,
                         headers, length, body);
    if (total >= (int)sizeof request) fail("request too long", NULL);
    request_bytes = (size_t)total;

    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct connection *all = calloc((size_t)connections, sizeof *all);
    if (!all || poller < 0) fail("start", strerror(errno));

    uint64_t began = now();
    if (seconds > 0) deadline = began + (uint64_t)(seconds * 1e9);
    for (long i = 0; i < connections; i++) {
        all[i].quota = seconds > 0 ? INT32_MAX : requests / connections + (i < requests % connections);
        open_connection(&all[i]);
        if (!hold) continue;
        start(&all[i]);
        run();
    }
    for (long i = 0; i < connections; i++)
        if (all[i].quota > 0) start(&all[i]);
    run();
    printf("{\"requests\":%ld,\"seconds\":%.6f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"reconnects\":%ld,\"bytes\":%llu}\n",
           done, (double)(now() - began) / 1e9, quantile_us(0.5), quantile_us(0.99), reconnects, bytes_read);
    fflush(stdout);
    while (hold && read(STDIN_FILENO, scratch, sizeof scratch) > 0) continue;
    return 0;
}
