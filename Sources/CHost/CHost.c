#define _GNU_SOURCE
#include "CHost.h"

#include <malloc.h>
#include <sys/statfs.h>
#include <sys/timex.h>

int chost_clock_is_kept(int64_t *error_microseconds) {
  struct timex state = {0};
  if (adjtimex(&state) < 0) return -1;
  *error_microseconds = state.esterror;
  return (state.status & STA_UNSYNC) == 0;
}

int chost_file_system(const char *path, uint32_t *magic) {
  struct statfs state;
  if (statfs(path, &state) != 0) return -1;
  *magic = (uint32_t)state.f_type;
  return 0;
}

void chost_keep_heap_small(void) {
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 20);
}
