// What Swift cannot import of OpenSSL: macros and variadics. Nothing here decides anything.
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
#include <openssl/rsa.h>
#include <openssl/x509.h>

// A key selection is an OR of macros, which Swift does not import.
static inline int gateway_public_key_selection(void) { return EVP_PKEY_PUBLIC_KEY; }

#endif
