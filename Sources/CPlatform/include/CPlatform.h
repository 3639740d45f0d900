#ifndef EPHEMERALML_CPLATFORM_H
#define EPHEMERALML_CPLATFORM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// What Swift cannot import of Linux: AF_VSOCK addresses, peer credentials, the NSM's ioctl, glibc's malloc settings.
// Every function returns -1 with errno set when it fails.

/// Connects a new stream socket to a vsock address within a deadline.
int cplatform_vsock_connect(uint32_t cid, uint32_t port, int timeout_ms);
/// Listens on a vsock port, from any CID.
int cplatform_vsock_listen(uint32_t port, int backlog);
/// Connects a new stream socket to a Unix socket path within a deadline.
int cplatform_unix_connect(const char *path, int timeout_ms);
/// Binds and listens on a Unix socket path; access is for the owner alone (mode 0600). A dead socket file is replaced.
int cplatform_unix_listen(const char *path, int backlog);
/// Accepts the next connection; the descriptor does not survive an exec.
int cplatform_accept(int fd);
/// The process at the other end of a Unix socket, as the kernel saw it when it connected.
int cplatform_peer(int fd, pid_t *pid, uid_t *uid);
/// One exchange with /dev/nsm; `*response_length` is the buffer's size before and the reply's size after.
int cplatform_nsm(int fd, const uint8_t *request, size_t request_length, uint8_t *response, size_t *response_length);
/// Keeps freed megabytes for the next request: with glibc's defaults bulk sealing spends its time in page faults.
void cplatform_tune_allocator(void);

/// Gives the kernel back what was freed and is kept for later requests: what it says of free memory counts it then.
void cplatform_return_freed_memory(void);
/// Has the allocator overwrite memory that is freed: what libraries leave behind of plaintext does not stay. Chunks that
/// glibc keeps in a thread's cache (up to 1 KiB) are overwritten only when they are used again.
void cplatform_overwrite_freed_memory(void);
/// The hypervisor-independent wall clock in milliseconds since 1970.
int64_t cplatform_now_ms(void);
/// A clock that only goes forward, in milliseconds.
int64_t cplatform_monotonic_ms(void);
/// Zeroes memory in a way the compiler keeps.
void cplatform_wipe(void *memory, size_t length);
/// Sets the system clock; needs the privilege, which an enclave's worker has.
int cplatform_set_clock_ms(int64_t milliseconds);

#endif
