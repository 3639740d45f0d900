#ifndef EPHEMERALML_CHOST_H
#define EPHEMERALML_CHOST_H

#include <stdint.h>

// What Swift cannot import of Linux and only the host's side asks; the enclave does not link it.
// Every function returns -1 with errno set when it fails.

/// Whether the kernel takes its clock for kept (1) or not (0), and its own estimate of the error.
int chost_clock_is_kept(int64_t *error_microseconds);
/// The magic number of the file system on which a path lies (statfs(2)).
int chost_file_system(const char *path, uint32_t *magic);
/// Keeps the heap of a process that runs for months as small as what it uses (mallopt(3)). Call it before the first
/// thread: glibc gives each thread an arena that keeps its high-water mark (measured in the daemon: 1.1 KB a job, without
/// an end), and raises its own thresholds with the largest buffer that it has seen.
void chost_keep_heap_small(void);

#endif
