/* What a handshake agreed on, and why one did not come about. */
#include "tls.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>

/* tlsFailure(fd) → why it answered TLS_BROKEN */
static napi_value tls_failure(napi_env env, napi_callback_info info) {
  napi_value values[8], text;
  arguments(env, info, values);
  struct tls_conn *conn = tls_conn_argument(env, values[0]);
  napi_create_string_utf8(env, conn && conn->text ? conn->text : "", NAPI_AUTO_LENGTH, &text);
  return text;
}

static void add(BIO *bio, const char *text, size_t length) {
  BIO_write(bio, text, (int)length);
  BIO_write(bio, "", 1);
}

static void add_certificate(BIO *bio, SSL *ssl) {
  X509 *certificate = SSL_get1_peer_certificate(ssl);
  if (certificate == NULL) {
    add(bio, "", 0);
    add(bio, "", 0);
    return;
  }
  uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  char hex[2 * EVP_MAX_MD_SIZE + 1];
  X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
  BIO_write(bio, "", 1);
  X509_digest(certificate, EVP_sha256(), digest, &length);
  for (unsigned int i = 0; i < length; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
  add(bio, hex, 2 * (size_t)length);
  X509_free(certificate);
}

/* tlsInfo(fd) → what was agreed on: version, cipher, ALPN, server name, "1" if resumed, subject, digest; with "\0" behind each */
static napi_value tls_info(napi_env env, napi_callback_info info) {
  napi_value values[8], text = NULL;
  arguments(env, info, values);
  struct tls_conn *conn = tls_conn_argument(env, values[0]);
  BIO *bio = conn ? BIO_new(BIO_s_mem()) : NULL;
  if (bio == NULL) return NULL;
  const unsigned char *alpn = NULL;
  unsigned int alpn_length = 0;
  const char *version = SSL_get_version(conn->ssl), *cipher = SSL_CIPHER_get_name(SSL_get_current_cipher(conn->ssl));
  const char *name = SSL_get_servername(conn->ssl, TLSEXT_NAMETYPE_host_name);
  SSL_get0_alpn_selected(conn->ssl, &alpn, &alpn_length);
  add(bio, version, strlen(version));
  add(bio, cipher, strlen(cipher));
  add(bio, (const char *)alpn, alpn_length);
  add(bio, name ? name : "", name ? strlen(name) : 0);
  add(bio, "1", SSL_session_reused(conn->ssl) ? 1 : 0);
  if (conn->context->server) add_certificate(bio, conn->ssl);
  char *data = NULL;
  long length = BIO_get_mem_data(bio, &data);
  napi_create_string_latin1(env, data, (size_t)length, &text);
  BIO_free(bio);
  ERR_clear_error();
  return text;
}

void tls_info_define(napi_env env, napi_value exports) {
  define_function(env, exports, "tlsFailure", tls_failure);
  define_function(env, exports, "tlsInfo", tls_info);
}
