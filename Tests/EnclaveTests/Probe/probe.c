// Stands in the worker's place in a test image (scripts/test-enclave-device.sh): hands requests that come over vsock to
// /dev/nsm as they are, and echoes bytes. A worker never does that: it would attest whatever a host asks.
//
// Port 5001: any number of exchanges, each a 32-bit big-endian length and a request, answered alike; what the driver
// refuses is answered by 0xFFFFFFFF and a 32-bit errno. Port 5002: an echo, which hands the kernel no more than 16 KiB
// at once, as the worker does (Wire/Channel.swift says why).
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static int read_all(int fd, void *into, size_t count) {
  for (uint8_t *next = into; count > 0;) {
    ssize_t got = read(fd, next, count);
    if (got <= 0) return -1;
    next += got;
    count -= (size_t)got;
  }
  return 0;
}

static int write_all(int fd, const void *from, size_t count) {
  for (const uint8_t *next = from; count > 0;) {
    ssize_t sent = write(fd, next, count < 16 << 10 ? count : 16 << 10);
    if (sent <= 0) return -1;
    next += sent;
    count -= (size_t)sent;
  }
  return 0;
}

static int listen_on(unsigned port) {
  int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
  struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port};
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 16) != 0) {
    perror("probe: listen");
    _exit(1);
  }
  return fd;
}

static void exchange(int host, int nsm) {
  static uint8_t request[1 << 16], response[0x3000];
  uint32_t length;
  while (read_all(host, &length, sizeof length) == 0 && ntohl(length) <= sizeof request) {
    if (read_all(host, request, ntohl(length)) != 0) return;
    struct { struct iovec request, response; } call = {{request, ntohl(length)}, {response, sizeof response}};
    int failed = ioctl(nsm, _IOWR(0x0A, 0, call), &call) < 0;
    uint32_t head[2] = {failed ? UINT32_MAX : htonl((uint32_t)call.response.iov_len), htonl((uint32_t)errno)};
    if (write_all(host, head, failed ? 8 : 4) != 0) return;
    if (!failed && write_all(host, response, call.response.iov_len) != 0) return;
  }
}

static void echo(int host) {
  static uint8_t bytes[1 << 16];
  ssize_t got;
  while ((got = read(host, bytes, sizeof bytes)) > 0)
    if (write_all(host, bytes, (size_t)got) != 0) return;
}

int main(void) {
  int nsm = open("/dev/nsm", O_RDWR), exchanges = listen_on(5001), echoes = listen_on(5002);
  dprintf(2, "probe ready\n");
  pid_t child = fork();
  for (;;) {
    int host = accept(child == 0 ? echoes : exchanges, NULL, NULL);
    if (host < 0) continue;
    if (child == 0) echo(host);
    else exchange(host, nsm);
    close(host);
  }
}
