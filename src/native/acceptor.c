/* Accepts in batches while libuv says a listening socket is readable. */
#include "castor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <sys/socket.h>
#include <unistd.h>

/* Connections taken in one turn of the loop: enough to amortise the callback, few enough to leave the loop its turn. */
#define BATCH 64
#define PAUSE_MS 100
/* Of one that closes: as many as wait in a full queue of the usual length. */
#define MAX_LAST_BATCHES 64

#define EVENT_ACCEPTED 0
#define EVENT_OUT_OF_DESCRIPTORS 1

struct acceptor {
  struct thread_state *state;
  struct acceptor *next;
  uv_poll_t poll;
  uv_timer_t timer;
  napi_ref callback;
  napi_ref records_ref;
  int32_t *records;
  int fd;
  /* Held open so that one descriptor can be had when none is left. */
  int spare;
  int id;
  bool paused;
  /* Within the callback: the records are being read. */
  bool reporting;
  /* Turns in a row that ended without a descriptor. */
  int starved;
  int open_handles;
};

static void on_readable(uv_poll_t *poll, int status, int events);

static void start(struct acceptor *acceptor) {
  if (!acceptor->paused) uv_poll_start(&acceptor->poll, UV_READABLE, on_readable);
}

static void on_pause_over(uv_timer_t *timer) { start(timer->data); }

static int open_spare(void) { return open("/dev/null", O_RDONLY | O_CLOEXEC); }

/* The second starved turn in a row: what waits cannot be served soon, so it is told so rather than left hanging. */
static void shed(struct acceptor *acceptor) {
  if (acceptor->spare < 0) acceptor->spare = open_spare();
  for (int i = 0; i < BATCH && acceptor->spare >= 0; i++) {
    close(acceptor->spare);
    int fd = accept4(acceptor->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) close(fd);
    acceptor->spare = open_spare();
    if (fd < 0) break;
  }
}

static void rest(struct acceptor *acceptor) {
  uv_poll_stop(&acceptor->poll);
  uv_timer_start(&acceptor->timer, on_pause_over, PAUSE_MS, 0);
}

static void out_of_descriptors(struct acceptor *acceptor) {
  if (++acceptor->starved > 1) shed(acceptor);
  rest(acceptor);
  int32_t numbers[] = {EVENT_OUT_OF_DESCRIPTORS, PAUSE_MS};
  call_back(acceptor->state->env, acceptor->callback, 2, numbers);
}

/* How a batch ended. */
enum end { MORE, EMPTY, STARVED, STUCK };

/* Takes what waits, one batch at the most, and reports it. The callback may close the acceptor. */
static enum end take_batch(struct acceptor *acceptor) {
  int count = 0;
  enum end end = MORE;
  /* What was aborted meanwhile is a try as well: others wait for the loop. */
  for (int tries = 0; tries < BATCH; tries++) {
    struct sockaddr_storage storage;
    socklen_t size = sizeof storage;
    int fd = accept4(acceptor->fd, (struct sockaddr *)&storage, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO) continue;
      if (errno == EAGAIN) end = EMPTY;
      else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) end = STARVED;
      /* Such as EINVAL of a socket that somebody shut down: it stays readable, and libuv would call for ever. */
      else end = STUCK;
      break;
    }
    int32_t *record = acceptor->records + count * RECORD_WORDS;
    record[RECORD_FD] = fd;
    record_address(record, &storage);
    count++;
  }
  if (count > 0) {
    acceptor->starved = 0;
    int32_t numbers[] = {EVENT_ACCEPTED, count};
    acceptor->reporting = true;
    call_back(acceptor->state->env, acceptor->callback, 2, numbers);
    acceptor->reporting = false;
  }
  return end;
}

static void on_readable(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  struct acceptor *acceptor = poll->data;
  enum end end = take_batch(acceptor);
  /* The callback may have closed the acceptor, which outlives this call: it is freed by its handles' close callbacks. */
  if (uv_is_closing((uv_handle_t *)&acceptor->poll)) return;
  if (end == STARVED) out_of_descriptors(acceptor);
  if (end == STUCK) rest(acceptor);
}

static void on_closed(uv_handle_t *handle) {
  struct acceptor *acceptor = handle->data;
  struct thread_state *state = acceptor->state;
  if (--acceptor->open_handles == 0) free(acceptor);
  thread_handle_closed(state);
}

void acceptor_dispose(struct acceptor *acceptor) {
  struct thread_state *state = acceptor->state;
  for (struct acceptor **link = &state->acceptors; *link; link = &(*link)->next) {
    if (*link == acceptor) {
      *link = acceptor->next;
      break;
    }
  }
  uv_poll_stop(&acceptor->poll);
  uv_timer_stop(&acceptor->timer);
  close(acceptor->fd);
  if (acceptor->spare >= 0) close(acceptor->spare);
  napi_delete_reference(state->env, acceptor->callback);
  napi_delete_reference(state->env, acceptor->records_ref);
  state->closing_handles += 2;
  uv_close((uv_handle_t *)&acceptor->poll, on_closed);
  uv_close((uv_handle_t *)&acceptor->timer, on_closed);
}

/* acceptorOpen(fd, records, callback) → id. The acceptor owns fd from here on; on failure it stays the caller's. */
static napi_value acceptor_open(napi_env env, napi_callback_info info) {
  static int ids = 0;
  napi_value values[8];
  arguments(env, info, values);
  int32_t *records = kept_words_argument(env, values[1], BATCH * RECORD_WORDS * sizeof(int32_t));
  if (records == NULL) return int_result(env, -EINVAL);
  if (!is_function(env, values[2])) return int_result(env, -EINVAL);
  /* One that does not listen would be readable for ever and never accept. */
  int fd = int_argument(env, values[0]), listens = 0;
  socklen_t size = sizeof listens;
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size)) return int_result(env, -errno);
  if (!listens) return int_result(env, -EINVAL);
  struct thread_state *state = thread_state(env);
  struct acceptor *acceptor = calloc(1, sizeof *acceptor);
  if (acceptor == NULL) return int_result(env, -ENOMEM);
  acceptor->state = state;
  acceptor->fd = fd;
  int error = uv_poll_init(state->loop, &acceptor->poll, acceptor->fd);
  if (error) {
    free(acceptor);
    return int_result(env, error);
  }
  uv_timer_init(state->loop, &acceptor->timer);
  acceptor->open_handles = 2;
  acceptor->poll.data = acceptor;
  acceptor->timer.data = acceptor;
  acceptor->records = records;
  acceptor->spare = open_spare();
  acceptor->id = __atomic_add_fetch(&ids, 1, __ATOMIC_RELAXED);
  napi_create_reference(env, values[1], 1, &acceptor->records_ref);
  napi_create_reference(env, values[2], 1, &acceptor->callback);
  acceptor->next = state->acceptors;
  state->acceptors = acceptor;
  start(acceptor);
  return int_result(env, acceptor->id);
}

static struct acceptor *find(napi_env env, napi_value id) {
  int wanted = int_argument(env, id);
  struct acceptor *acceptor = thread_state(env)->acceptors;
  while (acceptor && acceptor->id != wanted) acceptor = acceptor->next;
  return acceptor;
}

/* acceptorPause(id), acceptorResume(id), acceptorClose(id): nothing happens for one that is closed already */
static napi_value acceptor_pause(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  struct acceptor *acceptor = find(env, values[0]);
  if (acceptor) {
    acceptor->paused = true;
    uv_poll_stop(&acceptor->poll);
  }
  return NULL;
}

static napi_value acceptor_resume(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  struct acceptor *acceptor = find(env, values[0]);
  if (acceptor && acceptor->paused) {
    acceptor->paused = false;
    if (!uv_is_active((uv_handle_t *)&acceptor->timer)) start(acceptor);
  }
  return NULL;
}

static napi_value acceptor_close(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  struct acceptor *acceptor = find(env, values[0]);
  /* Who waits in the queue believes to be connected, and would be reset. While it is paused nobody would serve them. */
  for (int batches = 0; acceptor && !acceptor->paused && !acceptor->reporting && batches < MAX_LAST_BATCHES; batches++) {
    if (take_batch(acceptor) != MORE) break;
    acceptor = find(env, values[0]);
  }
  acceptor = find(env, values[0]);
  if (acceptor) acceptor_dispose(acceptor);
  return NULL;
}

/*
 * acceptorMute(id): first segments of handshakes are dropped from here on, so that whoever connects tries again a second
 * later, perhaps at another host; handshakes under way finish. A filter of a listening socket sees TCP headers; the flags
 * are byte 13. Answers 0 or a negative errno.
 */
static napi_value acceptor_mute(napi_env env, napi_callback_info info) {
  static struct sock_filter drop_syn[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x12),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, 0x40000),
  };
  struct sock_fprog program = {sizeof drop_syn / sizeof *drop_syn, drop_syn};
  napi_value values[8];
  arguments(env, info, values);
  struct acceptor *acceptor = find(env, values[0]);
  int result = acceptor ? 0 : -EBADF;
  if (acceptor && setsockopt(acceptor->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0) result = -errno;
  napi_value answer;
  napi_create_int32(env, result, &answer);
  return answer;
}

void acceptor_define(napi_env env, napi_value exports) {
  define_function(env, exports, "acceptorOpen", acceptor_open);
  define_function(env, exports, "acceptorPause", acceptor_pause);
  define_function(env, exports, "acceptorResume", acceptor_resume);
  define_function(env, exports, "acceptorClose", acceptor_close);
  define_function(env, exports, "acceptorMute", acceptor_mute);
  define_constant(env, exports, "ACCEPTED", EVENT_ACCEPTED);
  define_constant(env, exports, "OUT_OF_DESCRIPTORS", EVENT_OUT_OF_DESCRIPTORS);
  define_constant(env, exports, "ACCEPT_BATCH", BATCH);
}
