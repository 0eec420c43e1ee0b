/* What the addon's files share. Linux only: epoll, accept4, eventfd. Plain C over Node-API 9 and libuv. */
#ifndef CASTOR_H
#define CASTOR_H

#define NAPI_VERSION 9
#define _GNU_SOURCE

#include <errno.h>
#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

/* A connection record: eight words, as src/core/connection-record.ts describes. */
#define RECORD_WORDS 8
#define RECORD_FD 0
#define RECORD_FAMILY 1
#define RECORD_PORT 2
#define RECORD_ADDRESS 3

struct poller;
struct acceptor;
struct tls_thread;

/* One per thread that loaded the addon. The thread's cleanup hook closes whatever it still holds. */
struct thread_state {
  napi_env env;
  uv_loop_t *loop;
  struct poller *poller;
  struct acceptor *acceptors;
  /* Where TLS is spoken. */
  struct tls_thread *tls;
  napi_async_cleanup_hook_handle cleanup;
  /* libuv handles that are being closed; the hook is removed, and this freed, when none is left. */
  int closing_handles;
  bool ended;
};

struct thread_state *thread_state(napi_env env);
/* Called from a handle's close callback. */
void thread_handle_closed(struct thread_state *state);

void poller_dispose(struct poller *poller);
void acceptor_dispose(struct acceptor *acceptor);
/* A read (0) or write (1) buffer; NULL without a poller. */
uint8_t *poller_buffer(struct poller *poller, int which, size_t *size);
bool poller_owns(struct poller *poller, int fd);

/* TLS, where the addon was built with OpenSSL's headers; nothing otherwise. */
#ifdef CASTOR_WITHOUT_TLS
#define tls_define(env, exports) (void)0
#define tls_forget(thread, fd) (void)0
#define tls_dispose(thread) (void)0
#else
void tls_define(napi_env env, napi_value exports);
/* The descriptor is about to be closed. */
void tls_forget(struct tls_thread *thread, int fd);
void tls_dispose(struct tls_thread *thread);
#endif

void sockets_define(napi_env env, napi_value exports);
void unix_sockets_define(napi_env env, napi_value exports);
void poller_define(napi_env env, napi_value exports);
void acceptor_define(napi_env env, napi_value exports);
void process_define(napi_env env, napi_value exports);
void scheduling_define(napi_env env, napi_value exports);

/* Writes family, port and address of `storage` into the record; IPv4-mapped addresses as IPv4. */
void record_address(int32_t *record, const struct sockaddr_storage *storage);

/* Arguments: at most eight numbers or objects; `undefined` where none was given. */
void arguments(napi_env env, napi_callback_info info, napi_value values[8]);
/* A whole number of 32 bits. Anything else is −1, which no descriptor, length, position or port is. */
int32_t int_argument(napi_env env, napi_value value);
napi_value int_result(napi_env env, int64_t value);
/* The bytes of a Uint8Array. False when it is none, with nothing in `data` and `length`; an empty one has no `data`. */
bool bytes_argument(napi_env env, napi_value value, const uint8_t **data, size_t *length);
/* The words of an Int32Array; NULL, and 0 in `count`, when it is none. An empty one may be NULL as well. */
const int32_t *words_argument(napi_env env, napi_value value, size_t *count);
/*
 * What is kept and written to for long: the words of an Int32Array, or the bytes of a Uint8Array. NULL where it is none,
 * has fewer than `least` bytes, or could shrink meanwhile.
 */
int32_t *kept_words_argument(napi_env env, napi_value value, size_t least);
uint8_t *kept_bytes_argument(napi_env env, napi_value value, size_t *length);
/* A copy to be freed; NULL when it is no text, or has a zero byte in it. */
char *text_argument(napi_env env, napi_value value);
bool is_function(napi_env env, napi_value value);
/* Closes a socket; with `reset` the peer gets RST and unsent bytes are dropped. 0 or a negative errno. */
int close_socket(int fd, bool reset);
void define_function(napi_env env, napi_value exports, const char *name, napi_callback function);
/* A number that TypeScript knows by the same name, as a property of `exports.constants`. */
void define_constant(napi_env env, napi_value exports, const char *name, int32_t value);
/* Calls back into JavaScript from the loop; an exception there ends the thread as an uncaught one. */
void call_back(napi_env env, napi_ref function, size_t count, const int32_t *numbers);

#endif
