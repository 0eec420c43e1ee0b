/* castor-ready PATH: exit 0 when GET /readyz at the Unix socket PATH answers 200 within a second, else 1. */
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static const char REQUEST[] = "GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n";
/* "HTTP/1.1 200" */
enum { STATUS_LENGTH = 12 };

int main(int argc, char **argv) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (argc != 2 || strlen(argv[1]) >= sizeof address.sun_path) return 1;
  strcpy(address.sun_path, argv[1]);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return 1;
  /* Bounds connecting as well: a queue that is full makes connect() wait. */
  struct timeval limit = {.tv_sec = 1};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) return 1;
  if (send(fd, REQUEST, sizeof REQUEST - 1, MSG_NOSIGNAL) != (ssize_t)(sizeof REQUEST - 1)) return 1;
  char status[STATUS_LENGTH];
  if (recv(fd, status, sizeof status, MSG_WAITALL) != STATUS_LENGTH) return 1;
  return memcmp(status, "HTTP/1.", 7) != 0 || memcmp(status + 8, " 200", 4) != 0;
}
