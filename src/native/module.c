/* The addon's entry: thread state, and the small change of Node-API that the other files use. */
#include "castor.h"

void arguments(napi_env env, napi_callback_info info, napi_value values[8]) {
  size_t count = 8;
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
}

int32_t int_argument(napi_env env, napi_value value) {
  /* Node-API's own conversion to 32 bits makes 0 of NaN and wraps what is too large: both may be somebody's descriptor. */
  double number = -1;
  if (napi_get_value_double(env, value, &number) != napi_ok) return -1;
  if (!(number >= INT32_MIN && number <= INT32_MAX)) return -1;
  int32_t whole = (int32_t)number;
  return (double)whole == number ? whole : -1;
}

napi_value int_result(napi_env env, int64_t number) {
  napi_value value = NULL;
  if (number >= INT32_MIN && number <= INT32_MAX)
    napi_create_int32(env, (int32_t)number, &value);
  else
    napi_create_int64(env, number, &value);
  return value;
}

/* Where the array begins; NULL when it is none of that type. `buffer` may be NULL. */
static void *array_of(napi_env env, napi_value value, napi_typedarray_type wanted, size_t *count, napi_value *buffer) {
  void *data = NULL;
  napi_typedarray_type type;
  *count = 0;
  if (napi_get_typedarray_info(env, value, &type, count, &data, buffer, NULL) == napi_ok && type == wanted) return data;
  *count = 0;
  return NULL;
}

static bool is_array(napi_env env, napi_value value, napi_typedarray_type wanted) {
  napi_typedarray_type type;
  return napi_get_typedarray_info(env, value, &type, NULL, NULL, NULL, NULL) == napi_ok && type == wanted;
}

bool bytes_argument(napi_env env, napi_value value, const uint8_t **data, size_t *length) {
  *data = array_of(env, value, napi_uint8_array, length, NULL);
  return *data != NULL || is_array(env, value, napi_uint8_array);
}

const int32_t *words_argument(napi_env env, napi_value value, size_t *count) {
  return array_of(env, value, napi_int32_array, count, NULL);
}

/* An ArrayBuffer may be made to shrink, which takes its memory away. */
static bool may_shrink(napi_env env, napi_value buffer) {
  napi_value answer;
  bool resizable = false;
  if (napi_get_named_property(env, buffer, "resizable", &answer) != napi_ok) return true;
  return napi_get_value_bool(env, answer, &resizable) == napi_ok && resizable;
}

int32_t *kept_words_argument(napi_env env, napi_value value, size_t least) {
  size_t count = 0;
  napi_value buffer;
  int32_t *words = array_of(env, value, napi_int32_array, &count, &buffer);
  return words && count * sizeof *words >= least && !may_shrink(env, buffer) ? words : NULL;
}

uint8_t *kept_bytes_argument(napi_env env, napi_value value, size_t *length) {
  napi_value buffer;
  uint8_t *bytes = array_of(env, value, napi_uint8_array, length, &buffer);
  return bytes && *length > 0 && !may_shrink(env, buffer) ? bytes : NULL;
}

char *text_argument(napi_env env, napi_value value) {
  size_t length = 0, copied = 0;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok) return NULL;
  char *text = malloc(length + 1);
  if (text == NULL) return NULL;
  if (napi_get_value_string_utf8(env, value, text, length + 1, &copied) == napi_ok && strlen(text) == length) return text;
  free(text);
  return NULL;
}

bool is_function(napi_env env, napi_value value) {
  napi_valuetype type;
  return napi_typeof(env, value, &type) == napi_ok && type == napi_function;
}

void define_function(napi_env env, napi_value exports, const char *name, napi_callback function) {
  napi_value value;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, function, NULL, &value);
  napi_set_named_property(env, exports, name, value);
}

void define_constant(napi_env env, napi_value exports, const char *name, int32_t value) {
  napi_value constants, number;
  napi_get_named_property(env, exports, "constants", &constants);
  napi_create_int32(env, value, &number);
  napi_set_named_property(env, constants, name, number);
}

void call_back(napi_env env, napi_ref function, size_t count, const int32_t *numbers) {
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_value receiver, callee = NULL, result, values[4];
  napi_get_global(env, &receiver);
  napi_get_reference_value(env, function, &callee);
  for (size_t i = 0; i < count && i < 4; i++) napi_create_int32(env, numbers[i], &values[i]);
  /* Also "pending" without an exception to get, while the thread is being terminated: then there is nobody to tell. */
  if (callee && napi_make_callback(env, NULL, receiver, callee, count, values, &result) == napi_pending_exception) {
    bool pending = false;
    napi_value error;
    if (napi_is_exception_pending(env, &pending) == napi_ok && pending &&
        napi_get_and_clear_last_exception(env, &error) == napi_ok)
      napi_fatal_exception(env, error);
  }
  napi_close_handle_scope(env, scope);
}

struct thread_state *thread_state(napi_env env) {
  void *data = NULL;
  napi_get_instance_data(env, &data);
  return data;
}

static void finish(struct thread_state *state) {
  if (!state->ended || state->closing_handles > 0) return;
  napi_remove_async_cleanup_hook(state->cleanup);
  free(state);
}

void thread_handle_closed(struct thread_state *state) {
  state->closing_handles--;
  finish(state);
}

/* The thread ends, for whatever reason: every descriptor it owns is closed, so that its peers learn of it at once. */
static void on_thread_end(napi_async_cleanup_hook_handle handle, void *data) {
  (void)handle;
  struct thread_state *state = data;
  if (state->poller) poller_dispose(state->poller);
  tls_dispose(state->tls);
  state->tls = NULL;
  while (state->acceptors) acceptor_dispose(state->acceptors);
  state->ended = true;
  finish(state);
}

static napi_value init(napi_env env, napi_value exports) {
  struct thread_state *state = calloc(1, sizeof *state);
  if (state == NULL) {
    napi_throw_error(env, NULL, "out of memory");
    return NULL;
  }
  state->env = env;
  napi_get_uv_event_loop(env, &state->loop);
  napi_set_instance_data(env, state, NULL, NULL);
  napi_add_async_cleanup_hook(env, on_thread_end, state, &state->cleanup);
  napi_value constants;
  napi_create_object(env, &constants);
  napi_set_named_property(env, exports, "constants", constants);
  sockets_define(env, exports);
  poller_define(env, exports);
  unix_sockets_define(env, exports);
  acceptor_define(env, exports);
  process_define(env, exports);
  scheduling_define(env, exports);
  tls_define(env, exports);
  return exports;
}

NAPI_MODULE(castor, init)
