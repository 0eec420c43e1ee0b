/*
 * Bytes between OpenSSL and the kernel, through two buffers that serve a whole thread: one read brings all records there
 * are, and one send takes all records that a call wrote. What OpenSSL writes is always taken, so that it never has to be
 * asked again; what the kernel leaves of it is kept with the connection.
 */
#include "tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>

/* A handshake's answers beyond this have a peer that does not read. */
#define MOST_KEPT (1024 * 1024)
/* Messages without data: tickets, key updates, empty records. More than anybody needs, little enough to work off. */
#define MOST_FRUITLESS (64 * 1024)
/* A handshake. Chains of certificates and hellos have limits of their own; what is passed over, as HelloRequest, has none. */
#define MOST_OPENING (512 * 1024)

static void read_failed(struct tls_conn *conn, int error) {
  if (conn->error == 0) conn->error = error;
}

static void forget_kept(struct tls_conn *conn) {
  free(conn->out);
  conn->out = NULL;
  conn->out_at = conn->out_end = conn->out_size = 0;
}

/* Apart, since what the peer sent before it went away is still to be read. Nothing is sent any more: a record is lost. */
static void send_failed(struct tls_conn *conn, int error) {
  if (conn->send_error == 0) conn->send_error = error;
  forget_kept(conn);
}

static void keep(struct tls_conn *conn, const uint8_t *data, size_t length) {
  if (conn->send_error) return;
  size_t pending = conn->out_end - conn->out_at;
  if (pending + length > MOST_KEPT) {
    send_failed(conn, ENOBUFS);
    return;
  }
  if (conn->out_at > 0) memmove(conn->out, conn->out + conn->out_at, pending);
  if (pending + length > conn->out_size) {
    uint8_t *out = realloc(conn->out, pending + length);
    if (out == NULL) {
      send_failed(conn, ENOMEM);
      return;
    }
    conn->out = out;
    conn->out_size = (uint32_t)(pending + length);
  }
  memcpy(conn->out + pending, data, length);
  conn->out_at = 0;
  conn->out_end = (uint32_t)(pending + length);
}

static bool keeps(const struct tls_conn *conn) { return conn->out_end > conn->out_at; }

/* Bytes taken; 0 when the kernel has no room; −1 when the connection is beyond writing, which is noted. */
static ssize_t send_some(struct tls_conn *conn, const uint8_t *data, size_t length) {
  ssize_t count;
  do count = send(conn->fd, data, length, MSG_NOSIGNAL);
  while (count < 0 && errno == EINTR);
  if (count >= 0) return count;
  if (errno == EAGAIN) return 0;
  send_failed(conn, errno);
  return -1;
}

static void push(struct tls_conn *conn) {
  struct tls_thread *thread = conn->thread;
  size_t length = thread->out_end;
  thread->out_end = 0;
  if (length == 0 || conn->send_error) return;
  ssize_t count = send_some(conn, thread->out, length);
  if (count >= 0 && (size_t)count < length) keep(conn, thread->out + count, length - (size_t)count);
}

int tls_flush(struct tls_conn *conn) {
  if (conn->send_error) return -conn->send_error;
  if (keeps(conn)) {
    ssize_t count = send_some(conn, conn->out + conn->out_at, conn->out_end - conn->out_at);
    if (count < 0) return -conn->send_error;
    conn->out_at += (uint32_t)count;
    if (keeps(conn)) return -EAGAIN;
  }
  forget_kept(conn);
  return 0;
}

static bool refill(struct tls_conn *conn) {
  struct tls_thread *thread = conn->thread;
  if (thread->drained || conn->at_end || conn->error) return false;
  if (conn->fruitless > (conn->open ? MOST_FRUITLESS : MOST_OPENING)) {
    read_failed(conn, EPROTO);
    return false;
  }
  ssize_t count;
  do count = recv(conn->fd, thread->in, thread->budget, 0);
  while (count < 0 && errno == EINTR);
  if (count <= 0) {
    if (count == 0)
      conn->at_end = true;
    else if (errno == EAGAIN)
      thread->drained = true;
    else
      read_failed(conn, errno);
    return false;
  }
  /* Less than asked for means that the kernel has no more now (epoll(7)), unless the end is known to be behind it. */
  if ((size_t)count < thread->budget && !thread->to_end) thread->drained = true;
  conn->fruitless += (uint32_t)count;
  thread->in_at = 0;
  thread->in_end = (size_t)count;
  return true;
}

static int read_ex(BIO *bio, char *into, size_t wanted, size_t *count) {
  struct tls_conn *conn = BIO_get_data(bio);
  struct tls_thread *thread = conn->thread;
  BIO_clear_retry_flags(bio);
  *count = 0;
  if (thread->in_at == thread->in_end && !refill(conn)) {
    if (!conn->at_end && conn->error == 0) BIO_set_retry_read(bio);
    return 0;
  }
  size_t length = thread->in_end - thread->in_at;
  if (length > wanted) length = wanted;
  memcpy(into, thread->in + thread->in_at, length);
  thread->in_at += length;
  *count = length;
  return 1;
}

static int write_ex(BIO *bio, const char *data, size_t length, size_t *count) {
  struct tls_conn *conn = BIO_get_data(bio);
  struct tls_thread *thread = conn->thread;
  BIO_clear_retry_flags(bio);
  *count = length;
  if (conn->end_sent) return 1;
  if (!keeps(conn) && length > TLS_OUT_BYTES - thread->out_end) push(conn);
  if (keeps(conn) || length > TLS_OUT_BYTES) {
    keep(conn, (const uint8_t *)data, length);
  } else {
    memcpy(thread->out + thread->out_end, data, length);
    thread->out_end += length;
  }
  return 1;
}

static long control(BIO *bio, int command, long number, void *pointer) {
  (void)number;
  (void)pointer;
  const struct tls_conn *conn = BIO_get_data(bio);
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command == BIO_CTRL_EOF) return conn->at_end;
  return 0;
}

BIO_METHOD *tls_bio_method(void) {
  BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "castor");
  if (method == NULL) return NULL;
  BIO_meth_set_read_ex(method, read_ex);
  BIO_meth_set_write_ex(method, write_ex);
  BIO_meth_set_ctrl(method, control);
  return method;
}

BIO *tls_bio_new(struct tls_conn *conn) {
  BIO *bio = BIO_new(conn->thread->method);
  if (bio == NULL) return NULL;
  BIO_set_data(bio, conn);
  BIO_set_init(bio, 1);
  return bio;
}

void tls_before(struct tls_conn *conn, size_t budget, bool to_end) {
  struct tls_thread *thread = conn->thread;
  thread->in_at = 0;
  thread->in_end = conn->in_length;
  thread->out_end = 0;
  thread->budget = budget < TLS_IN_BYTES ? budget : TLS_IN_BYTES;
  thread->to_end = to_end;
  thread->drained = false;
  if (conn->in) {
    memcpy(thread->in, conn->in, conn->in_length);
    free(conn->in);
    conn->in = NULL;
    conn->in_length = 0;
  }
  /* The queue is the thread's, and node:crypto's as well. */
  ERR_clear_error();
}

void tls_after(struct tls_conn *conn) {
  struct tls_thread *thread = conn->thread;
  size_t left = thread->in_end - thread->in_at;
  if (left > 0) {
    conn->in = malloc(left);
    if (conn->in) {
      memcpy(conn->in, thread->in + thread->in_at, left);
      conn->in_length = (uint32_t)left;
    } else {
      read_failed(conn, ENOMEM);
    }
  }
  push(conn);
  thread->words[WORD_KEPT] = keeps(conn);
  ERR_clear_error();
}
