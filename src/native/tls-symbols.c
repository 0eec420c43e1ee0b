/* Whether this node brings what TLS needs. */
#include "tls.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#define OLDEST_VERSION 0x30000000UL

bool tls_available(void) {
#define IS_MISSING(name) (void *)name == NULL ||
  bool missing = TLS_SYMBOLS(IS_MISSING) false;
  return !missing && OpenSSL_version_num() >= OLDEST_VERSION;
}
