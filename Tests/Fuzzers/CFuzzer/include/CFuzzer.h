#ifndef CFUZZER_H
#define CFUZZER_H

#include <stddef.h>
#include <stdint.h>

/// libFuzzer's loop as a function (compiler-rt, `libclang_rt.fuzzer_no_main`): reads the options of `argv` and calls
/// `body` with one input after the other. It returns only when nothing was found.
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*body)(const uint8_t *bytes, size_t count));

#endif
