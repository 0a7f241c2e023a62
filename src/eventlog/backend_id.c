/* backend_id: derives a store's backend id from the data's secret. Owns nothing; any thread. */
#include "eventlog/backend_id.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "base/assert.h"
#include "base/limits.h"

/* 21 characters of 6 bits need 16 bytes of the digest; whole groups of three are encoded. */
#define ENCODED_DIGEST_BYTES 18
#define ENCODED_CHARACTERS 24

static void encode_base64url(const unsigned char *bytes, char *out)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t index = 0; index < ENCODED_DIGEST_BYTES; index += 3) {
        unsigned group = (unsigned)bytes[index] << 16 | (unsigned)bytes[index + 1] << 8 |
                         (unsigned)bytes[index + 2];
        *out++ = alphabet[group >> 18 & 63];
        *out++ = alphabet[group >> 12 & 63];
        *out++ = alphabet[group >> 6 & 63];
        *out++ = alphabet[group & 63];
    }
}

enum sluice_status backend_id_derive(const unsigned char *secret, uint64_t generation,
                                     struct slice store_id, char *out, struct sluice_error *error)
{
    SLUICE_ASSERT(store_id.bytes <= STORE_ID_BYTES_MAX);
    unsigned char message[8 + STORE_ID_BYTES_MAX];
    for (size_t index = 0; index < 8; index++) {
        message[index] = (unsigned char)(generation >> (56 - 8 * index));
    }
    if (store_id.bytes > 0) {
        memcpy(message + 8, store_id.data, store_id.bytes);
    }
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_bytes = 0;
    if (HMAC(EVP_sha256(), secret, BACKEND_ID_SECRET_BYTES, message, 8 + store_id.bytes, digest,
             &digest_bytes) == NULL) {
        return error_set(error, SLUICE_NO_MEMORY, "no memory to derive a backend id");
    }
    SLUICE_ASSERT(digest_bytes >= ENCODED_DIGEST_BYTES);
    char encoded[ENCODED_CHARACTERS];
    encode_base64url(digest, encoded);
    memcpy(out, encoded, EVENTLOG_BACKEND_ID_BYTES);
    out[EVENTLOG_BACKEND_ID_BYTES] = '\0';
    return SLUICE_OK;
}

enum sluice_status backend_id_make_secret(unsigned char *secret, struct sluice_error *error)
{
    if (RAND_bytes(secret, BACKEND_ID_SECRET_BYTES) != 1) {
        return error_set(error, SLUICE_UNAVAILABLE,
                         "the system gives no random bytes for the data's secret");
    }
    return SLUICE_OK;
}
