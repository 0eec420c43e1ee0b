/* Plain socket calls. Every function answers a descriptor or count, or a negative errno. */
#include "castor.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

void record_address(int32_t *record, const struct sockaddr_storage *storage) {
  memset(record + RECORD_ADDRESS, 0, 16);
  if (storage->ss_family == AF_INET) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)storage;
    record[RECORD_FAMILY] = 4;
    record[RECORD_PORT] = ntohs(v4->sin_port);
    memcpy(record + RECORD_ADDRESS, &v4->sin_addr, 4);
    return;
  }
  const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)storage;
  record[RECORD_PORT] = ntohs(v6->sin6_port);
  if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
    record[RECORD_FAMILY] = 4;
    memcpy(record + RECORD_ADDRESS, v6->sin6_addr.s6_addr + 12, 4);
  } else {
    record[RECORD_FAMILY] = 6;
    memcpy(record + RECORD_ADDRESS, &v6->sin6_addr, 16);
  }
}

/* Address text and port to a socket address; 0 when the text is neither IPv4 nor IPv6, or the port is none. */
static socklen_t parse_address(napi_env env, napi_value text, int port, struct sockaddr_storage *storage) {
  char name[INET6_ADDRSTRLEN + 1];
  size_t length = 0;
  if (port < 0 || port > UINT16_MAX) return 0;
  if (napi_get_value_string_latin1(env, text, name, sizeof name, &length) != napi_ok) return 0;
  if (strlen(name) != length) return 0;
  memset(storage, 0, sizeof *storage);
  struct sockaddr_in *v4 = (struct sockaddr_in *)storage;
  if (inet_pton(AF_INET, name, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)port);
    return sizeof *v4;
  }
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)storage;
  if (inet_pton(AF_INET6, name, &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)port);
    return sizeof *v6;
  }
  return 0;
}

static int set_flag(int fd, int level, int option, int value) { return setsockopt(fd, level, option, &value, sizeof value); }

/* Seconds between probes that are not answered, and how many of those end a connection. */
#define KEEP_INTERVAL 10
#define KEEP_PROBES 6

/* Accepted sockets inherit it from the one that listens. */
static bool keep_alive_failed(int fd, int idle_seconds) {
  if (idle_seconds <= 0) return false;
  return set_flag(fd, SOL_SOCKET, SO_KEEPALIVE, 1) || set_flag(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle_seconds) ||
         set_flag(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEP_INTERVAL) || set_flag(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEP_PROBES);
}

#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif

/*
 * Sockets that shared a port once leave it shared: the kernel notes with the port the address that was bound that way
 * last, and lets any socket of the same user that sets SO_REUSEPORT bind there, whatever the sockets say that listen by
 * then. So an address that nobody has (RFC 3849, RFC 5737) is bound that way last. It is one of the other family, since
 * the note for a wildcard stays while it covers what is bound. Where another program has the port in that family, or the
 * host lacks it, that fails, and the note stays.
 */
static void end_sharing(const struct sockaddr_storage *shared) {
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201)};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr.s6_addr = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
  bool is_v4 = shared->ss_family == AF_INET;
  v6.sin6_port = ((const struct sockaddr_in *)shared)->sin_port;
  v4.sin_port = ((const struct sockaddr_in6 *)shared)->sin6_port;
  int fd = socket(is_v4 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  if (!set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1) && !set_flag(fd, SOL_SOCKET, SO_REUSEPORT, 1)) {
    if (!is_v4) {
      if (!set_flag(fd, IPPROTO_IP, IP_FREEBIND, 1)) (void)!bind(fd, (struct sockaddr *)&v4, sizeof v4);
    } else if (!set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) && !set_flag(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1)) {
      (void)!bind(fd, (struct sockaddr *)&v6, sizeof v6);
    }
  }
  close(fd);
}

/*
 * listenTcp(address, port, backlog, ipv6Only, deferAcceptSeconds, keepAliveSeconds: 0 is off, besides: 1 where sockets
 * that sharePort was called for listen on the port) → fd
 */
static napi_value listen_tcp(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  struct sockaddr_storage storage;
  socklen_t size = parse_address(env, values[0], int_argument(env, values[1]), &storage);
  int backlog = int_argument(env, values[2]), only = int_argument(env, values[3]), defer = int_argument(env, values[4]);
  bool besides = int_argument(env, values[6]) == 1;
  if (size == 0 || backlog < 0 || only < 0 || only > 1 || defer < 0) return int_result(env, -EINVAL);
  int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return int_result(env, -errno);
  /* TCP_NODELAY is inherited by accepted sockets, which saves a system call for each. */
  if (set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1) || set_flag(fd, IPPROTO_TCP, TCP_NODELAY, 1) ||
      (storage.ss_family == AF_INET6 && set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, only)) ||
      (defer > 0 && set_flag(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, defer)) ||
      (besides && set_flag(fd, SOL_SOCKET, SO_REUSEPORT, 1)) ||
      keep_alive_failed(fd, int_argument(env, values[5])) || bind(fd, (struct sockaddr *)&storage, size) ||
      listen(fd, backlog)) {
    int error = errno;
    close(fd);
    return int_result(env, -error);
  }
  if (besides) {
    end_sharing(&storage);
    set_flag(fd, SOL_SOCKET, SO_REUSEPORT, 0);
  }
  return int_result(env, fd);
}

/*
 * sharePort(fd, on): whether sockets of this user can listen on the same port at an address that this one's covers, or
 * that covers this one's. 0, or the error.
 */
static napi_value share_port(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  int failed = set_flag(int_argument(env, values[0]), SOL_SOCKET, SO_REUSEPORT, int_argument(env, values[1]) == 1);
  return int_result(env, failed ? -errno : 0);
}

/*
 * adoptListening(fd, backlog, keepAliveSeconds) → fd: a TCP socket that another program made and that listens already
 * becomes one as listenTcp makes it. It stays the caller's. EINVAL where it is none of that kind.
 */
static napi_value adopt_listening(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  int fd = int_argument(env, values[0]), backlog = int_argument(env, values[1]), listens = 0, protocol = 0;
  int idle_seconds = int_argument(env, values[2]);
  socklen_t size = sizeof listens;
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size)) return int_result(env, -errno);
  if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size)) return int_result(env, -errno);
  if (!listens || protocol != IPPROTO_TCP || backlog < 0) return int_result(env, -EINVAL);
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC) ||
      set_flag(fd, IPPROTO_TCP, TCP_NODELAY, 1) || set_flag(fd, SOL_SOCKET, SO_KEEPALIVE, idle_seconds > 0) ||
      keep_alive_failed(fd, idle_seconds) || listen(fd, backlog))
    return int_result(env, -errno);
  return int_result(env, fd);
}

/* Without a port left for a destination the system says the same as without any address to reach it from; in the latter
   case, which does not pass by waiting, it says so to a datagram socket too. */
static bool has_source(const struct sockaddr_storage *storage, socklen_t size) {
  int fd = socket(storage->ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return true;
  bool reaches = connect(fd, (const struct sockaddr *)storage, size) == 0 || errno != EADDRNOTAVAIL;
  close(fd);
  return reaches;
}

/* connectTcp(address, port, keepAliveSeconds: 0 is off) → fd of a connection under way */
static napi_value connect_tcp(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  struct sockaddr_storage storage;
  socklen_t size = parse_address(env, values[0], int_argument(env, values[1]), &storage);
  if (size == 0) return int_result(env, -EINVAL);
  int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return int_result(env, -errno);
  set_flag(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  keep_alive_failed(fd, int_argument(env, values[2]));
  if (connect(fd, (struct sockaddr *)&storage, size) != 0 && errno != EINPROGRESS) {
    int error = errno;
    close(fd);
    return int_result(env, error == EADDRNOTAVAIL && !has_source(&storage, size) ? -ENETUNREACH : -error);
  }
  return int_result(env, fd);
}

/* address(fd, peer: 0 | 1, record) → 0: fills family, port and address of the record */
static napi_value address(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  struct sockaddr_storage storage;
  socklen_t size = sizeof storage;
  int fd = int_argument(env, values[0]);
  struct sockaddr *into = (struct sockaddr *)&storage;
  int failed = int_argument(env, values[1]) == 1 ? getpeername(fd, into, &size) : getsockname(fd, into, &size);
  if (failed) return int_result(env, -errno);
  if (storage.ss_family != AF_INET && storage.ss_family != AF_INET6) return int_result(env, -EAFNOSUPPORT);
  int32_t *record = kept_words_argument(env, values[2], RECORD_WORDS * sizeof(int32_t));
  if (record == NULL) return int_result(env, -EINVAL);
  record_address(record, &storage);
  return int_result(env, 0);
}

/* socketError(fd) → 0, or the error that the socket is in, which is cleared by asking */
static napi_value socket_error(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(int_argument(env, values[0]), SOL_SOCKET, SO_ERROR, &error, &size)) return int_result(env, -errno);
  return int_result(env, -error);
}

/* unread(fd) → bytes received that nobody has read yet */
static napi_value unread(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  int count = 0;
  return int_result(env, ioctl(int_argument(env, values[0]), FIONREAD, &count) ? -errno : count);
}

/* ahead(fd) → what has come and was not read: 0 nothing, 1 bytes, 2 the end or a reset, perhaps behind bytes */
static napi_value ahead(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  struct pollfd asked = {.fd = int_argument(env, values[0]), .events = POLLIN | POLLRDHUP};
  /* Negative ones are passed over in silence. */
  if (asked.fd < 0) return int_result(env, -EBADF);
  int ready = poll(&asked, 1, 0);
  if (ready > 0 && (asked.revents & POLLNVAL)) return int_result(env, -EBADF);
  if (ready <= 0) return int_result(env, ready < 0 ? -errno : 0);
  return int_result(env, (asked.revents & ~POLLIN) != 0 ? 2 : 1);
}

/* unacknowledged(fd) → bytes sent that the peer's system has not acknowledged */
static napi_value unacknowledged(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  int count = 0;
  return int_result(env, ioctl(int_argument(env, values[0]), SIOCOUTQ, &count) ? -errno : count);
}

/* shutdownWrite(fd) */
static napi_value shutdown_write(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  return int_result(env, shutdown(int_argument(env, values[0]), SHUT_WR) ? -errno : 0);
}

int close_socket(int fd, bool reset) {
  if (reset) {
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  return close(fd) ? -errno : 0;
}

/* closeFd(fd, reset: 0 | 1): for a descriptor that no poller owns */
static napi_value close_fd(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  struct poller *poller = thread_state(env)->poller;
  int fd = int_argument(env, values[0]);
  if (poller && poller_owns(poller, fd)) return int_result(env, -EBADF);
  return int_result(env, close_socket(fd, int_argument(env, values[1]) == 1));
}

/* duplicate(fd) → another descriptor for the same socket */
static napi_value duplicate(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  int fd = fcntl(int_argument(env, values[0]), F_DUPFD_CLOEXEC, 0);
  return int_result(env, fd < 0 ? -errno : fd);
}

/* openWaker() → an eventfd: wake(fd) makes it readable for whoever polls it */
static napi_value open_waker(napi_env env, napi_callback_info info) {
  (void)info;
  int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  return int_result(env, fd < 0 ? -errno : fd);
}

static napi_value wake(napi_env env, napi_callback_info info) {
  napi_value values[8];
  arguments(env, info, values);
  uint64_t one = 1;
  return int_result(env, write(int_argument(env, values[0]), &one, sizeof one) < 0 ? -errno : 0);
}

/* errorName(negative errno) → "ECONNREFUSED" */
static napi_value error_name(napi_env env, napi_callback_info info) {
  napi_value values[8], text;
  arguments(env, info, values);
  char name[64];
  uv_err_name_r(int_argument(env, values[0]), name, sizeof name);
  napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &text);
  return text;
}

void sockets_define(napi_env env, napi_value exports) {
  define_function(env, exports, "listenTcp", listen_tcp);
  define_function(env, exports, "sharePort", share_port);
  define_function(env, exports, "adoptListening", adopt_listening);
  define_function(env, exports, "connectTcp", connect_tcp);
  define_function(env, exports, "address", address);
  define_function(env, exports, "socketError", socket_error);
  define_function(env, exports, "unread", unread);
  define_function(env, exports, "ahead", ahead);
  define_function(env, exports, "unacknowledged", unacknowledged);
  define_function(env, exports, "shutdownWrite", shutdown_write);
  define_function(env, exports, "closeFd", close_fd);
  define_function(env, exports, "duplicate", duplicate);
  define_function(env, exports, "openWaker", open_waker);
  define_function(env, exports, "wake", wake);
  define_function(env, exports, "errorName", error_name);
  define_constant(env, exports, "RECORD_WORDS", RECORD_WORDS);
  define_constant(env, exports, "RECORD_FD", RECORD_FD);
  define_constant(env, exports, "RECORD_FAMILY", RECORD_FAMILY);
  define_constant(env, exports, "RECORD_PORT", RECORD_PORT);
  define_constant(env, exports, "RECORD_ADDRESS", RECORD_ADDRESS);
  define_constant(env, exports, "EAGAIN", -EAGAIN);
  define_constant(env, exports, "EMFILE", -EMFILE);
  define_constant(env, exports, "ECONNRESET", -ECONNRESET);
  define_constant(env, exports, "ECANCELED", -ECANCELED);
}
