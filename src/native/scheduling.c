/* How the kernel's scheduler is to treat the calling thread. */
#include "castor.h"

#include <sched.h>

/*
 * schedule(batch: 0 | 1) → 0 or a negative errno. 1: this thread no longer preempts others when it wakes (SCHED_BATCH), as
 * sched(7) describes it; 0: like any other thread. Needs no privilege. Threads and processes that it starts inherit it.
 */
static napi_value schedule(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  int batch = int_argument(env, values[0]);
  if (batch != 0 && batch != 1) return int_result(env, -EINVAL);
  struct sched_param param = {.sched_priority = 0};
  return int_result(env, sched_setscheduler(0, batch ? SCHED_BATCH : SCHED_OTHER, &param) ? -errno : 0);
}

void scheduling_define(napi_env env, napi_value exports) { define_function(env, exports, "schedule", schedule); }
