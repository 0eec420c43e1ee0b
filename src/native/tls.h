/*
 * TLS over adopted descriptors, with the OpenSSL that the node executable carries and exports. A connection's state is
 * found by its descriptor and belongs to the poller: whoever closes the descriptor has it freed. Errors beyond errno:
 * TLS_BROKEN, with a text to ask for, and TLS_CUT, an end of the stream that TLS did not announce.
 */
#ifndef CASTOR_TLS_H
#define CASTOR_TLS_H

#include "castor.h"
#include "tls-symbols.h"

#include <openssl/ssl.h>

#define TLS_BROKEN (-20001)
#define TLS_CUT (-20002)

/* A ticket key: name (16 bytes), AES-256 key (32), HMAC key (32). */
#define TICKET_KEY_BYTES 80

/* Words that each call on a connection leaves behind for its caller. */
#define WORDS 2
#define WORD_MORE 0
#define WORD_KEPT 1

/* What one read from the kernel may bring, which is also the most that may be left of it for later. */
#define TLS_IN_BYTES (160 * 1024)
/* Encrypted at once, and what its records take at the most: at 16 KiB a record, and some 90 bytes around each. */
#define TLS_CHUNK (64 * 1024)
#define TLS_OUT_BYTES (TLS_CHUNK + 2048)

struct tls_context;

struct tls_conn {
  struct tls_thread *thread;
  struct tls_context *context;
  SSL *ssl;
  /* Ciphertext read and not understood yet: early bytes, or the part of a record. */
  uint8_t *in;
  /* Ciphertext that the kernel would not take. */
  uint8_t *out;
  /* Why it broke, once it did. */
  char *text;
  /* A dialled connection's key in its context's sessions. */
  char *peer;
  uint32_t in_length, out_at, out_end, out_size;
  /* Ciphertext taken since data last came of it. */
  uint32_t fruitless;
  int fd;
  /* The end that came behind data already given, or TLS_NO_VERDICT. */
  int verdict;
  int error, send_error;
  bool open, at_end, end_sent;
};

#define TLS_NO_VERDICT 1

/* One a thread that speaks TLS; the buffers serve one call at a time. */
struct tls_thread {
  struct thread_state *state;
  struct tls_context *contexts;
  struct tls_conn **conns;
  int conns_size;
  int last_id;
  BIO_METHOD *method;
  X509_STORE *system_store;
  EVP_CIPHER *ticket_cipher;
  int32_t *words;
  napi_ref words_ref;
  /* What is wrong with a context. */
  char error[256];
  size_t in_at, in_end, out_end;
  /* The most to ask the kernel for next. */
  size_t budget;
  /* A read that brings less than asked for was not the last: the end may be behind it. */
  bool to_end;
  bool drained;
  uint8_t in[TLS_IN_BYTES];
  uint8_t out[TLS_OUT_BYTES];
};

/* tls.c: connections by descriptor; NULL where there is none */
struct tls_conn *tls_conn_argument(napi_env env, napi_value fd);

/* tls-info.c */
void tls_info_define(napi_env env, napi_value exports);

/* tls-bio.c: bytes between OpenSSL and the kernel */
BIO_METHOD *tls_bio_method(void);
BIO *tls_bio_new(struct tls_conn *conn);
/* Around every call into OpenSSL for a connection. `tls_after` sends what the call wrote and keeps what is left. */
void tls_before(struct tls_conn *conn, size_t budget, bool to_end);
void tls_after(struct tls_conn *conn);
/* 0 when nothing waits for the kernel any more, −EAGAIN, or another negative errno. */
int tls_flush(struct tls_conn *conn);

/* tls-context.c: what is configured */
struct tls_context *tls_context_find(struct tls_thread *thread, int id);
void tls_context_unref(struct tls_context *context);
/* A new connection's state, configured for it; NULL when OpenSSL fails. */
SSL *tls_context_ssl(struct tls_context *context);
void tls_context_define(napi_env env, napi_value exports);
/* Answers TLS_BROKEN, having noted what is wrong. */
int tls_context_wrong(struct tls_thread *thread, const char *what);
/* The first reason that OpenSSL gives, from its queue, which is emptied; `instead` where it gives none. */
const char *tls_reason(const char *instead);

/* tls-server.c: what a server decides during a handshake */
int tls_server_setup(struct tls_context *context, SSL_CTX *ctx);
int tls_server_keys(struct tls_context *context, const uint8_t *keys, size_t length);

/* tls-client.c: whom a client speaks to, and what it remembers */
struct tls_sessions;
int tls_client_setup(struct tls_context *context, SSL_CTX *ctx);
/* SNI, verification and the session kept for `peer`, which the connection owns from here on. */
int tls_client_prepare(struct tls_conn *conn, const char *address, char *peer);
void tls_sessions_free(struct tls_sessions *sessions);

struct tls_name {
  char *name;
  int group;
};

struct tls_context {
  struct tls_thread *thread;
  struct tls_context *next;
  int id;
  /* One for being in the list, one for each connection. */
  int refs;
  bool server;
  /* Each group is the certificates that serve the same names; a client has one. */
  SSL_CTX **groups;
  int groups_count;
  struct tls_name *names;
  int names_count, names_size;
  bool names_sorted;
  /* Rules, applied to each group when it is made. */
  int min_version, max_version;
  char *ciphers, *suites;
  uint8_t *alpn;
  size_t alpn_length;
  int verify;
  X509_STORE *store;
  STACK_OF(X509_NAME) * ca_names;
  bool tickets;
  uint8_t session_scope[32];
  uint8_t *keys;
  size_t keys_count;
  char *server_name;
  struct tls_sessions *sessions;
};

#endif
