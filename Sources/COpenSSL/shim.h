// What Swift cannot import of OpenSSL: macros and variadics; and a callback that must be cheap. Nothing else decides here.
#ifndef GATEWAY_OPENSSL_SHIM_H
#define GATEWAY_OPENSSL_SHIM_H

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ocsp.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

// Parameters keep the address of their name, which is a macro: as a Swift string it would be gone after the call.
static inline OSSL_PARAM gateway_digest_parameter(char *name) {
    return OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0);
}
static inline OSSL_PARAM gateway_group_parameter(char *name) {
    return OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, name, 0);
}
static inline OSSL_PARAM gateway_point_parameter(unsigned char *point, size_t count) {
    return OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, count);
}
static inline int gateway_push_rsa(OSSL_PARAM_BLD *builder, const BIGNUM *modulus, const BIGNUM *exponent) {
    return OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus)
        && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent);
}

// A key selection is an OR of macros, which Swift does not import.
static inline int gateway_public_key_selection(void) { return EVP_PKEY_PUBLIC_KEY; }

// --- TLS ---

static inline int gateway_ssl_min_version(SSL_CTX *context, int version) {
    return SSL_CTX_set_min_proto_version(context, version);
}
// Plain bits behind macros that Swift does not import; what each is for stands where it is set.
static inline uint64_t gateway_ssl_op_no_renegotiation(void) { return SSL_OP_NO_RENEGOTIATION; }
static inline uint64_t gateway_ssl_op_no_compression(void) { return SSL_OP_NO_COMPRESSION; }
static inline uint64_t gateway_ssl_op_server_preference(void) {
    return SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA;
}
static inline void gateway_ssl_write_modes(SSL_CTX *context) {
    SSL_CTX_set_mode(
        context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
}
static inline void gateway_ssl_read_ahead(SSL_CTX *context) { SSL_CTX_set_read_ahead(context, 1); }
static inline void gateway_ssl_no_session_cache(SSL_CTX *context) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}
static inline void gateway_ssl_client_sessions(SSL_CTX *context) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
}
static inline void gateway_ssl_on_server_name(SSL_CTX *context, int (*callback)(SSL *, int *, void *), void *argument) {
    SSL_CTX_set_tlsext_servername_callback(context, callback);
    SSL_CTX_set_tlsext_servername_arg(context, argument);
}
// Counts the records of a peer that are no application data: with TLS 1.3 what is inside of one counts, once there
// are keys. In C, since OpenSSL calls it several times for each record, written ones too.
struct gateway_record_count {
    int records;
    int most;
};
static inline void gateway_count_record(
    int is_written, int version, int kind, const void *bytes, size_t count, SSL *ssl, void *argument) {
    (void)version;
    if (is_written || (kind != SSL3_RT_HEADER && kind != SSL3_RT_INNER_CONTENT_TYPE) || count == 0) return;
    if (*(const unsigned char *)bytes == SSL3_RT_APPLICATION_DATA) return;
    struct gateway_record_count *counted = argument;
    counted->records++;
    // Thrown away is what OpenSSL reads behind the peer's end, and the call under way comes back with this record.
    if (counted->records > counted->most) SSL_set_shutdown(ssl, SSL_get_shutdown(ssl) | SSL_RECEIVED_SHUTDOWN);
}
// `counted` must live as long as the session.
static inline void gateway_ssl_count_records(SSL *ssl, struct gateway_record_count *counted) {
    SSL_set_msg_callback(ssl, gateway_count_record);
    SSL_set_msg_callback_arg(ssl, counted);
}
static inline void gateway_ssl_on_status(SSL_CTX *context, int (*callback)(SSL *, void *), void *argument) {
    SSL_CTX_set_tlsext_status_cb(context, callback);
    SSL_CTX_set_tlsext_status_arg(context, argument);
}
// OpenSSL frees the copy that it is given.
static inline long gateway_ssl_set_status(SSL *ssl, const unsigned char *response, long count) {
    unsigned char *copy = OPENSSL_memdup(response, (size_t)count);
    return copy == NULL ? 0 : SSL_set_tlsext_status_ocsp_resp(ssl, copy, count);
}
static inline long gateway_ssl_ticket_keys(SSL_CTX *context, unsigned char *keys, long count) {
    return SSL_CTX_get_tlsext_ticket_keys(context, keys, count);
}
static inline long gateway_ssl_set_ticket_keys(SSL_CTX *context, unsigned char *keys, long count) {
    return SSL_CTX_set_tlsext_ticket_keys(context, keys, count);
}
static inline long gateway_ssl_set_host_name(SSL *ssl, const char *name) {
    return SSL_set_tlsext_host_name(ssl, name);
}
static inline X509 *gateway_ssl_peer_certificate(const SSL *ssl) { return SSL_get1_peer_certificate(ssl); }
static inline long gateway_ssl_add_chain(SSL_CTX *context, X509 *certificate) {
    return SSL_CTX_add1_chain_cert(context, certificate);
}
static inline int gateway_error_library(unsigned long code) { return ERR_GET_LIB(code); }
static inline int gateway_error_reason(unsigned long code) { return ERR_GET_REASON(code); }
static inline int gateway_names_count(const GENERAL_NAMES *names) { return sk_GENERAL_NAME_num(names); }
static inline GENERAL_NAME *gateway_name_at(const GENERAL_NAMES *names, int index) {
    return sk_GENERAL_NAME_value(names, index);
}
// RFC 4514.
static inline int gateway_print_name(BIO *out, const X509_NAME *name) {
    return X509_NAME_print_ex(out, name, 0, XN_FLAG_RFC2253);
}
static inline const ASN1_STRING *gateway_dns_name(const GENERAL_NAME *name) {
    return name->type == GEN_DNS ? name->d.dNSName : NULL;
}

#endif
