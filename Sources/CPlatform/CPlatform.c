#define _GNU_SOURCE
#include "CPlatform.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <malloc.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int fail_close(int fd) {
  int saved = errno;
  close(fd);
  errno = saved;
  return -1;
}

static int connect_within(int fd, const struct sockaddr *address, socklen_t length, int timeout_ms) {
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) return fail_close(fd);
  int connected = connect(fd, address, length);
  // A Unix listener whose backlog is full says EAGAIN, and poll(2) cannot wait for its room.
  for (int waited = 0; connected != 0 && errno == EAGAIN && waited < timeout_ms; waited += 10) {
    usleep(10 * 1000);
    connected = connect(fd, address, length);
  }
  if (connected != 0) {
    if (errno == EAGAIN) errno = ETIMEDOUT;
    if (errno != EINPROGRESS) return fail_close(fd);
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    int ready;
    do ready = poll(&wait, 1, timeout_ms);
    while (ready < 0 && errno == EINTR);
    if (ready == 0) errno = ETIMEDOUT;
    if (ready <= 0) return fail_close(fd);
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return fail_close(fd);
    if (error != 0) {
      errno = error;
      return fail_close(fd);
    }
  }
  if (fcntl(fd, F_SETFL, flags) < 0) return fail_close(fd);
  return fd;
}

int cplatform_vsock_connect(uint32_t cid, uint32_t port, int timeout_ms) {
  int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port};
  return connect_within(fd, (struct sockaddr *)&address, sizeof address, timeout_ms);
}

int cplatform_vsock_listen(uint32_t port, int backlog) {
  int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port};
  if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, backlog) != 0) return fail_close(fd);
  return fd;
}

static int unix_address(const char *path, struct sockaddr_un *address) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  if (strlen(path) >= sizeof address->sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  strcpy(address->sun_path, path);
  return 0;
}

int cplatform_unix_connect(const char *path, int timeout_ms) {
  struct sockaddr_un address;
  if (unix_address(path, &address) != 0) return -1;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  return connect_within(fd, (struct sockaddr *)&address, sizeof address, timeout_ms);
}

int cplatform_unix_listen(const char *path, int backlog) {
  struct sockaddr_un address;
  if (unix_address(path, &address) != 0) return -1;
  // A socket file that nobody answers is left over from a process that died; a live one must not be stolen.
  int probe = cplatform_unix_connect(path, 1000);
  if (probe >= 0) {
    close(probe);
    errno = EADDRINUSE;
    return -1;
  }
  struct stat info;
  if (lstat(path, &info) == 0) {
    if (!S_ISSOCK(info.st_mode)) {
      errno = EEXIST;
      return -1;
    }
    unlink(path);
  }
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  // The mode of the descriptor is what bind gives the file, so there is no moment in which others could connect.
  if (fchmod(fd, 0600) != 0) return fail_close(fd);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, backlog) != 0) return fail_close(fd);
  return fd;
}

int cplatform_accept(int fd) { return accept4(fd, NULL, NULL, SOCK_CLOEXEC); }

int cplatform_peer(int fd, pid_t *pid, uid_t *uid) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return -1;
  *pid = peer.pid;
  *uid = peer.uid;
  return 0;
}

int cplatform_nsm(int fd, const uint8_t *request, size_t request_length, uint8_t *response, size_t *response_length) {
  struct {
    struct iovec request;
    struct iovec response;
  } message = {{(void *)request, request_length}, {response, *response_length}};
  if (ioctl(fd, _IOWR(0x0A, 0, message), &message) < 0) return -1;
  *response_length = message.response.iov_len;
  return 0;
}

void cplatform_tune_allocator(void) {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
}

void cplatform_return_freed_memory(void) { malloc_trim(0); }

void cplatform_overwrite_freed_memory(void) { mallopt(M_PERTURB, 0xA5); }

static int64_t clock_ms(clockid_t clock) {
  struct timespec now;
  if (clock_gettime(clock, &now) != 0) return -1;
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t cplatform_now_ms(void) { return clock_ms(CLOCK_REALTIME); }
int64_t cplatform_monotonic_ms(void) { return clock_ms(CLOCK_MONOTONIC); }

void cplatform_wipe(void *memory, size_t length) { explicit_bzero(memory, length); }

int cplatform_set_clock_ms(int64_t milliseconds) {
  struct timespec now = {.tv_sec = milliseconds / 1000, .tv_nsec = (milliseconds % 1000) * 1000000};
  return clock_settime(CLOCK_REALTIME, &now);
}
