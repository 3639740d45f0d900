#ifndef EPHEMERALML_CBUILDINFO_H
#define EPHEMERALML_CBUILDINFO_H

// Which commit the host's and the client's program was built from. The enclave's worker does not link this: its image is
// the same bytes for every commit that leaves its sources alone.

/// Twelve hexadecimal digits, with "+changes" where the checkout was not clean; "unknown" outside of a checkout.
const char *cbuildinfo_commit(void);
/// The commit's date, YYYY-MM-DD; empty where the commit is unknown.
const char *cbuildinfo_date(void);

#endif
