#include "COpenSSL.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

static EVP_PKEY *read_key(const uint8_t *spki, size_t length) {
  if (length == 0 || length > 1024) return NULL;
  const uint8_t *end = spki;
  EVP_PKEY *key = d2i_PUBKEY(NULL, &end, (long)length);
  if (key && end == spki + length && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && EVP_PKEY_get_bits(key) == 2048) {
    return key;
  }
  EVP_PKEY_free(key);
  return NULL;
}

// libcrypto names a recipient only by a certificate, of which it copies the subject key identifier alone. So the bare
// key gets one that never leaves this file, signed by a key that is thrown away.
static X509 *certificate_around(EVP_PKEY *key, const uint8_t identifier[SHA256_DIGEST_LENGTH]) {
  X509 *certificate = X509_new();
  ASN1_OCTET_STRING *name = ASN1_OCTET_STRING_new();
  EVP_PKEY *signer = EVP_EC_gen("P-256");
  int done = certificate && name && signer && X509_set_version(certificate, X509_VERSION_3) &&
             ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) &&
             X509_gmtime_adj(X509_getm_notBefore(certificate), 0) &&
             X509_gmtime_adj(X509_getm_notAfter(certificate), 60) && X509_set_pubkey(certificate, key) &&
             ASN1_OCTET_STRING_set(name, identifier, SHA256_DIGEST_LENGTH) &&
             X509_add1_ext_i2d(certificate, NID_subject_key_identifier, name, 0, X509V3_ADD_DEFAULT) == 1 &&
             X509_sign(certificate, signer, EVP_sha256()) > 0;
  EVP_PKEY_free(signer);
  ASN1_OCTET_STRING_free(name);
  if (done) return certificate;
  X509_free(certificate);
  return NULL;
}

static int set_oaep_sha256(CMS_RecipientInfo *recipient) {
  EVP_PKEY_CTX *context = CMS_RecipientInfo_get0_pkey_ctx(recipient);
  return context && EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) > 0 &&
         EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_sha256()) > 0 && EVP_PKEY_CTX_set_rsa_mgf1_md(context, EVP_sha256()) > 0;
}

static int copy_out(BIO *from, uint8_t **out, size_t *out_length) {
  char *data = NULL;
  long length = BIO_get_mem_data(from, &data);
  if (length <= 0) return COPENSSL_FAILED;
  *out = OPENSSL_memdup(data, (size_t)length);
  if (!*out) return COPENSSL_FAILED;
  *out_length = (size_t)length;
  return COPENSSL_OK;
}

int copenssl_seal_to_recipient(const uint8_t *spki, size_t spki_length, const uint8_t *plain, size_t plain_length,
                               uint8_t **out, size_t *out_length) {
  *out = NULL;
  *out_length = 0;
  if (plain_length > INT_MAX) return COPENSSL_FAILED;
  EVP_PKEY *key = read_key(spki, spki_length);
  if (!key) {
    ERR_clear_error();
    return COPENSSL_BAD_KEY;
  }
  uint8_t identifier[SHA256_DIGEST_LENGTH];
  SHA256(spki, spki_length, identifier);

  const unsigned flags = CMS_BINARY | CMS_STREAM | CMS_PARTIAL;
  X509 *certificate = certificate_around(key, identifier);
  BIO *in = BIO_new_mem_buf(plain, (int)plain_length);
  BIO *sealed = BIO_new(BIO_s_mem());
  CMS_ContentInfo *envelope = CMS_encrypt(NULL, NULL, EVP_aes_256_cbc(), flags);
  CMS_RecipientInfo *recipient = NULL;
  int result = COPENSSL_FAILED;
  if (certificate && in && sealed && envelope) {
    recipient = CMS_add1_recipient_cert(envelope, certificate, CMS_USE_KEYID | CMS_KEY_PARAM);
  }
  if (recipient && set_oaep_sha256(recipient) && i2d_CMS_bio_stream(sealed, envelope, in, CMS_BINARY | CMS_STREAM) == 1) {
    result = copy_out(sealed, out, out_length);
  }
  CMS_ContentInfo_free(envelope);
  BIO_free(sealed);
  BIO_free(in);
  X509_free(certificate);
  EVP_PKEY_free(key);
  ERR_clear_error();
  return result;
}

void copenssl_release(uint8_t *bytes) { OPENSSL_free(bytes); }
