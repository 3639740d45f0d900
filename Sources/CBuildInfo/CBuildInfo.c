#include "CBuildInfo.h"

// Package.swift defines both from EPHEMERALML_COMMIT, which the Makefile sets. Another commit compiles this file alone.
#ifndef BUILD_COMMIT
#define BUILD_COMMIT "unknown"
#endif
#ifndef BUILD_DATE
#define BUILD_DATE ""
#endif

const char *cbuildinfo_commit(void) { return BUILD_COMMIT; }
const char *cbuildinfo_date(void) { return BUILD_DATE; }
