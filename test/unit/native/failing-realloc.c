/*
 * Preloaded into a node that runs the addon. To the addon alone: sockets take a few bytes at a time, and no buffer grows.
 *   cc -shared -fPIC -o failing-realloc.so failing-realloc.c
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

#define MOST_SENT 20000
/* Smaller ones are not looked at: to find out who asks takes a while. */
#define LEAST_GROWN 20000

static int is_addon(void *caller) {
  Dl_info info;
  return dladdr(caller, &info) && info.dli_fname && strstr(info.dli_fname, "castor.node") != NULL;
}

void *realloc(void *block, size_t size) {
  static void *(*system_realloc)(void *, size_t);
  if (!system_realloc) *(void **)&system_realloc = dlsym(RTLD_NEXT, "realloc");
  if (block && size >= LEAST_GROWN && is_addon(__builtin_return_address(0))) return NULL;
  return system_realloc(block, size);
}

ssize_t send(int fd, const void *data, size_t length, int flags) {
  static ssize_t (*system_send)(int, const void *, size_t, int);
  if (!system_send) *(void **)&system_send = dlsym(RTLD_NEXT, "send");
  if (length > MOST_SENT && is_addon(__builtin_return_address(0))) length = MOST_SENT;
  return system_send(fd, data, length, flags);
}
