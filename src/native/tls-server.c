/* What a server decides during a handshake: which certificates, which protocol, whether a ticket is to be believed. */
#include "tls.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#define KEY_NAME_BYTES 16
#define KEY_SECRET_BYTES 32
#define MOST_KEYS 16
#define TICKETS_A_HANDSHAKE 2

static int compare(const void *left, const void *right) {
  return strcmp(((const struct tls_name *)left)->name, ((const struct tls_name *)right)->name);
}

static const struct tls_name *look_up(struct tls_context *context, char *name) {
  struct tls_name wanted = {.name = name};
  return bsearch(&wanted, context->names, (size_t)context->names_count, sizeof wanted, compare);
}

/* RFC 6066 3: the name as asked for, then the wildcard for its first label, then the default (group 0). */
static int choose(struct tls_context *context, const char *asked) {
  char name[256];
  size_t length = strlen(asked);
  if (length == 0 || length >= sizeof name || context->names_count == 0) return 0;
  for (size_t i = 0; i <= length; i++) name[i] = asked[i] >= 'A' && asked[i] <= 'Z' ? asked[i] | 0x20 : asked[i];
  if (name[length - 1] == '.') name[length - 1] = 0;
  if (!context->names_sorted) {
    qsort(context->names, (size_t)context->names_count, sizeof *context->names, compare);
    context->names_sorted = true;
  }
  const struct tls_name *found = look_up(context, name);
  char *dot = strchr(name, '.');
  if (found == NULL && dot != NULL && dot > name) {
    dot[-1] = '*';
    found = look_up(context, dot - 1);
  }
  return found ? found->group : 0;
}

static int on_server_name(SSL *ssl, int *alert, void *data) {
  (void)alert;
  struct tls_context *context = data;
  const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name == NULL) return SSL_TLSEXT_ERR_NOACK;
  int group = choose(context, name);
  if (group > 0 && SSL_set_SSL_CTX(ssl, context->groups[group]) == NULL) return SSL_TLSEXT_ERR_ALERT_FATAL;
  return SSL_TLSEXT_ERR_OK;
}

/* RFC 7301 3.2: our preference; a client that offers nothing that we speak is told so. */
static int on_alpn(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_length, const unsigned char *offered,
                   unsigned int offered_length, void *data) {
  (void)ssl;
  const struct tls_context *context = data;
  for (size_t ours = 0; ours < context->alpn_length; ours += 1 + context->alpn[ours]) {
    for (size_t theirs = 0; theirs < offered_length; theirs += 1 + (size_t)offered[theirs]) {
      if (offered[theirs] != context->alpn[ours] || theirs + 1 + offered[theirs] > offered_length) continue;
      if (memcmp(offered + theirs + 1, context->alpn + ours + 1, offered[theirs]) != 0) continue;
      *chosen = offered + theirs + 1;
      *chosen_length = offered[theirs];
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int start_ticket(const struct tls_context *context, const uint8_t *key, const uint8_t *iv, EVP_CIPHER_CTX *cipher,
                        EVP_MAC_CTX *mac, bool encrypts) {
  const uint8_t *aes = key + KEY_NAME_BYTES;
  uint8_t secret[KEY_SECRET_BYTES];
  memcpy(secret, aes + KEY_SECRET_BYTES, sizeof secret);
  char digest[] = "SHA256";
  OSSL_PARAM parameters[] = {OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, secret, sizeof secret),
                             OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                             OSSL_PARAM_construct_end()};
  int done = EVP_CipherInit_ex(cipher, context->thread->ticket_cipher, NULL, aes, iv, encrypts) &&
             EVP_MAC_CTX_set_params(mac, parameters);
  OPENSSL_cleanse(secret, sizeof secret);
  return done;
}

/* RFC 5077 4. 1: the ticket is ours; 2: and a new one is due, by a newer key; 0: not ours; −1: the handshake fails. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                     int encrypts) {
  struct tls_context *context = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
  if (context->keys_count == 0) return encrypts ? -1 : 0;
  if (encrypts) {
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(context->thread->ticket_cipher)) != 1) return -1;
    memcpy(name, context->keys, KEY_NAME_BYTES);
    return start_ticket(context, context->keys, iv, cipher, mac, true) ? 1 : -1;
  }
  for (size_t i = 0; i < context->keys_count; i++) {
    const uint8_t *key = context->keys + i * TICKET_KEY_BYTES;
    if (memcmp(name, key, KEY_NAME_BYTES) != 0) continue;
    if (!start_ticket(context, key, iv, cipher, mac, false)) return -1;
    /* RFC 8446 C.4: in TLS 1.3 a client does well to use each ticket once, so it always gets another. */
    return i == 0 && SSL_version(ssl) < TLS1_3_VERSION ? 1 : 2;
  }
  return 0;
}

int tls_server_keys(struct tls_context *context, const uint8_t *keys, size_t length) {
  size_t count = length / TICKET_KEY_BYTES;
  if (count == 0 || count > MOST_KEYS || length % TICKET_KEY_BYTES != 0) return -EINVAL;
  uint8_t *copy = malloc(length);
  if (copy == NULL) return -ENOMEM;
  memcpy(copy, keys, length);
  if (context->keys) OPENSSL_cleanse(context->keys, context->keys_count * TICKET_KEY_BYTES);
  free(context->keys);
  context->keys = copy;
  context->keys_count = count;
  return 0;
}

/* Until somebody shares keys between threads, the context has one of its own. */
static bool make_keys(struct tls_context *context) {
  uint8_t key[TICKET_KEY_BYTES];
  if (context->keys || !context->tickets) return true;
  bool made = RAND_bytes(key, sizeof key) == 1 && tls_server_keys(context, key, sizeof key) == 0;
  OPENSSL_cleanse(key, sizeof key);
  return made;
}

int tls_server_setup(struct tls_context *context, SSL_CTX *ctx) {
  /* A session counts only where clients are held to the same: what one listener let in is no pass to another. */
  context->session_scope[0] = (uint8_t)context->verify;
  if (!SSL_CTX_set_session_id_context(ctx, context->session_scope, sizeof context->session_scope)) return 0;
  SSL_CTX_set_app_data(ctx, context);
  SSL_CTX_set_dh_auto(ctx, 1);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(ctx, context->tickets ? TICKETS_A_HANDSHAKE : 0);
  if (!make_keys(context)) return 0;
  if (context->tickets) SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
  SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
  SSL_CTX_set_tlsext_servername_arg(ctx, context);
  if (context->alpn_length) SSL_CTX_set_alpn_select_cb(ctx, on_alpn, context);
  if (context->verify && context->ca_names) {
    STACK_OF(X509_NAME) *names = SSL_dup_CA_list(context->ca_names);
    if (names == NULL) return 0;
    SSL_CTX_set_client_CA_list(ctx, names);
  }
  return 1;
}
