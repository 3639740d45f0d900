#ifndef EPHEMERALML_CPROCESS_H
#define EPHEMERALML_CPROCESS_H

#include <sys/types.h>

/// Starts a program in a process group of its own, in `folder`, with this environment and no other, empty standard input,
/// both outputs in one pipe, no other descriptor, and signals as a new process has them. What Swift cannot import of
/// glibc's posix_spawn.
///
/// Returns 0 with the process id and the pipe's read end, which closes on exec; else an errno value.
int cprocess_spawn(const char *program, char *const argv[], char *const envp[], const char *folder, pid_t *pid,
                   int *output);

#endif
