#ifndef EPHEMERALML_COPENSSL_H
#define EPHEMERALML_COPENSSL_H

#include <stddef.h>
#include <stdint.h>

// The one thing that devcloud needs of OpenSSL: the CMS envelope in which KMS answers a request with a Recipient.

enum copenssl_result {
  COPENSSL_OK = 0,
  /// The key is not an RSA key of 2048 bits as a SubjectPublicKeyInfo, or bytes follow it.
  COPENSSL_BAD_KEY = 1,
  /// libcrypto failed.
  COPENSSL_FAILED = 2,
};

/// Seals `plain` to an RSA key in the form of KMS's CiphertextForRecipient (RFC 5652 EnvelopedData).
///
/// One KeyTransRecipientInfo of version 2, named by the SHA-256 of the SubjectPublicKeyInfo; RSAES-OAEP with SHA-256 as
/// hash and in MGF1; AES-256-CBC; encoded as a stream, so BER with indefinite lengths. `*out` is the caller's to
/// release with copenssl_release.
int copenssl_seal_to_recipient(const uint8_t *spki, size_t spki_length, const uint8_t *plain, size_t plain_length,
                               uint8_t **out, size_t *out_length);

/// Frees what copenssl_seal_to_recipient gave.
void copenssl_release(uint8_t *bytes);

#endif
