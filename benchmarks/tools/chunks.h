// Reads a chunked body (RFC 9112 §7.1) as strictly as these tools need: no extensions, no trailers.

#pragma once
#include <stdbool.h>
#include <stddef.h>

struct chunks {
    enum { CHUNK_SIZE, CHUNK_DATA, CHUNK_END, CHUNKS_LAST_LINE, CHUNKS_DONE, CHUNKS_BAD } at;
    bool sized;     // the line of this chunk has a digit
    long left;      // of this chunk
    long received;  // data of all chunks
};

static inline int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// Takes what belongs to the body and gives its count; `at` is then CHUNKS_DONE, CHUNKS_BAD, or all was taken.
static inline size_t chunks_take(struct chunks *c, const char *bytes, size_t count) {
    size_t i = 0;
    while (i < count && c->at != CHUNKS_DONE && c->at != CHUNKS_BAD) {
        if (c->at == CHUNK_DATA) {
            size_t take = count - i < (size_t)c->left ? count - i : (size_t)c->left;
            i += take;
            c->received += (long)take;
            c->left -= (long)take;
            if (c->left == 0) c->at = CHUNK_END;
            continue;
        }
        char byte = bytes[i++];
        if (byte == '\r') continue;
        if (c->at == CHUNK_SIZE && hex_digit(byte) >= 0 && c->left < 1 << 27) {
            c->left = c->left * 16 + hex_digit(byte);
            c->sized = true;
        } else if (byte != '\n' || (c->at == CHUNK_SIZE && !c->sized)) {
            c->at = CHUNKS_BAD;
        } else if (c->at == CHUNK_SIZE) {
            c->at = c->left > 0 ? CHUNK_DATA : CHUNKS_LAST_LINE;
            c->sized = false;
        } else {
            c->at = c->at == CHUNK_END ? CHUNK_SIZE : CHUNKS_DONE;
        }
    }
    return i;
}

/// How many bytes `chunks_write` writes at most.
static inline size_t chunks_room(size_t body, size_t chunk) { return body + (body / chunk + 1) * 12 + 5; }

/// Writes `body` bytes of 'x' in chunks of `chunk` bytes and gives the count of what was written.
static inline size_t chunks_write(char *into, size_t body, size_t chunk) {
    static const char digits[] = "0123456789abcdef";
    char *at = into;
    while (body > 0) {
        size_t n = body < chunk ? body : chunk;
        for (int shift = 28, begun = 0; shift >= 0; shift -= 4) {
            begun |= (n >> shift & 15) != 0;
            if (begun) *at++ = digits[n >> shift & 15];
        }
        *at++ = '\r', *at++ = '\n';
        for (size_t i = 0; i < n; i++) *at++ = 'x';
        *at++ = '\r', *at++ = '\n';
        body -= n;
    }
    for (const char *end = "0\r\n\r\n"; *end;) *at++ = *end++;
    return (size_t)(at - into);
}
