// A connection to a proxy, with TLS or without, that never blocks once it is open.
//
// Every proxy is made to do the same work: TLS 1.3, one cipher suite, one group. Certificates are not verified: that
// is the client's work, which nobody measures here.

#pragma once
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "answers.h"

struct stream {
    int fd;
    SSL *ssl;
    SSL_SESSION *session;  // the last one that the server gave, when sessions are to be resumed
};

static struct sockaddr_in target = {.sin_family = AF_INET}, source = {.sin_family = AF_INET};
static SSL_CTX *tls;  // NULL: without TLS
static bool resumes;
static long handshakes, resumed;

static inline void address(struct sockaddr_in *into, const char *text) {
    if (inet_pton(AF_INET, text, &into->sin_addr) != 1) fail("not an IPv4 address", text);
}

static inline int keep_session(SSL *ssl, SSL_SESSION *session) {
    struct stream *s = SSL_get_app_data(ssl);
    if (s->session) SSL_SESSION_free(s->session);
    s->session = session;
    return 1;  // the reference is ours now
}

static inline void use_tls(bool resume) {
    resumes = resume;
    tls = SSL_CTX_new(TLS_client_method());
    if (!tls || !SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) ||
        !SSL_CTX_set_ciphersuites(tls, "TLS_AES_128_GCM_SHA256") || !SSL_CTX_set1_groups_list(tls, "X25519"))
        fail("TLS", ERR_error_string(ERR_get_error(), NULL));
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    // Otherwise a read goes on to the next record after a session ticket.
    SSL_CTX_clear_mode(tls, SSL_MODE_AUTO_RETRY);
    if (!resume) return;
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(tls, keep_session);
}

static inline void stream_open(struct stream *s) {
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (source.sin_addr.s_addr) {
        // Without this the kernel picks the port at bind, which wears the range out sooner.
        setsockopt(s->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(s->fd, (struct sockaddr *)&source, sizeof source) < 0) fail("bind", strerror(errno));
    }
    if (connect(s->fd, (struct sockaddr *)&target, sizeof target) < 0) fail("connect", strerror(errno));
    if (fcntl(s->fd, F_SETFL, O_NONBLOCK) < 0) fail("fcntl", strerror(errno));
    if (!tls) return;
    s->ssl = SSL_new(tls);
    if (!s->ssl || !SSL_set_fd(s->ssl, s->fd) || !SSL_set_tlsext_host_name(s->ssl, "bench.test")) fail("SSL_new", NULL);
    SSL_set_app_data(s->ssl, s);
    SSL_set_connect_state(s->ssl);
    if (s->session) SSL_set_session(s->ssl, s->session);
}

/// True when the stream can carry a request; false when it waits to become readable.
static inline bool stream_is_ready(struct stream *s) {
    if (!s->ssl || SSL_is_init_finished(s->ssl)) return true;
    int result = SSL_do_handshake(s->ssl);
    if (result != 1) {
        if (SSL_get_error(s->ssl, result) == SSL_ERROR_WANT_READ) return false;
        fail("handshake", ERR_error_string(ERR_get_error(), NULL));
    }
    handshakes++;
    resumed += SSL_session_reused(s->ssl);
    if (s->session && !SSL_session_reused(s->ssl)) fail("the session was not resumed", NULL);
    return true;
}

/// Like recv and send: -1 with EAGAIN when it must wait.
static inline ssize_t stream_result(struct stream *s, int result) {
    if (result > 0) return result;
    int error = SSL_get_error(s->ssl, result);
    if (error == SSL_ERROR_ZERO_RETURN) return 0;
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) errno = EAGAIN;
    else if (error == SSL_ERROR_SSL) fail("TLS", ERR_error_string(ERR_get_error(), NULL));
    return -1;
}

static inline ssize_t stream_recv(struct stream *s, char *into, size_t count) {
    return s->ssl ? stream_result(s, SSL_read(s->ssl, into, (int)count)) : recv(s->fd, into, count, 0);
}

static inline ssize_t stream_send(struct stream *s, const char *bytes, size_t count) {
    return s->ssl ? stream_result(s, SSL_write(s->ssl, bytes, (int)count)) : send(s->fd, bytes, count, MSG_NOSIGNAL);
}

/// Says goodbye as browsers do, without waiting for an answer to it.
static inline void stream_close(struct stream *s) {
    if (s->ssl) {
        SSL_shutdown(s->ssl);
        SSL_free(s->ssl);
        s->ssl = NULL;
    }
    close(s->fd);
}
