// An HTTP/1.1 client that does exactly what it was told, so that two runs of it can be subtracted.
//
// Closed loop: each connection sends a request, reads the whole answer, checks its status and its length, and sends the
// next. With --requests every connection has its own share of the total, so the order in which answers arrive changes
// nothing. With --rate the requests are due at fixed times, whatever became of those before, and their latency counts
// from the moment they were due: a proxy that stalls is charged for everybody who had to wait (no coordinated
// omission). Anything unexpected (another status, another length, a connection closed unasked) ends the run with exit
// code 1: a number that counts errors is worse than none.
//
//   loop --port P [--address A] [--source A] [--connections C] (--requests N | --seconds S [--rate R] | --hold)
//        [--path /100 | --paths FILE] [--method GET] [--header 'Name: value']... [--headers FILE] [--first LINE]
//        [--body TEXT | --body-bytes N [--chunk N]] [--expect 200] [--length N]
//        [--tls] [--reconnect [--resume]] [--tolerate]
//
// --paths and --headers take one line of the file for each request, in turn, from line --first on. --chunk sends the
// body in chunks of that size. --reconnect opens a connection for each request, --resume does so with the TLS session
// of the one before. --tolerate counts connections that were closed without an answer, and asks again. --hold opens the
// connections one after the other, one request each, and keeps them open until standard input ends. One JSON line.

#define _GNU_SOURCE
#include "answers.h"
#include "latency.h"
#include "lines.h"
#include "stream.h"
#include <getopt.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>

enum { SCRATCH_BYTES = 1 << 18 };

struct connection {
    struct stream stream;
    struct answer answer;
    long quota;       // requests this connection may still start
    bool asked;       // a request is under way, or waits for the handshake
    bool is_writing;  // the socket is full: epoll tells when it is not
    size_t sent;      // of head and body
    size_t head_bytes;
    uint64_t since;
    struct connection *next_idle;
    char head[HEAD_BYTES];
};

static struct lines paths, varying;
static const char *path = "/100", *method = "GET", *body = "";
static char headers[HEAD_BYTES / 2], framing[64], scratch[SCRATCH_BYTES];
static size_t body_bytes;
static bool reconnects_always, tolerates;
static int poller;
static long done, outstanding, reconnects, broken;
static unsigned long long bytes_read;
static uint64_t began, deadline, interval;  // the interval of --rate, in nanoseconds
static long due;                            // requests of --rate that were started
static struct connection *idle;             // connections that --rate may use

static void append(struct connection *c, const char *text, size_t count) {
    if (c->head_bytes + count > HEAD_BYTES) fail("request too long", NULL);
    memcpy(c->head + c->head_bytes, text, count);
    c->head_bytes += count;
}

static void compose(struct connection *c) {
    c->head_bytes = c->sent = 0;
    const char *target_path = paths.count ? lines_next(&paths) : path;
    append(c, method, strlen(method));
    append(c, " ", 1);
    append(c, target_path, strlen(target_path));
    append(c, " HTTP/1.1\r\nHost: bench.test\r\n", 29);
    append(c, headers, strlen(headers));
    if (varying.count) {
        const char *line = lines_next(&varying);
        append(c, line, strlen(line));
        append(c, "\r\n", 2);
    }
    append(c, framing, strlen(framing));
    append(c, "\r\n", 2);
    // A small body goes with the head, so that a request is one segment.
    if (body_bytes > 0 && body_bytes <= HEAD_BYTES / 4) append(c, body, body_bytes);
}

static void watch(struct connection *c, int operation, unsigned events) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(poller, operation, c->stream.fd, &event) < 0) fail("epoll_ctl", strerror(errno));
}

static void open_connection(struct connection *c) {
    c->is_writing = false;
    stream_open(&c->stream);
    watch(c, EPOLL_CTL_ADD, EPOLLIN);
}

static void reopen(struct connection *c) {
    stream_close(&c->stream);
    open_connection(c);
}

/// Sends what is left of the request, or as much as the socket takes.
static void push(struct connection *c) {
    if (!stream_is_ready(&c->stream)) return;
    size_t beyond = body_bytes > HEAD_BYTES / 4 ? body_bytes : 0, total = c->head_bytes + beyond;
    while (c->sent < total) {
        bool in_head = c->sent < c->head_bytes;
        const char *from = in_head ? c->head + c->sent : body + (c->sent - c->head_bytes);
        ssize_t n = stream_send(&c->stream, from, in_head ? c->head_bytes - c->sent : total - c->sent);
        if (n < 0 && errno == EAGAIN) {
            if (!c->is_writing) watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            c->is_writing = true;
            return;
        }
        // Whoever may be closed hears of it by reading.
        if (n < 0 && tolerates) return;
        if (n < 0) fail("send", strerror(errno));
        c->sent += (size_t)n;
    }
    if (c->is_writing) watch(c, EPOLL_CTL_MOD, EPOLLIN);
    c->is_writing = false;
}

static void start(struct connection *c, uint64_t at) {
    answer_begin(&c->answer);
    c->asked = true;
    c->quota--;
    outstanding++;
    c->since = at;
    compose(c);
    push(c);
}

static void finish(struct connection *c) {
    uint64_t at = now();
    record(at - c->since);
    done++;
    outstanding--;
    c->asked = false;
    bool again = c->quota > 0 && (!deadline || at < deadline);
    if (reconnects_always ? again : c->answer.closes) reopen(c);
    if (c->answer.closes) reconnects++;
    if (interval) {
        c->next_idle = idle;
        idle = c;
    } else if (again) {
        start(c, reconnects_always ? at : now());
    }
}

/// The connection ended without an answer: with --tolerate a new one is asked the same, and the time goes on.
static void lost(struct connection *c, const char *why) {
    bool halfway = c->asked && c->answer.have > 0;
    if (!tolerates) fail("the proxy closed a connection", halfway ? "in the middle of an answer" : why);
    reopen(c);
    if (!c->asked) return;
    broken++;
    answer_begin(&c->answer);
    c->sent = 0;
    push(c);
}

static void receive(struct connection *c) {
    do {
        ssize_t n = stream_recv(&c->stream, scratch, sizeof scratch);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) {
            lost(c, n < 0 ? strerror(errno) : NULL);
            return;
        }
        bytes_read += (unsigned long long)n;
        if (!c->asked) fail("bytes that nobody asked for", NULL);
        if (answer_take(&c->answer, scratch, (size_t)n)) {
            finish(c);
            return;
        }
    } while (c->stream.ssl);  // what OpenSSL has already read wakes nobody
}

static void happened(struct connection *c, unsigned events) {
    bool was_ready = stream_is_ready(&c->stream);
    if (c->asked && (c->is_writing ? (events & EPOLLOUT) != 0 : was_ready && c->sent == 0)) push(c);
    if (was_ready && events & ~(unsigned)EPOLLOUT) receive(c);
}

/// Starts what is due while there are connections for it; gives the nanoseconds until the next one is.
static uint64_t start_due(void) {
    uint64_t at = now();
    for (; idle; due++) {
        uint64_t when = began + (uint64_t)due * interval;
        if (when >= deadline) break;
        if (when > at) return when - at;
        struct connection *c = idle;
        idle = c->next_idle;
        start(c, when);
    }
    return 10000000000u;
}

static void run(void) {
    struct epoll_event events[256];
    for (;;) {
        uint64_t patience = interval ? start_due() : 10000000000u;
        if (outstanding == 0 && patience == 10000000000u) return;
        struct timespec wait = {.tv_sec = (time_t)(patience / 1000000000u), .tv_nsec = (long)(patience % 1000000000u)};
        int ready = epoll_pwait2(poller, events, 256, &wait, NULL);
        if (ready == 0 && patience == 10000000000u) fail("no answer for ten seconds", NULL);
        for (int i = 0; i < ready; i++) happened(events[i].data.ptr, events[i].events);
    }
}

/// The body on the wire, and the field that announces it.
static void make_body(long length, long chunk) {
    if (length == 0) {
        body_bytes = strlen(body);
        if (*body) snprintf(framing, sizeof framing, "Content-Length: %zu\r\n", body_bytes);
        return;
    }
    char *made = malloc(chunk ? chunks_room((size_t)length, (size_t)chunk) : (size_t)length);
    if (!made) fail("body", strerror(errno));
    if (chunk) {
        body_bytes = chunks_write(made, (size_t)length, (size_t)chunk);
        strcpy(framing, "Transfer-Encoding: chunked\r\n");
    } else {
        memset(made, 'x', (size_t)length);
        body_bytes = (size_t)length;
        snprintf(framing, sizeof framing, "Content-Length: %ld\r\n", length);
    }
    body = made;
}

int main(int argc, char **argv) {
    enum { PORT = 1, ADDRESS, SOURCE, CONNECTIONS, REQUESTS, SECONDS, RATE, PATH, PATHS, METHOD, HEADER, HEADERS, FIRST,
           BODY, BODY_BYTES, CHUNK, EXPECT, LENGTH, TLS, RECONNECT, RESUME, TOLERATE, HOLD };
    static const struct option options[] = {
        {"port", 1, 0, PORT}, {"address", 1, 0, ADDRESS}, {"source", 1, 0, SOURCE}, {"connections", 1, 0, CONNECTIONS},
        {"requests", 1, 0, REQUESTS}, {"seconds", 1, 0, SECONDS}, {"rate", 1, 0, RATE}, {"path", 1, 0, PATH},
        {"paths", 1, 0, PATHS}, {"method", 1, 0, METHOD}, {"header", 1, 0, HEADER}, {"headers", 1, 0, HEADERS},
        {"first", 1, 0, FIRST}, {"body", 1, 0, BODY}, {"body-bytes", 1, 0, BODY_BYTES}, {"chunk", 1, 0, CHUNK},
        {"expect", 1, 0, EXPECT}, {"length", 1, 0, LENGTH}, {"tls", 0, 0, TLS}, {"reconnect", 0, 0, RECONNECT},
        {"resume", 0, 0, RESUME}, {"tolerate", 0, 0, TOLERATE}, {"hold", 0, 0, HOLD}, {0}};
    long connections = 1, requests = 0, length = 0, chunk = 0, first = 0;
    double seconds = 0, rate = 0;
    bool hold = false, with_tls = false, resume = false;
    address(&target, "127.0.0.1");
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case PORT: target.sin_port = htons((uint16_t)atoi(optarg)); break;
        case ADDRESS: address(&target, optarg); break;
        case SOURCE: address(&source, optarg); break;
        case CONNECTIONS: connections = atol(optarg); break;
        case REQUESTS: requests = atol(optarg); break;
        case SECONDS: seconds = atof(optarg); break;
        case RATE: rate = atof(optarg); break;
        case PATH: path = optarg; break;
        case PATHS: lines_read(&paths, optarg); break;
        case METHOD: method = optarg; break;
        case HEADER:
            if (strlen(headers) + strlen(optarg) + 3 > sizeof headers) fail("headers too long", NULL);
            strcat(strcat(headers, optarg), "\r\n");
            break;
        case HEADERS: lines_read(&varying, optarg); break;
        case FIRST: first = atol(optarg); break;
        case BODY: body = optarg; break;
        case BODY_BYTES: length = atol(optarg); break;
        case CHUNK: chunk = atol(optarg); break;
        case EXPECT: expected_status = atoi(optarg); break;
        case LENGTH: expected_length = atol(optarg); break;
        case TLS: with_tls = true; break;
        case RECONNECT: reconnects_always = true; break;
        case RESUME: resume = true; break;
        case TOLERATE: tolerates = true; break;
        case HOLD: hold = true; break;
        default: return 2;
        }
    }
    if (hold) requests = connections;
    if (!target.sin_port || connections < 1 || (requests < 1) == (seconds <= 0) || (rate > 0 && seconds <= 0)) {
        fputs("usage: loop --port P (--requests N | --seconds S [--rate R] | --hold) [options, see loop.c]\n", stderr);
        return 2;
    }
    make_body(length, chunk);
    lines_begin(&paths, first);
    lines_begin(&varying, first);
    if (with_tls) use_tls(resume);

    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    prctl(PR_SET_TIMERSLACK, 1);  // --rate sleeps for microseconds
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct connection *all = calloc((size_t)connections, sizeof *all);
    if (!all || poller < 0) fail("start", strerror(errno));

    for (long i = 0; i < connections; i++) {
        all[i].quota = seconds > 0 ? INT32_MAX : requests / connections + (i < requests % connections);
        if (!hold) continue;
        open_connection(&all[i]);
        start(&all[i], now());
        run();
    }
    for (long i = 0; i < connections && !hold; i++) {
        open_connection(&all[i]);
        all[i].next_idle = idle;
        idle = &all[i];
    }
    began = now();
    if (seconds > 0) deadline = began + (uint64_t)(seconds * 1e9);
    if (rate > 0) interval = (uint64_t)(1e9 / rate);
    for (long i = 0; i < connections && !interval; i++)
        if (all[i].quota > 0) start(&all[i], now());
    run();
    printf("{\"requests\":%ld,\"seconds\":%.6f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f,\"reconnects\":%ld,"
           "\"broken\":%ld,\"handshakes\":%ld,\"resumed\":%ld,\"bytes\":%llu}\n",
           done, (double)(now() - began) / 1e9, quantile_us(0.5), quantile_us(0.99), (double)slowest / 1000, reconnects,
           broken, handshakes, resumed, bytes_read);
    fflush(stdout);
    while (hold && read(STDIN_FILENO, scratch, sizeof scratch) > 0) continue;
    return 0;
}
