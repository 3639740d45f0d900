// The first process of the enclave: mounts what the worker needs, seeds the kernel's generator, answers the boot
// heartbeat, and becomes the worker. Whatever fails ends it, and with it (panic=-1) the enclave.
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static void die(const char *what) {
  dprintf(2, "init: %s: %s\n", what, strerror(errno));
  _exit(1);
}

// Credits 256 bytes of the security module's generator: the only source that the host can neither see nor choose.
static void seed_generator(void) {
  static const uint8_t request[] = "\x69GetRandom", head[] = "\xA1\x69GetRandom\xA1\x66random\x59";
  union { struct rand_pool_info info; uint8_t bytes[sizeof(struct rand_pool_info) + 256]; } pool;
  int nsm = open("/dev/nsm", O_RDWR | O_CLOEXEC), random = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
  if (nsm < 0 || random < 0) die("/dev/nsm, /dev/urandom");
  uint8_t response[0x3000];
  struct { struct iovec request, response; } call = {
      {(void *)request, sizeof request - 1}, {response, sizeof response}};
  if (ioctl(nsm, _IOWR(0x0A, 0, call), &call) < 0) die("GetRandom");
  // {"GetRandom": {"random": 256 bytes}} in CBOR, and nothing else.
  const size_t start = sizeof head - 1 + 2;
  if (call.response.iov_len != start + 256 || memcmp(response, head, sizeof head - 1) != 0 ||
      response[start - 2] != 1 || response[start - 1] != 0) {
    errno = EBADMSG;
    die("GetRandom's answer");
  }
  memcpy(pool.info.buf, response + start, 256);
  pool.info.buf_size = 256;
  pool.info.entropy_count = 256 * 8;
  if (ioctl(random, RNDADDENTROPY, &pool) < 0) die("RNDADDENTROPY");
  explicit_bzero(response, sizeof response);
  explicit_bzero(&pool, sizeof pool);
  close(nsm);
  close(random);
}

// nitro-cli waits for one byte at (3, 9000) and sends it back. An emulator has nobody there: a second, then on.
static void heartbeat(void) {
  struct sockaddr_vm parent = {.svm_family = AF_VSOCK, .svm_cid = 3, .svm_port = 9000};
  int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) die("vsock");
  struct pollfd ready = {.fd = fd, .events = POLLOUT};
  uint8_t byte = 0xB7;
  if (connect(fd, (struct sockaddr *)&parent, sizeof parent) == 0 || errno == EINPROGRESS) {
    if (poll(&ready, 1, 1000) == 1 && send(fd, &byte, 1, MSG_NOSIGNAL) == 1) {
      ready.events = POLLIN;
      if (poll(&ready, 1, 1000) == 1 && recv(fd, &byte, 1, 0) == 1 && byte == 0xB7) dprintf(2, "init: heartbeat\n");
    }
  }
  close(fd);
}

int main(void) {
  if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL) != 0) die("/proc");
  if (mount("dev", "/dev", "devtmpfs", MS_NOSUID | MS_NOEXEC, NULL) != 0) die("/dev");
  int console = open("/dev/console", O_RDWR);
  for (int fd = 0; console >= 0 && fd < 3; fd++) dup2(console, fd);
  if (console > 2) close(console);
  seed_generator();
  heartbeat();
  if (mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL) != 0) die("read-only root");
  setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
  char *argv[] = {"/enclave-worker", "--image", "/image", "--listen", "vsock::5000", NULL}, *environment[] = {NULL};
  execve(argv[0], argv, environment);
  die(argv[0]);
}
