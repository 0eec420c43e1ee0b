/*
 * One epoll of a thread's own, watched by libuv through its descriptor. A turn hands JavaScript all that is ready as
 * pairs of words in a shared array; JavaScript then reads and writes with one call each, into and out of two static
 * buffers. Nothing here decides anything: what a connection is, lives in TypeScript.
 */
#include "castor.h"

#include <sys/epoll.h>
#include <unistd.h>

#define BATCH 256
/* Words an event takes: the connection's tag, and what happened. */
#define EVENT_WORDS 3

struct poller {
  struct thread_state *state;
  uv_poll_t poll;
  int fd;
  napi_ref callback;
  napi_ref events_ref;
  napi_ref buffer_refs[2];
  int32_t *events;
  uint8_t *buffers[2];
  size_t buffer_sizes[2];
  /* One byte a descriptor: 1 while this thread owns it, so that its end can close them all. */
  uint8_t *owned;
  int owned_size;
};

static bool own(struct poller *poller, int fd) {
  if (fd >= poller->owned_size) {
    int64_t size = poller->owned_size ? poller->owned_size : 1024;
    while (size <= fd) size *= 2;
    if (size > INT32_MAX) return false;
    uint8_t *owned = realloc(poller->owned, (size_t)size);
    if (owned == NULL) return false;
    memset(owned + poller->owned_size, 0, (size_t)(size - poller->owned_size));
    poller->owned = owned;
    poller->owned_size = (int)size;
  }
  poller->owned[fd] = 1;
  return true;
}

bool poller_owns(struct poller *poller, int fd) { return fd >= 0 && fd < poller->owned_size && poller->owned[fd]; }

uint8_t *poller_buffer(struct poller *poller, int which, size_t *size) {
  if (poller == NULL || which < 0 || which > 1) return NULL;
  *size = poller->buffer_sizes[which];
  return poller->buffers[which];
}

static int collect(struct poller *poller) {
  struct epoll_event ready[BATCH];
  int count;
  do count = epoll_wait(poller->fd, ready, BATCH, 0);
  while (count < 0 && errno == EINTR);
  for (int i = 0; i < count; i++) {
    int32_t *event = poller->events + i * EVENT_WORDS;
    event[0] = (int32_t)(ready[i].data.u64 & 0xffffffff);
    event[1] = (int32_t)(ready[i].data.u64 >> 32);
    event[2] = (int32_t)ready[i].events;
  }
  return count;
}

static void on_ready(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  struct poller *poller = poll->data;
  int32_t count = collect(poller);
  if (count > 0) call_back(poller->state->env, poller->callback, 1, &count);
}

static void on_closed(uv_handle_t *handle) {
  struct poller *poller = handle->data;
  struct thread_state *state = poller->state;
  close(poller->fd);
  free(poller->owned);
  free(poller);
  thread_handle_closed(state);
}

void poller_dispose(struct poller *poller) {
  struct thread_state *state = poller->state;
  state->poller = NULL;
  for (int fd = 0; fd < poller->owned_size; fd++) {
    if (!poller->owned[fd]) continue;
    tls_forget(state->tls, fd);
    /* The thread died with it: a response that it had begun must not look whole. */
    close_socket(fd, true);
  }
  uv_poll_stop(&poller->poll);
  napi_delete_reference(state->env, poller->callback);
  napi_delete_reference(state->env, poller->events_ref);
  for (int i = 0; i < 2; i++) napi_delete_reference(state->env, poller->buffer_refs[i]);
  state->closing_handles++;
  uv_close((uv_handle_t *)&poller->poll, on_closed);
}

/* pollerOpen(events, readBuffer, writeBuffer, callback) → 0. One a thread. The callback gets the number of events. */
static napi_value poller_open(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  struct thread_state *state = thread_state(env);
  if (state->poller) return int_result(env, -EEXIST);
  int32_t *events = kept_words_argument(env, values[0], BATCH * EVENT_WORDS * sizeof(int32_t));
  if (events == NULL) return int_result(env, -EINVAL);
  uint8_t *buffers[2];
  size_t sizes[2];
  for (int i = 0; i < 2; i++) {
    buffers[i] = kept_bytes_argument(env, values[1 + i], &sizes[i]);
    if (buffers[i] == NULL) return int_result(env, -EINVAL);
  }
  if (!is_function(env, values[3])) return int_result(env, -EINVAL);
  struct poller *poller = calloc(1, sizeof *poller);
  if (poller == NULL) return int_result(env, -ENOMEM);
  poller->state = state;
  poller->events = events;
  for (int i = 0; i < 2; i++) {
    poller->buffers[i] = buffers[i];
    poller->buffer_sizes[i] = sizes[i];
  }
  poller->fd = epoll_create1(EPOLL_CLOEXEC);
  int error = poller->fd < 0 ? -errno : uv_poll_init(state->loop, &poller->poll, poller->fd);
  if (error) {
    if (poller->fd >= 0) close(poller->fd);
    free(poller);
    return int_result(env, error);
  }
  poller->poll.data = poller;
  napi_create_reference(env, values[0], 1, &poller->events_ref);
  for (int i = 0; i < 2; i++) napi_create_reference(env, values[1 + i], 1, &poller->buffer_refs[i]);
  napi_create_reference(env, values[3], 1, &poller->callback);
  uv_poll_start(&poller->poll, UV_READABLE, on_ready);
  state->poller = poller;
  return int_result(env, 0);
}

static napi_value poller_close(napi_env env, napi_callback_info info) {
  (void)info;
  struct thread_state *state = thread_state(env);
  if (state->poller) poller_dispose(state->poller);
  return NULL;
}

/* collect() → number of events ready now, without waiting */
static napi_value collect_now(napi_env env, napi_callback_info info) {
  (void)info;
  struct poller *poller = thread_state(env)->poller;
  return int_result(env, poller ? collect(poller) : 0);
}

static int watch_fd(struct poller *poller, int fd, uint32_t tag, uint32_t flags) {
  struct epoll_event event = {.events = flags | EPOLLET, .data.u64 = ((uint64_t)tag << 32) | (uint32_t)fd};
  return epoll_ctl(poller->fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

/* watch(fd): an event with tag 0 whenever fd becomes readable. fd stays the caller's, also when the thread ends. */
static napi_value watch(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  struct poller *poller = thread_state(env)->poller;
  return int_result(env, poller ? watch_fd(poller, int_argument(env, values[0]), 0, EPOLLIN) : -ENOENT);
}

/* adopt(fd, tag > 0): watches fd for everything, edge-triggered, and owns it. On failure fd stays the caller's. */
static napi_value adopt(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  struct poller *poller = thread_state(env)->poller;
  int fd = int_argument(env, values[0]), tag = int_argument(env, values[1]);
  if (poller == NULL) return int_result(env, -ENOENT);
  /* 0 is what watches have. */
  if (tag <= 0) return int_result(env, -EINVAL);
  int error = watch_fd(poller, fd, (uint32_t)tag, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
  if (error) return int_result(env, error);
  if (!own(poller, fd)) {
    epoll_ctl(poller->fd, EPOLL_CTL_DEL, fd, NULL);
    return int_result(env, -ENOMEM);
  }
  return int_result(env, 0);
}

/* release(fd): stops watching; fd is the caller's again */
static napi_value release(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  struct poller *poller = thread_state(env)->poller;
  int fd = int_argument(env, values[0]);
  if (poller) {
    if (poller_owns(poller, fd)) {
      tls_forget(thread_state(env)->tls, fd);
      poller->owned[fd] = 0;
    }
    epoll_ctl(poller->fd, EPOLL_CTL_DEL, fd, NULL);
  }
  return NULL;
}

/* drop(fd, reset: 0 | 1): closes an adopted descriptor, which also ends the watch */
static napi_value drop(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  struct poller *poller = thread_state(env)->poller;
  int fd = int_argument(env, values[0]);
  /* Closing a number twice would close what another thread has been given under it meanwhile. */
  if (poller == NULL || !poller_owns(poller, fd)) return int_result(env, -EBADF);
  poller->owned[fd] = 0;
  tls_forget(thread_state(env)->tls, fd);
  return int_result(env, close_socket(fd, int_argument(env, values[1]) == 1));
}

/* receive(fd, limit) → bytes read into the start of the read buffer, 0 at the end of the stream, or a negative errno */
static napi_value receive(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  struct poller *poller = thread_state(env)->poller;
  if (poller == NULL) return int_result(env, -ENOENT);
  int fd = int_argument(env, values[0]), limit = int_argument(env, values[1]);
  if (limit <= 0 || (size_t)limit > poller->buffer_sizes[0]) return int_result(env, -EINVAL);
  ssize_t count;
  do count = recv(fd, poller->buffers[0], (size_t)limit, 0);
  while (count < 0 && errno == EINTR);
  return int_result(env, count < 0 ? -errno : count);
}

static napi_value write_out(napi_env env, int fd, const uint8_t *data, size_t length) {
  ssize_t count;
  do count = send(fd, data, length, MSG_NOSIGNAL);
  while (count < 0 && errno == EINTR);
  return int_result(env, count < 0 ? -errno : count);
}

/* send(fd, which: 0 read buffer | 1 write buffer, start, end) → bytes taken, or a negative errno */
static napi_value send_static(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  struct poller *poller = thread_state(env)->poller;
  int which = int_argument(env, values[1]);
  int64_t start = int_argument(env, values[2]), end = int_argument(env, values[3]);
  if (poller == NULL || which < 0 || which > 1 || start < 0 || end < start || (size_t)end > poller->buffer_sizes[which])
    return int_result(env, -EINVAL);
  return write_out(env, int_argument(env, values[0]), poller->buffers[which] + start, (size_t)(end - start));
}

/* sendFrom(fd, bytes, start, end): the same for any other buffer */
static napi_value send_from(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  size_t length;
  const uint8_t *data;
  bool is_bytes = bytes_argument(env, values[1], &data, &length);
  int64_t start = int_argument(env, values[2]), end = int_argument(env, values[3]);
  if (!is_bytes || start < 0 || end < start || (size_t)end > length) return int_result(env, -EINVAL);
  return write_out(env, int_argument(env, values[0]), data + start, (size_t)(end - start));
}

void poller_define(napi_env env, napi_value exports) {
  define_function(env, exports, "pollerOpen", poller_open);
  define_function(env, exports, "pollerClose", poller_close);
  define_function(env, exports, "collect", collect_now);
  define_function(env, exports, "watch", watch);
  define_function(env, exports, "adopt", adopt);
  define_function(env, exports, "release", release);
  define_function(env, exports, "drop", drop);
  define_function(env, exports, "receive", receive);
  define_function(env, exports, "send", send_static);
  define_function(env, exports, "sendFrom", send_from);
  define_constant(env, exports, "EVENT_WORDS", EVENT_WORDS);
  define_constant(env, exports, "EVENT_BATCH", BATCH);
  define_constant(env, exports, "EPOLLIN", EPOLLIN);
  define_constant(env, exports, "EPOLLOUT", EPOLLOUT);
  define_constant(env, exports, "EPOLLERR", EPOLLERR);
  define_constant(env, exports, "EPOLLHUP", EPOLLHUP);
  define_constant(env, exports, "EPOLLRDHUP", EPOLLRDHUP);
}
