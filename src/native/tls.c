/* Connections that speak TLS: the handshake, data both ways, and the end. One call into OpenSSL's state at a time. */
#include "tls.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>

/* What one read asks the kernel for at the least: a record, so that a small limit does not cut every one in pieces. */
#define LEAST_READ (17 * 1024)
/* What is read and thrown away when a handshake failed: closed over unread bytes, the peer might never see the alert. */
#define LAST_READS 8

static struct tls_conn *conn_of(struct tls_thread *thread, int fd) {
  return thread && fd >= 0 && fd < thread->conns_size ? thread->conns[fd] : NULL;
}

struct tls_conn *tls_conn_argument(napi_env env, napi_value value) {
  return conn_of(thread_state(env)->tls, int_argument(env, value));
}

static void conn_free(struct tls_conn *conn) {
  /* Without having said good-bye, OpenSSL would think the session spoilt; here, its end is another's business. */
  if (conn->ssl) SSL_set_shutdown(conn->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  SSL_free(conn->ssl);
  tls_context_unref(conn->context);
  free(conn->in);
  free(conn->out);
  free(conn->text);
  free(conn->peer);
  free(conn);
}

void tls_forget(struct tls_thread *thread, int fd) {
  struct tls_conn *conn = conn_of(thread, fd);
  if (conn == NULL) return;
  thread->conns[fd] = NULL;
  conn_free(conn);
}

void tls_dispose(struct tls_thread *thread) {
  if (thread == NULL) return;
  for (int fd = 0; fd < thread->conns_size; fd++) tls_forget(thread, fd);
  while (thread->contexts) {
    struct tls_context *context = thread->contexts;
    thread->contexts = context->next;
    tls_context_unref(context);
  }
  X509_STORE_free(thread->system_store);
  EVP_CIPHER_free(thread->ticket_cipher);
  BIO_meth_free(thread->method);
  if (thread->words_ref) napi_delete_reference(thread->state->env, thread->words_ref);
  free(thread->conns);
  free(thread);
}

static bool make_room(struct tls_thread *thread, int fd) {
  if (fd < thread->conns_size) return true;
  int64_t size = thread->conns_size ? thread->conns_size : 1024;
  while (size <= fd) size *= 2;
  struct tls_conn **conns = size > INT32_MAX ? NULL : realloc(thread->conns, (size_t)size * sizeof *conns);
  if (conns == NULL) return false;
  memset(conns + thread->conns_size, 0, (size_t)(size - thread->conns_size) * sizeof *conns);
  thread->conns = conns;
  thread->conns_size = (int)size;
  return true;
}

/* A connection's state, in its place; NULL with `error` set. */
static struct tls_conn *conn_new(napi_env env, napi_value *values, bool server, int *error) {
  struct tls_thread *thread = thread_state(env)->tls;
  int fd = int_argument(env, values[0]);
  struct tls_context *context = tls_context_find(thread, int_argument(env, values[1]));
  *error = -EINVAL;
  if (context == NULL || context->server != server) return NULL;
  *error = -EBADF;
  if (!thread_state(env)->poller || !poller_owns(thread_state(env)->poller, fd) || conn_of(thread, fd)) return NULL;
  *error = -ENOMEM;
  struct tls_conn *conn = make_room(thread, fd) ? calloc(1, sizeof *conn) : NULL;
  if (conn == NULL) return NULL;
  conn->thread = thread;
  conn->context = context;
  conn->fd = fd;
  conn->verdict = TLS_NO_VERDICT;
  context->refs++;
  thread->conns[fd] = conn;
  conn->ssl = tls_context_ssl(context);
  BIO *bio = conn->ssl ? tls_bio_new(conn) : NULL;
  if (bio == NULL) {
    ERR_clear_error();
    tls_forget(thread, fd);
    return NULL;
  }
  SSL_set_bio(conn->ssl, bio, bio);
  SSL_set_app_data(conn->ssl, conn);
  *error = 0;
  return conn;
}

/* tlsAccept(fd, context, early) → 0: the adopted descriptor speaks TLS as a server; `early` was read of it already */
static napi_value tls_accept(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  size_t length;
  const uint8_t *early;
  napi_valuetype type;
  if (!bytes_argument(env, values[2], &early, &length) &&
      (napi_typeof(env, values[2], &type) != napi_ok || type != napi_undefined))
    return int_result(env, -EINVAL);
  if (length > TLS_IN_BYTES) return int_result(env, -EMSGSIZE);
  int error;
  struct tls_conn *conn = conn_new(env, values, true, &error);
  if (conn == NULL) return int_result(env, error);
  if (length > 0) {
    conn->in = malloc(length);
    if (conn->in == NULL) {
      tls_forget(conn->thread, conn->fd);
      return int_result(env, -ENOMEM);
    }
    memcpy(conn->in, early, length);
    conn->in_length = (uint32_t)length;
  }
  SSL_set_accept_state(conn->ssl);
  return int_result(env, 0);
}

/* tlsConnect(fd, context, address, peer) → 0: as a client; `peer` is what its session is kept under */
static napi_value tls_connect(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  int error;
  struct tls_conn *conn = conn_new(env, values, false, &error);
  if (conn == NULL) return int_result(env, error);
  char *address = text_argument(env, values[2]), *peer = text_argument(env, values[3]);
  SSL_set_connect_state(conn->ssl);
  bool prepared = address && peer && tls_client_prepare(conn, address, peer);
  if (!prepared && peer != conn->peer) free(peer);
  free(address);
  ERR_clear_error();
  if (!prepared) tls_forget(conn->thread, conn->fd);
  return int_result(env, prepared ? 0 : -EINVAL);
}

static void explain(struct tls_conn *conn) {
  if (conn->text) return;
  bool refused = ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_CERTIFICATE_VERIFY_FAILED;
  const char *reason = tls_reason("it broke the protocol");
  if (conn->error == EPROTO) reason = conn->open ? "too many messages without data" : "the handshake does not end";
  char text[256];
  if (refused)
    snprintf(text, sizeof text, "%s: %s", reason, X509_verify_cert_error_string(SSL_get_verify_result(conn->ssl)));
  else
    snprintf(text, sizeof text, "%s", reason);
  conn->text = strdup(text);
}

/* What a call that did not succeed means: 0 for an end in good order, or one of the negative answers. */
static int judge(struct tls_conn *conn) {
  switch (SSL_get_error(conn->ssl, 0)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return conn->send_error == ENOBUFS || conn->send_error == ENOMEM ? -conn->send_error : -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
      return 0;
    default:
      break;
  }
  if (conn->error && conn->error != EPROTO) return -conn->error;
  if (conn->at_end) return TLS_CUT;
  explain(conn);
  return TLS_BROKEN;
}

/*
 * The same for a write, which has no end in good order: always negative. In its error state OpenSSL notes no reason, and
 * once the peer's side has ended it calls that the cause, also while a message of which a part came holds the write up.
 */
static int judge_write(struct tls_conn *conn) {
  int result = judge(conn);
  if (result != 0) return result;
  return conn->verdict < 0 ? conn->verdict : TLS_CUT;
}

static void discard(struct tls_conn *conn) {
  struct tls_thread *thread = conn->thread;
  shutdown(conn->fd, SHUT_WR);
  for (int i = 0; i < LAST_READS && recv(conn->fd, thread->in, TLS_IN_BYTES, 0) > 0; i++) continue;
}

/* tlsHandshake(fd) → 1 done, 0 more is to come, or negative; WORD_MORE as after tlsReceive */
static napi_value tls_handshake(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  struct tls_conn *conn = tls_conn_argument(env, values[0]);
  if (conn == NULL) return int_result(env, -EBADF);
  tls_flush(conn);
  tls_before(conn, TLS_IN_BYTES, true);
  int done = SSL_do_handshake(conn->ssl);
  int result = done == 1 ? 1 : judge(conn);
  if (result == 0) result = TLS_CUT;
  if (result == -EAGAIN) result = conn->send_error ? -conn->send_error : 0;
  tls_after(conn);
  if (result == 1) {
    conn->open = true;
    conn->fruitless = 0;
  }
  conn->thread->words[WORD_MORE] = result == 1 && (conn->in_length > 0 || conn->at_end || conn->error != 0);
  if (result < 0) discard(conn);
  return int_result(env, result);
}

/*
 * tlsReceive(fd, limit, toEnd: 0 | 1) → bytes of data in the read buffer, 0 at the end that the peer announced, or
 * negative. WORD_MORE: there is more that no event will tell of. `toEnd`: the end of the stream may be behind what comes.
 */
static napi_value tls_receive(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  struct tls_conn *conn = tls_conn_argument(env, values[0]);
  size_t size = 0, got = 0;
  uint8_t *buffer = poller_buffer(thread_state(env)->poller, 0, &size);
  int asked = int_argument(env, values[1]);
  if (conn == NULL || buffer == NULL) return int_result(env, -EBADF);
  if (asked <= 0 || (size_t)asked > size) return int_result(env, -EINVAL);
  if (conn->verdict != TLS_NO_VERDICT) {
    conn->thread->words[WORD_MORE] = 0;
    return int_result(env, conn->verdict);
  }
  size_t limit = (size_t)asked;
  int verdict = TLS_NO_VERDICT;
  tls_before(conn, limit, int_argument(env, values[2]) == 1);
  while (got < limit && verdict == TLS_NO_VERDICT) {
    size_t count = 0;
    conn->thread->budget = limit - got < LEAST_READ ? LEAST_READ : limit - got;
    if (conn->thread->budget > TLS_IN_BYTES) conn->thread->budget = TLS_IN_BYTES;
    if (SSL_read_ex(conn->ssl, buffer + got, limit - got, &count) && count > 0) {
      got += count;
      conn->fruitless = 0;
    } else {
      verdict = judge(conn);
    }
  }
  tls_after(conn);
  if (verdict != TLS_NO_VERDICT && verdict != -EAGAIN) conn->verdict = verdict;
  conn->thread->words[WORD_MORE] = got > 0 && (got == limit || conn->verdict != TLS_NO_VERDICT);
  if (got > 0) return int_result(env, (int64_t)got);
  return int_result(env, verdict);
}

/*
 * Bytes encrypted, all of them unless the kernel is full; −EAGAIN with WORD_KEPT while what was encrypted before waits for
 * the kernel, and without it while a message of which the peer sent a part is to be read first. Each round takes some.
 */
static int64_t write_out(struct tls_conn *conn, const uint8_t *data, size_t length) {
  size_t taken = 0;
  int error = tls_flush(conn);
  conn->thread->words[WORD_KEPT] = error != 0;
  if (error) return error;
  while (taken < length && conn->out_end == 0) {
    size_t chunk = length - taken < TLS_CHUNK ? length - taken : TLS_CHUNK, count = 0;
    tls_before(conn, LEAST_READ, false);
    conn->thread->drained = true;
    if (!SSL_write_ex(conn->ssl, data + taken, chunk, &count) || count == 0) error = judge_write(conn);
    tls_after(conn);
    if (conn->send_error) error = -conn->send_error;
    if (error) return error == -EAGAIN && taken > 0 ? (int64_t)taken : error;
    taken += count;
  }
  return (int64_t)taken;
}

/* tlsSend(fd, which: 0 read buffer | 1 write buffer, start, end) → bytes taken; WORD_KEPT: some of it waits in here */
static napi_value tls_send(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  struct tls_conn *conn = tls_conn_argument(env, values[0]);
  size_t size = 0;
  uint8_t *buffer = poller_buffer(thread_state(env)->poller, int_argument(env, values[1]), &size);
  int64_t start = int_argument(env, values[2]), end = int_argument(env, values[3]);
  if (conn == NULL) return int_result(env, -EBADF);
  if (buffer == NULL || start < 0 || end < start || (size_t)end > size) return int_result(env, -EINVAL);
  return int_result(env, write_out(conn, buffer + start, (size_t)(end - start)));
}

/* tlsSendFrom(fd, bytes, start, end): the same for any other buffer */
static napi_value tls_send_from(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  struct tls_conn *conn = tls_conn_argument(env, values[0]);
  size_t length;
  const uint8_t *data;
  bool is_bytes = bytes_argument(env, values[1], &data, &length);
  int64_t start = int_argument(env, values[2]), end = int_argument(env, values[3]);
  if (conn == NULL) return int_result(env, -EBADF);
  if (!is_bytes || start < 0 || end < start || (size_t)end > length) return int_result(env, -EINVAL);
  return int_result(env, write_out(conn, data + start, (size_t)(end - start)));
}

/*
 * tlsProceed(fd) → 0 once the message of which the peer sent a part has been read, and writes are no longer held up by it;
 * −EAGAIN while more of it is to come. No data is read: for a connection that nobody reads at the moment.
 */
static napi_value tls_proceed(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  struct tls_conn *conn = tls_conn_argument(env, values[0]);
  if (conn == NULL) return int_result(env, -EBADF);
  tls_before(conn, LEAST_READ, true);
  int result = SSL_do_handshake(conn->ssl) == 1 ? 0 : judge_write(conn);
  tls_after(conn);
  return int_result(env, result);
}

/* tlsEnd(fd) → 0 when the end is said and sent, −EAGAIN while it waits for the kernel: ask again */
static napi_value tls_end(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  struct tls_conn *conn = tls_conn_argument(env, values[0]);
  if (conn == NULL) return int_result(env, -EBADF);
  int error = tls_flush(conn);
  if (error == 0 && conn->open && !conn->end_sent) {
    tls_before(conn, LEAST_READ, false);
    SSL_shutdown(conn->ssl);
    tls_after(conn);
    conn->end_sent = true;
    if (conn->out_end > 0) error = -EAGAIN;
  }
  return int_result(env, error);
}

/* tlsUnread(fd) → 1 when there is data, or an end, that was received but not handed over yet */
static napi_value tls_unread(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  struct tls_conn *conn = tls_conn_argument(env, values[0]);
  if (conn == NULL) return int_result(env, -EBADF);
  bool unread = (conn->in_length > 0 || conn->verdict != TLS_NO_VERDICT || SSL_has_pending(conn->ssl));
  return int_result(env, unread ? 1 : 0);
}

static struct tls_thread *thread_new(struct thread_state *state) {
  struct tls_thread *thread = calloc(1, sizeof *thread);
  if (thread == NULL) return NULL;
  thread->state = state;
  thread->method = tls_bio_method();
  thread->ticket_cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
  if (thread->method && thread->ticket_cipher) return thread;
  tls_dispose(thread);
  return NULL;
}

/* tlsOpen(words) → 0; −ENOSYS where the running node brings no OpenSSL that serves. Again: other words from then on. */
static napi_value tls_open(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  struct thread_state *state = thread_state(env);
  if (!tls_available()) return int_result(env, -ENOSYS);
  int32_t *words = kept_words_argument(env, values[0], WORDS * sizeof(int32_t));
  if (words == NULL) return int_result(env, -EINVAL);
  if (state->tls == NULL) state->tls = thread_new(state);
  if (state->tls == NULL) return int_result(env, -ENOMEM);
  if (state->tls->words_ref) napi_delete_reference(env, state->tls->words_ref);
  napi_create_reference(env, values[0], 1, &state->tls->words_ref);
  state->tls->words = words;
  return int_result(env, 0);
}

void tls_define(napi_env env, napi_value exports) {
  define_function(env, exports, "tlsOpen", tls_open);
  define_constant(env, exports, "TLS_BROKEN", TLS_BROKEN);
  define_constant(env, exports, "TLS_CUT", TLS_CUT);
  define_constant(env, exports, "TLS_WORDS", WORDS);
  define_constant(env, exports, "TLS_MORE", WORD_MORE);
  define_constant(env, exports, "TLS_KEPT", WORD_KEPT);
  if (!tls_available()) return;
  define_function(env, exports, "tlsAccept", tls_accept);
  define_function(env, exports, "tlsConnect", tls_connect);
  define_function(env, exports, "tlsHandshake", tls_handshake);
  define_function(env, exports, "tlsReceive", tls_receive);
  define_function(env, exports, "tlsSend", tls_send);
  define_function(env, exports, "tlsSendFrom", tls_send_from);
  define_function(env, exports, "tlsProceed", tls_proceed);
  define_function(env, exports, "tlsEnd", tls_end);
  define_function(env, exports, "tlsUnread", tls_unread);
  tls_info_define(env, exports);
  tls_context_define(env, exports);
}
