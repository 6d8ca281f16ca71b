// Reads an HTTP/1.1 answer as it arrives, and ends the program when it is not the expected one.

#pragma once
#include "chunks.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD_BYTES = 8192 };

struct answer {
    enum { READS_HEAD, READS_SIZED, READS_CHUNKS } at;
    size_t have;  // bytes of the head read so far
    long left;    // of a body with Content-Length
    struct chunks chunks;
    bool closes;  // it said Connection: close
    char head[HEAD_BYTES + 1];
};

static int expected_status = 200;
static long expected_length = -1;  // of the body; -1 takes any

static inline void fail(const char *what, const char *detail) {
    fprintf(stderr, "%s%s%s\n", what, detail ? ": " : "", detail ? detail : "");
    exit(1);
}

static inline void answer_begin(struct answer *a) {
    a->at = READS_HEAD;
    a->have = 0;
    a->left = 0;
    a->chunks = (struct chunks){0};
    a->closes = false;
}

static inline void check_length(long length) {
    char text[64];
    snprintf(text, sizeof text, "%ld bytes, not %ld", length, expected_length);
    if (expected_length >= 0 && length != expected_length) fail("a body of another length", text);
}

/// Status, framing and Connection of a complete head.
static inline void answer_read_head(struct answer *a, size_t length) {
    a->head[length] = 0;
    if (strncmp(a->head, "HTTP/1.1 ", 9) != 0 || atoi(a->head + 9) != expected_status) {
        a->head[strcspn(a->head, "\r")] = 0;
        fail("unexpected answer", a->head);
    }
    a->closes = strcasestr(a->head, "\r\nconnection: close") != NULL;
    const char *field = strcasestr(a->head, "\r\ncontent-length:");
    if (field) {
        a->left = strtol(field + 17, NULL, 10);
        check_length(a->left);
        a->at = READS_SIZED;
    } else if (strcasestr(a->head, "\r\ntransfer-encoding: chunked")) {
        a->at = READS_CHUNKS;
    } else {
        fail("answer with neither Content-Length nor chunks", NULL);
    }
}

/// Takes bytes that arrived; true when the answer is complete. Bytes behind its end end the program.
static inline bool answer_take(struct answer *a, const char *bytes, size_t count) {
    size_t used = 0;
    if (a->at == READS_HEAD) {
        size_t room = HEAD_BYTES - a->have, take = count < room ? count : room, before = a->have;
        memcpy(a->head + before, bytes, take);
        a->have += take;
        char *end = memmem(a->head, a->have, "\r\n\r\n", 4);
        if (!end && a->have == HEAD_BYTES) fail("head too long", NULL);
        if (!end) return false;
        size_t length = (size_t)(end - a->head) + 4;
        used = length - before;
        answer_read_head(a, length);
    }
    if (a->at == READS_SIZED) {
        a->left -= (long)(count - used);
        if (a->left < 0) fail("more bytes than Content-Length", NULL);
        return a->left == 0;
    }
    used += chunks_take(&a->chunks, bytes + used, count - used);
    if (a->chunks.at == CHUNKS_BAD) fail("chunks that cannot be read", NULL);
    if (a->chunks.at != CHUNKS_DONE) return false;
    if (used < count) fail("bytes behind the last chunk", NULL);
    check_length(a->chunks.received);
    return true;
}
