/*
 * The end of the process where something in it does not end. exit() joins every thread, and a thread that is stuck in a
 * system call or a loop in C never comes: what is here ends the process all the same, from threads that run no JavaScript.
 */
#include "castor.h"

#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Descriptors looked at, at most: a limit may be a thousand millions. */
#define MOST_DESCRIPTORS (1 << 20)

struct ending {
  int after_ms;
  int code;
};

static int tcp_option(int fd, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  return getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

/*
 * Listening sockets first, since a thread that the kernel holds keeps the rest open. Connections are reset rather than
 * ended in order: a response that is cut must not look whole. No allocation: a stuck thread may hold the allocator's lock.
 */
static void end_process(int code) {
  struct rlimit limit = {.rlim_cur = MOST_DESCRIPTORS};
  getrlimit(RLIMIT_NOFILE, &limit);
  int end = limit.rlim_cur < MOST_DESCRIPTORS ? (int)limit.rlim_cur : MOST_DESCRIPTORS;
  struct linger reset = {.l_onoff = 1, .l_linger = 0};
  for (int fd = 3; fd < end; fd++)
    if (tcp_option(fd, SO_PROTOCOL) == IPPROTO_TCP && tcp_option(fd, SO_ACCEPTCONN) == 1) close(fd);
  for (int fd = 3; fd < end; fd++)
    if (tcp_option(fd, SO_PROTOCOL) == IPPROTO_TCP) setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  _exit(code);
}

static void sleep_for(int ms) {
  struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
  while (nanosleep(&left, &left) && errno == EINTR) continue;
}

/* A thread that no signal is delivered to. 0 or a negative errno. */
static int start_thread(void *(*run)(void *), void *data) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  /* PTHREAD_STACK_MIN is a function call in newer C libraries. */
  pthread_attr_setstacksize(&attributes, 64 * 1024);
  pthread_t thread;
  int error = pthread_create(&thread, &attributes, run, data);
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return -error;
}

static void *end_later(void *data) {
  struct ending ending = *(struct ending *)data;
  free(data);
  sleep_for(ending.after_ms);
  end_process(ending.code);
  return NULL;
}

/* exitNow(code) */
static napi_value exit_now(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  end_process(int_argument(env, values[0]));
  return NULL;
}

/* exitAfter(ms, code) → 0 or a negative errno. Cannot be taken back; meant for a process that is about to exit anyway. */
static napi_value exit_after(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  struct ending *ending = malloc(sizeof *ending);
  if (ending == NULL) return int_result(env, -ENOMEM);
  ending->after_ms = int_argument(env, values[0]);
  ending->code = int_argument(env, values[1]);
  int error = ending->after_ms < 0 ? -EINVAL : start_thread(end_later, ending);
  if (error) free(ending);
  return int_result(env, error);
}

static const int stop_signals[] = {SIGTERM, SIGINT, SIGQUIT};
#define STOP_SIGNALS (sizeof stop_signals / sizeof stop_signals[0])
static struct sigaction handlers_before[STOP_SIGNALS];
static sem_t stops;
static int grace_ms;

static void on_stop_signal(int number, siginfo_t *info, void *context) {
  int kept_errno = errno;
  sem_post(&stops);
  for (size_t i = 0; i < STOP_SIGNALS; i++) {
    if (stop_signals[i] != number) continue;
    const struct sigaction *before = &handlers_before[i];
    if (before->sa_flags & SA_SIGINFO)
      before->sa_sigaction(number, info, context);
    else if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN)
      before->sa_handler(number);
  }
  errno = kept_errno;
}

static void *await_second_signal(void *data) {
  (void)data;
  for (int i = 0; i < 2; i++)
    while (sem_wait(&stops)) continue;
  sleep_for(grace_ms);
  end_process(1);
  return NULL;
}

/*
 * endOnSecondSignal(ms) → 0 or a negative errno: from the second SIGTERM, SIGINT or SIGQUIT on the process has so long to end by
 * itself, whatever its threads are at. To be called once, after the handlers of the loop are set: those are called as well.
 */
static napi_value end_on_second_signal(napi_env env, napi_callback_info info) {
  static bool done = false;
  napi_value values[8];
  arguments(env, info, values);
  if (done) return int_result(env, -EALREADY);
  grace_ms = int_argument(env, values[0]);
  if (grace_ms < 0) return int_result(env, -EINVAL);
  sem_init(&stops, 0, 0);
  int error = start_thread(await_second_signal, NULL);
  if (error) return int_result(env, error);
  done = true;
  struct sigaction handler = {.sa_sigaction = on_stop_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
  sigfillset(&handler.sa_mask);
  for (size_t i = 0; i < STOP_SIGNALS; i++) {
    /* The one before is known before ours can run. */
    sigaction(stop_signals[i], NULL, &handlers_before[i]);
    sigaction(stop_signals[i], &handler, NULL);
  }
  return int_result(env, 0);
}

void process_define(napi_env env, napi_value exports) {
  define_function(env, exports, "exitNow", exit_now);
  define_function(env, exports, "exitAfter", exit_after);
  define_function(env, exports, "endOnSecondSignal", end_on_second_signal);
}
