/*
 * Unix sockets: descriptors that travel between processes, and datagrams, which Node cannot send. Every function answers a
 * count, 0 or a negative errno.
 */
#include "castor.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/un.h>
#include <unistd.h>

/* Descriptors in one message, at most; the kernel's own limit (SCM_MAX_FD) is 253. */
#define MOST_SENT 64
#define MOST_RECEIVED 253

union control {
  char bytes[CMSG_SPACE(MOST_RECEIVED * sizeof(int))];
  struct cmsghdr aligned;
};

/* socketPair(into) → 0: two connected stream sockets, which no child process inherits unless it is given them */
static napi_value socket_pair(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  int32_t *into = kept_words_argument(env, values[0], 2 * sizeof(int32_t));
  if (into == NULL) return int_result(env, -EINVAL);
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair)) return int_result(env, -errno);
  into[0] = pair[0];
  into[1] = pair[1];
  return int_result(env, 0);
}

/* sendDescriptors(fd, bytes, descriptors) → bytes that were sent; the descriptors travel with the first of them */
static napi_value send_descriptors(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  const uint8_t *bytes;
  size_t length, count = 0;
  if (!bytes_argument(env, values[1], &bytes, &length) || length == 0) return int_result(env, -EINVAL);
  const int32_t *descriptors = words_argument(env, values[2], &count);
  if ((descriptors == NULL && count > 0) || count > MOST_SENT) return int_result(env, -EINVAL);
  union control control;
  memset(&control, 0, sizeof control);
  struct iovec data = {.iov_base = (void *)bytes, .iov_len = length};
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
  if (count > 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(header), descriptors, count * sizeof(int));
  }
  ssize_t sent = sendmsg(int_argument(env, values[0]), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  return int_result(env, sent < 0 ? -errno : sent);
}

/* Takes what a control message brought: at most `room` descriptors, or none and false; all others are closed. */
static bool take_descriptors(struct msghdr *message, int32_t *into, size_t room, size_t *taken) {
  size_t count = 0;
  bool fits = true;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    size_t brought = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < brought; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      if (count < room) {
        into[count++] = fd;
      } else {
        close(fd);
        fits = false;
      }
    }
  }
  if (!fits || (message->msg_flags & MSG_CTRUNC)) {
    while (count > 0) close(into[--count]);
    return false;
  }
  *taken = count;
  return true;
}

/*
 * receiveDescriptors(fd, bytes, into) → bytes that were received, 0 at the end. `into` gets the number of descriptors, then
 * the descriptors, which the caller owns. EMSGSIZE where more came than `into` has room for, EMFILE where this process may
 * not have as many: then none is kept, and the bytes are lost.
 */
static napi_value receive_descriptors(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  size_t length = 0, words = 0;
  uint8_t *bytes = kept_bytes_argument(env, values[1], &length);
  int32_t *into = kept_words_argument(env, values[2], sizeof(int32_t));
  words_argument(env, values[2], &words);
  if (bytes == NULL || into == NULL) return int_result(env, -EINVAL);
  into[0] = 0;
  union control control;
  struct iovec data = {.iov_base = bytes, .iov_len = length};
  struct msghdr message = {
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  ssize_t received = recvmsg(int_argument(env, values[0]), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (received < 0) return int_result(env, -errno);
  /* The control buffer holds as many as a message can bring: what is cut short was so by the open-file limit. */
  bool is_cut = message.msg_flags & MSG_CTRUNC;
  size_t taken = 0;
  if (!take_descriptors(&message, into + 1, words - 1, &taken)) return int_result(env, is_cut ? -EMFILE : -EMSGSIZE);
  into[0] = (int32_t)taken;
  return int_result(env, received);
}

/* peerUser(fd) → the user id of whoever made or connected the other end */
static napi_value peer_user(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  struct ucred peer;
  socklen_t size = sizeof peer;
  if (getsockopt(int_argument(env, values[0]), SOL_SOCKET, SO_PEERCRED, &peer, &size)) return int_result(env, -errno);
  /* Of a socket that is no Unix socket there is nobody. */
  return int_result(env, peer.uid == (uid_t)-1 ? -ENOTCONN : (int64_t)peer.uid);
}

/* closeOnExec(fd) → 0: no child process inherits it from here on */
static napi_value close_on_exec(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  return int_result(env, fcntl(int_argument(env, values[0]), F_SETFD, FD_CLOEXEC) ? -errno : 0);
}

/* listeningPath(fd) → the path of a listening Unix socket, "" where it has none; a negative errno where it is none */
static napi_value listening_path(napi_env env, napi_callback_info info) {
  napi_value values[8], text;
  arguments(env, info, values);
  struct sockaddr_un at;
  socklen_t size = sizeof at, option = sizeof(int);
  int fd = int_argument(env, values[0]), listens = 0, type = 0;
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &option)) return int_result(env, -errno);
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &option)) return int_result(env, -errno);
  if (getsockname(fd, (struct sockaddr *)&at, &size)) return int_result(env, -errno);
  if (!listens || type != SOCK_STREAM || at.sun_family != AF_UNIX) return int_result(env, -EINVAL);
  size_t room = size > offsetof(struct sockaddr_un, sun_path) ? size - offsetof(struct sockaddr_un, sun_path) : 0;
  napi_create_string_utf8(env, at.sun_path, strnlen(at.sun_path, room), &text);
  return text;
}

/*
 * sendDatagram(path, text) → 0: one datagram to a Unix socket, as service managers take them. A path that begins with `@` is
 * a name in Linux's abstract namespace. Never waits: EAGAIN where the receiver's queue is full.
 */
static napi_value send_datagram(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  char *path = text_argument(env, values[0]), *text = text_argument(env, values[1]);
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  size_t length = path ? strlen(path) : 0;
  int result = -EINVAL;
  if (text && (length == 0 || (path[0] != '/' && path[0] != '@'))) result = -EINVAL;
  /* A path ends with a zero byte; a name does not. */
  else if (text && length > sizeof to.sun_path - (path[0] == '/')) result = -ENAMETOOLONG;
  else if (text) {
    memcpy(to.sun_path, path, length);
    if (path[0] == '@') to.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    result = fd < 0 ? -errno : 0;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    if (fd >= 0 && sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&to, size) < 0)
      result = -errno;
    if (fd >= 0) close(fd);
  }
  free(path);
  free(text);
  return int_result(env, result);
}

void unix_sockets_define(napi_env env, napi_value exports) {
  define_function(env, exports, "socketPair", socket_pair);
  define_function(env, exports, "sendDescriptors", send_descriptors);
  define_function(env, exports, "receiveDescriptors", receive_descriptors);
  define_function(env, exports, "peerUser", peer_user);
  define_function(env, exports, "closeOnExec", close_on_exec);
  define_function(env, exports, "listeningPath", listening_path);
  define_function(env, exports, "sendDatagram", send_datagram);
}
