/* What is configured: certificates by name, rules and whom to trust, built call by call and then used by connections. */
#include "tls.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

/* Intermediates between a peer's certificate and a trusted one. */
#define VERIFY_DEPTH 5

int tls_context_wrong(struct tls_thread *thread, const char *what) {
  snprintf(thread->error, sizeof thread->error, "%s", what);
  ERR_clear_error();
  return TLS_BROKEN;
}

const char *tls_reason(const char *instead) {
  const char *text = NULL;
  unsigned long error;
  bool settled = false;
  while ((error = ERR_get_error()) != 0) {
    const char *reason = ERR_reason_error_string(error);
    /* What TLS says of it counts for more than what the cryptography below it said. */
    bool of_tls = ERR_GET_LIB(error) == ERR_LIB_SSL;
    if (reason == NULL || settled || (text && !of_tls)) continue;
    text = reason;
    settled = of_tls;
  }
  return text ? text : instead;
}

struct tls_context *tls_context_find(struct tls_thread *thread, int id) {
  struct tls_context *context = thread ? thread->contexts : NULL;
  while (context && context->id != id) context = context->next;
  return context;
}

void tls_context_unref(struct tls_context *context) {
  if (--context->refs > 0) return;
  for (int i = 0; i < context->groups_count; i++) SSL_CTX_free(context->groups[i]);
  for (int i = 0; i < context->names_count; i++) free(context->names[i].name);
  free(context->groups);
  free(context->names);
  free(context->ciphers);
  free(context->suites);
  free(context->alpn);
  free(context->server_name);
  if (context->keys) OPENSSL_cleanse(context->keys, context->keys_count * TICKET_KEY_BYTES);
  free(context->keys);
  X509_STORE_free(context->store);
  sk_X509_NAME_pop_free(context->ca_names, X509_NAME_free);
  tls_sessions_free(context->sessions);
  free(context);
}

SSL *tls_context_ssl(struct tls_context *context) { return context->groups_count ? SSL_new(context->groups[0]) : NULL; }

static SSL_CTX *make_group(struct tls_context *context) {
  struct tls_thread *thread = context->thread;
  SSL_CTX *ctx = SSL_CTX_new(context->server ? TLS_server_method() : TLS_client_method());
  if (ctx == NULL) {
    tls_context_wrong(thread, tls_reason("out of memory"));
    return NULL;
  }
  SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                               SSL_OP_PRIORITIZE_CHACHA | (context->tickets ? 0 : SSL_OP_NO_TICKET));
  /* A connection that rests must not hold the 34 KiB of its record buffers. */
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_verify(ctx, context->verify, NULL);
  SSL_CTX_set_verify_depth(ctx, VERIFY_DEPTH);
  if (context->store) SSL_CTX_set1_cert_store(ctx, context->store);
  const char *wrong = NULL;
  if (!SSL_CTX_set_min_proto_version(ctx, context->min_version) ||
      !SSL_CTX_set_max_proto_version(ctx, context->max_version))
    wrong = "these versions are not to be had";
  else if (context->ciphers[0] && !SSL_CTX_set_cipher_list(ctx, context->ciphers))
    wrong = "no cipher of the list is known";
  else if (context->suites[0] && !SSL_CTX_set_ciphersuites(ctx, context->suites))
    wrong = "no cipher suite of the list is known";
  else if (!SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384"))
    wrong = "the key exchange groups are not to be had";
  else if (!(context->server ? tls_server_setup(context, ctx) : tls_client_setup(context, ctx)))
    wrong = "out of memory";
  if (wrong == NULL) return ctx;
  tls_context_wrong(thread, wrong);
  SSL_CTX_free(ctx);
  return NULL;
}

static SSL_CTX *group_of(struct tls_context *context, int group) {
  if (group < 0 || group > context->groups_count || (group > 0 && !context->server)) return NULL;
  if (group < context->groups_count) return context->groups[group];
  SSL_CTX **groups = realloc(context->groups, (size_t)(group + 1) * sizeof *groups);
  if (groups == NULL) return NULL;
  context->groups = groups;
  SSL_CTX *ctx = make_group(context);
  if (ctx == NULL) return NULL;
  groups[context->groups_count++] = ctx;
  return ctx;
}

/* RFC 7301 3.1: names of 1 to 255 bytes, each behind its length, in a list of at most 65535. */
static bool is_protocol_list(const uint8_t *list, size_t length) {
  size_t at = 0;
  if (length > UINT16_MAX) return false;
  while (at < length && list[at] > 0) at += 1 + (size_t)list[at];
  return at == length;
}

/* tlsContextOpen(server: 0 | 1, minVersion, maxVersion, ciphers, suites, alpn, verify, tickets: 0 | 1) → id */
static napi_value context_open(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  struct tls_thread *thread = thread_state(env)->tls;
  if (thread == NULL) return int_result(env, -ENOENT);
  int min = int_argument(env, values[1]), max = int_argument(env, values[2]);
  if (min < TLS1_VERSION || max > TLS1_3_VERSION || min > max) return int_result(env, -EINVAL);
  size_t alpn_length;
  const uint8_t *alpn;
  if (!bytes_argument(env, values[5], &alpn, &alpn_length) || !is_protocol_list(alpn, alpn_length))
    return int_result(env, -EINVAL);
  struct tls_context *context = calloc(1, sizeof *context);
  if (context == NULL) return int_result(env, -ENOMEM);
  context->thread = thread;
  context->refs = 1;
  context->server = int_argument(env, values[0]) == 1;
  context->min_version = min;
  context->max_version = max;
  context->ciphers = text_argument(env, values[3]);
  context->suites = text_argument(env, values[4]);
  context->verify = int_argument(env, values[6]) & (SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT);
  context->tickets = int_argument(env, values[7]) == 1;
  context->alpn = malloc(alpn_length + 1);
  if (context->ciphers == NULL || context->suites == NULL || context->alpn == NULL) {
    tls_context_unref(context);
    return int_result(env, -EINVAL);
  }
  if (alpn_length) memcpy(context->alpn, alpn, alpn_length);
  context->alpn_length = alpn_length;
  context->id = ++thread->last_id;
  context->next = thread->contexts;
  thread->contexts = context;
  return int_result(env, context->id);
}

/* One certificate after another out of a PEM text; NULL at its end. */
static X509 *next_certificate(BIO *bio) { return PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL); }

static int trust_pem(struct tls_context *context, const char *pem) {
  BIO *bio = BIO_new_mem_buf(pem, -1);
  context->store = X509_STORE_new();
  context->ca_names = sk_X509_NAME_new_null();
  if (bio == NULL || context->store == NULL || context->ca_names == NULL) {
    BIO_free(bio);
    return -ENOMEM;
  }
  /* What is listed is what is trusted, whether it signed itself or not. */
  X509_STORE_set_flags(context->store, X509_V_FLAG_PARTIAL_CHAIN);
  int count = 0;
  X509 *certificate;
  while ((certificate = next_certificate(bio)) != NULL) {
    X509_STORE_add_cert(context->store, certificate);
    X509_NAME *name = context->server ? X509_NAME_dup(X509_get_subject_name(certificate)) : NULL;
    if (name && !sk_X509_NAME_push(context->ca_names, name)) X509_NAME_free(name);
    X509_free(certificate);
    count++;
  }
  BIO_free(bio);
  bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (count == 0) return tls_context_wrong(context->thread, "the CA bundle has no certificate in PEM");
  return at_end ? 0 : tls_context_wrong(context->thread, "a certificate of the CA bundle cannot be read");
}

/* tlsContextTrust(id, pem, kind: 0 | 1 the system's) → 0; what the system trusts is read once a thread. */
static napi_value context_trust(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  struct tls_thread *thread = thread_state(env)->tls;
  struct tls_context *context = tls_context_find(thread, int_argument(env, values[0]));
  if (context == NULL || context->store || context->groups_count) return int_result(env, -EINVAL);
  bool system = int_argument(env, values[2]) == 1;
  if (system && thread->system_store) {
    X509_STORE_up_ref(thread->system_store);
    context->store = thread->system_store;
    return int_result(env, 0);
  }
  char *pem = text_argument(env, values[1]);
  if (pem == NULL) return int_result(env, -EINVAL);
  int error = trust_pem(context, pem);
  if (error == 0 && system) {
    X509_STORE_up_ref(context->store);
    thread->system_store = context->store;
  }
  EVP_Digest(pem, strlen(pem), context->session_scope, NULL, EVP_sha256(), NULL);
  free(pem);
  return int_result(env, error);
}

static int no_password(char *into, int size, int writing, void *asked) {
  (void)into;
  (void)size;
  (void)writing;
  *(bool *)asked = true;
  return -1;
}

static int use_chain(struct tls_thread *thread, SSL_CTX *ctx, BIO *certs, BIO *key_bio) {
  bool asked = false;
  int result = 0;
  EVP_PKEY *key = PEM_read_bio_PrivateKey(key_bio, NULL, no_password, &asked);
  X509 *leaf = next_certificate(certs);
  if (leaf == NULL)
    result = tls_context_wrong(thread, "there is no certificate in PEM");
  else if (key == NULL)
    result = tls_context_wrong(thread, asked ? "the key is encrypted: decrypt it into a file that only this user may read"
                                             : "the key is none in PEM, or damaged");
  else if (!X509_check_private_key(leaf, key))
    result = tls_context_wrong(thread, "the key is not the first certificate's");
  else if (!SSL_CTX_use_certificate(ctx, leaf) || !SSL_CTX_use_PrivateKey(ctx, key))
    result = tls_context_wrong(thread, tls_reason("it cannot be used"));
  else if (!SSL_CTX_clear_chain_certs(ctx))
    result = tls_context_wrong(thread, tls_reason("out of memory"));
  ERR_clear_error();
  X509 *more;
  while (result == 0 && (more = next_certificate(certs)) != NULL) {
    if (SSL_CTX_add0_chain_cert(ctx, more)) continue;
    result = tls_context_wrong(thread, tls_reason("a certificate of the chain cannot be used"));
    X509_free(more);
  }
  if (result == 0 && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
    result = tls_context_wrong(thread, "a certificate of the chain cannot be read");
  ERR_clear_error();
  X509_free(leaf);
  EVP_PKEY_free(key);
  return result;
}

/* tlsContextIdentity(id, group, cert, key) → 0: groups come into being one after another; both empty = none */
static napi_value context_identity(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  struct tls_thread *thread = thread_state(env)->tls;
  struct tls_context *context = tls_context_find(thread, int_argument(env, values[0]));
  if (context == NULL) return int_result(env, -EINVAL);
  thread->error[0] = 0;
  SSL_CTX *ctx = group_of(context, int_argument(env, values[1]));
  if (ctx == NULL) return int_result(env, thread->error[0] ? TLS_BROKEN : -EINVAL);
  char *cert = text_argument(env, values[2]), *key = text_argument(env, values[3]);
  int error = cert && key ? 0 : -EINVAL;
  if (error == 0 && (cert[0] || key[0])) {
    BIO *certs = BIO_new_mem_buf(cert, -1), *keys = BIO_new_mem_buf(key, -1);
    error = certs && keys ? use_chain(thread, ctx, certs, keys) : -ENOMEM;
    BIO_free(certs);
    BIO_free(keys);
  }
  if (key) OPENSSL_cleanse(key, strlen(key));
  free(cert);
  free(key);
  return int_result(env, error);
}

/* tlsContextName(id, name, group) → 0: by which group a server's name is served, or (−1) whom a client speaks to */
static napi_value context_name(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  struct tls_context *context = tls_context_find(thread_state(env)->tls, int_argument(env, values[0]));
  char *name = context ? text_argument(env, values[1]) : NULL;
  if (name == NULL) return int_result(env, -EINVAL);
  if (!context->server) {
    free(context->server_name);
    context->server_name = name;
    return int_result(env, 0);
  }
  int group = int_argument(env, values[2]);
  if (context->names_count == context->names_size) {
    int size = context->names_size ? 2 * context->names_size : 8;
    struct tls_name *names = realloc(context->names, (size_t)size * sizeof *names);
    if (names) {
      context->names = names;
      context->names_size = size;
    }
  }
  if (group < 0 || group >= context->groups_count || context->names_count == context->names_size) {
    free(name);
    return int_result(env, -EINVAL);
  }
  context->names[context->names_count++] = (struct tls_name){.name = name, .group = group};
  context->names_sorted = false;
  return int_result(env, 0);
}

/* tlsContextKeys(id, keys) → 0 */
static napi_value context_keys(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  struct tls_context *context = tls_context_find(thread_state(env)->tls, int_argument(env, values[0]));
  size_t length;
  const uint8_t *keys;
  bool is_bytes = bytes_argument(env, values[1], &keys, &length);
  return int_result(env, context && context->server && is_bytes ? tls_server_keys(context, keys, length) : -EINVAL);
}

/* tlsContextClose(id): connections that use it keep what they need */
static napi_value context_close(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  struct tls_thread *thread = thread_state(env)->tls;
  struct tls_context *context = tls_context_find(thread, int_argument(env, values[0]));
  if (context == NULL) return NULL;
  struct tls_context **link = &thread->contexts;
  while (*link != context) link = &(*link)->next;
  *link = context->next;
  tls_context_unref(context);
  return NULL;
}

/* tlsContextError() → what was wrong when a call answered TLS_BROKEN */
static napi_value context_error(napi_env env, napi_callback_info info) {
  (void)info;
  struct tls_thread *thread = thread_state(env)->tls;
  napi_value text;
  napi_create_string_utf8(env, thread ? thread->error : "", NAPI_AUTO_LENGTH, &text);
  return text;
}

void tls_context_define(napi_env env, napi_value exports) {
  define_function(env, exports, "tlsContextOpen", context_open);
  define_function(env, exports, "tlsContextTrust", context_trust);
  define_function(env, exports, "tlsContextIdentity", context_identity);
  define_function(env, exports, "tlsContextName", context_name);
  define_function(env, exports, "tlsContextKeys", context_keys);
  define_function(env, exports, "tlsContextClose", context_close);
  define_function(env, exports, "tlsContextError", context_error);
}
