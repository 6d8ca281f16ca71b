// A closed loop over established WebSockets: each sends a text message of 100 bytes, waits until the same comes back,
// and sends the next. Anything else than the echo ends the run with exit code 1.
//
//   websocket --port P [--path /ws] [--connections C] (--requests N | --seconds S)
//
// Prints one JSON line in the form of loop.c; a request is a message.

#define _GNU_SOURCE
#include "latency.h"
#include "stream.h"
#include <getopt.h>
#include <poll.h>
#include <sys/epoll.h>

enum { PAYLOAD = 100, SENT = 6 + PAYLOAD, BACK = 2 + PAYLOAD };

struct connection {
    struct stream stream;
    long quota;
    size_t have;
    uint64_t since;
    unsigned char back[BACK];
};

static unsigned char frame[SENT], echo[BACK];
static long done, outstanding;
static uint64_t deadline;

/// FIN and text; masked as a client must (RFC 6455 §5.3), one key for all because nobody is to be protected here.
static void make_frames(void) {
    static const unsigned char key[4] = {0x37, 0xfa, 0x21, 0x3d};
    frame[0] = echo[0] = 0x81;
    frame[1] = 0x80 | PAYLOAD;
    echo[1] = PAYLOAD;
    memcpy(frame + 2, key, 4);
    for (int i = 0; i < PAYLOAD; i++) {
        echo[2 + i] = (unsigned char)('a' + i % 26);
        frame[6 + i] = echo[2 + i] ^ key[i & 3];
    }
}

static void send_all(struct connection *c, const void *bytes, size_t count) {
    if (stream_send(&c->stream, bytes, count) != (ssize_t)count) fail("send", strerror(errno));
}

static void upgrade(struct connection *c, const char *path) {
    char text[1024];
    int count = snprintf(text, sizeof text,
                         "GET %s HTTP/1.1\r\nHost: bench.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path);
    stream_open(&c->stream);
    send_all(c, text, (size_t)count);
    size_t have = 0;
    while (have < sizeof text - 1) {
        struct pollfd wait = {.fd = c->stream.fd, .events = POLLIN};
        if (poll(&wait, 1, 10000) <= 0) fail("no answer to the upgrade for ten seconds", NULL);
        ssize_t n = stream_recv(&c->stream, text + have, sizeof text - 1 - have);
        if (n <= 0) fail("the proxy closed a connection", n < 0 ? strerror(errno) : NULL);
        have += (size_t)n;
        text[have] = 0;
        // The server says nothing before it is spoken to, so the head is all there is.
        if (strstr(text, "\r\n\r\n")) break;
    }
    if (strncmp(text, "HTTP/1.1 101 ", 13) != 0 || !strstr(text, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")) {
        text[strcspn(text, "\r")] = 0;
        fail("no upgrade", text);
    }
}

static void start(struct connection *c) {
    c->have = 0;
    c->quota--;
    outstanding++;
    c->since = now();
    send_all(c, frame, SENT);
}

static void receive(struct connection *c) {
    ssize_t n = stream_recv(&c->stream, (char *)c->back + c->have, BACK - c->have);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) fail("the proxy closed a WebSocket", n < 0 ? strerror(errno) : NULL);
    c->have += (size_t)n;
    if (memcmp(c->back, echo, c->have) != 0) fail("not the echo", NULL);
    if (c->have < BACK) return;
    uint64_t at = now();
    record(at - c->since);
    done++;
    outstanding--;
    if (c->quota > 0 && (!deadline || at < deadline)) start(c);
}

int main(int argc, char **argv) {
    enum { PORT = 1, PATH, CONNECTIONS, REQUESTS, SECONDS };
    static const struct option options[] = {{"port", 1, 0, PORT}, {"path", 1, 0, PATH},
        {"connections", 1, 0, CONNECTIONS}, {"requests", 1, 0, REQUESTS}, {"seconds", 1, 0, SECONDS}, {0}};
    const char *path = "/ws";
    long connections = 1, requests = 0;
    double seconds = 0;
    address(&target, "127.0.0.1");
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case PORT: target.sin_port = htons((uint16_t)atoi(optarg)); break;
        case PATH: path = optarg; break;
        case CONNECTIONS: connections = atol(optarg); break;
        case REQUESTS: requests = atol(optarg); break;
        case SECONDS: seconds = atof(optarg); break;
        default: return 2;
        }
    }
    if (!target.sin_port || connections < 1 || (requests < 1) == (seconds <= 0)) {
        fputs("usage: websocket --port P (--requests N | --seconds S) [options, see websocket.c]\n", stderr);
        return 2;
    }
    make_frames();
    int poller = epoll_create1(EPOLL_CLOEXEC);
    struct connection *all = calloc((size_t)connections, sizeof *all);
    if (!all || poller < 0) fail("start", strerror(errno));
    for (long i = 0; i < connections; i++) {
        all[i].quota = seconds > 0 ? INT32_MAX : requests / connections + (i < requests % connections);
        upgrade(&all[i], path);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, all[i].stream.fd, &event) < 0) fail("epoll_ctl", strerror(errno));
    }
    uint64_t began = now();
    if (seconds > 0) deadline = began + (uint64_t)(seconds * 1e9);
    for (long i = 0; i < connections; i++)
        if (all[i].quota > 0) start(&all[i]);
    struct epoll_event events[256];
    while (outstanding > 0) {
        int ready = epoll_wait(poller, events, 256, 10000);
        if (ready == 0) fail("no echo for ten seconds", NULL);
        for (int i = 0; i < ready; i++) receive(events[i].data.ptr);
    }
    printf("{\"requests\":%ld,\"seconds\":%.6f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f}\n", done,
           (double)(now() - began) / 1e9, quantile_us(0.5), quantile_us(0.99), (double)slowest / 1000);
    return 0;
}
