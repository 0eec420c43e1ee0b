/* Whom a client speaks to, and the last session of each address, so that the next handshake is short. */
#include "tls.h"

#include <openssl/x509v3.h>

/* Addresses remembered; where two share a place, the later one has it. */
#define PLACES 512

struct place {
  char *peer;
  SSL_SESSION *session;
};

struct tls_sessions {
  struct place places[PLACES];
};

static struct place *place_of(struct tls_sessions *sessions, const char *peer) {
  uint32_t hash = 2166136261u;
  for (const char *at = peer; *at; at++) hash = (hash ^ (uint8_t)*at) * 16777619u;
  return &sessions->places[(hash ^ hash >> 16) % PLACES];
}

static void clear(struct place *place) {
  free(place->peer);
  SSL_SESSION_free(place->session);
  place->peer = NULL;
  place->session = NULL;
}

void tls_sessions_free(struct tls_sessions *sessions) {
  if (sessions == NULL) return;
  for (int i = 0; i < PLACES; i++) clear(&sessions->places[i]);
  free(sessions);
}

/* 1: the session is kept, and freed by us. */
static int on_session(SSL *ssl, SSL_SESSION *session) {
  struct tls_conn *conn = SSL_get_app_data(ssl);
  if (conn == NULL || conn->peer == NULL) return 0;
  struct place *place = place_of(conn->context->sessions, conn->peer);
  char *peer = strdup(conn->peer);
  if (peer == NULL) return 0;
  clear(place);
  place->peer = peer;
  place->session = session;
  return 1;
}

int tls_client_setup(struct tls_context *context, SSL_CTX *ctx) {
  context->sessions = calloc(1, sizeof *context->sessions);
  if (context->sessions == NULL) return 0;
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(ctx, on_session);
  /* Turned round in OpenSSL: 0 is success here. */
  return context->alpn_length == 0 || SSL_CTX_set_alpn_protos(ctx, context->alpn, (unsigned int)context->alpn_length) == 0;
}

int tls_client_prepare(struct tls_conn *conn, const char *address, char *peer) {
  struct tls_context *context = conn->context;
  const char *name = context->server_name;
  conn->peer = peer;
  X509_VERIFY_PARAM *rules = SSL_get0_param(conn->ssl);
  X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  /* RFC 6066 3: an address is no server name. It is what is verified where no name is given. */
  if (X509_VERIFY_PARAM_set1_ip_asc(rules, name && name[0] ? name : address) != 1) {
    if (name == NULL || name[0] == 0) return 0;
    if (X509_VERIFY_PARAM_set1_host(rules, name, 0) != 1 || !SSL_set_tlsext_host_name(conn->ssl, name)) return 0;
  }
  struct place *place = place_of(context->sessions, peer);
  if (place->session == NULL || strcmp(place->peer, peer) != 0) return 1;
  if (!SSL_SESSION_is_resumable(place->session)) clear(place);
  /* Refused, it is no more than a longer handshake. */
  else SSL_set_session(conn->ssl, place->session);
  return 1;
}
