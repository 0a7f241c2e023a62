#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "eventlog/backend_id.h"

static void a_backend_id_is_derived_as_documented(void **state)
{
    (void)state;
    unsigned char secret[BACKEND_ID_SECRET_BYTES];
    for (size_t index = 0; index < sizeof secret; index++) {
        secret[index] = (unsigned char)index;
    }
    char longest[512];
    memset(longest, 'x', sizeof longest);
    /* Computed with another implementation of HMAC and base64. */
    const struct {
        uint64_t generation;
        struct slice store_id;
        const char *expected;
    } cases[] = {
        {0, SLICE("store-a"), "dY2Fk1j2laohlUSQJWxyh"},
        {1, SLICE("store-a"), "Z64j-4oaFEuXNCbJRCm2O"},
        {0x0102030405060708, SLICE_EMPTY, "XqljP7S9F4gZdSBjivH3p"},
        {0, SLICE("a\0b"), "NYmViOoL7ZQwwGZeJR_Ar"},
        {0, {longest, sizeof longest}, "AX7iGW4IJxSRKSpckhUgY"},
    };
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        char id[EVENTLOG_BACKEND_ID_BYTES + 1];
        assert_int_equal(
            backend_id_derive(secret, cases[index].generation, cases[index].store_id, id, NULL),
            SLUICE_OK);
        assert_string_equal(id, cases[index].expected);
    }
}

static void secrets_differ(void **state)
{
    (void)state;
    unsigned char secrets[2][BACKEND_ID_SECRET_BYTES] = {{0}};
    assert_int_equal(backend_id_make_secret(secrets[0], NULL), SLUICE_OK);
    assert_int_equal(backend_id_make_secret(secrets[1], NULL), SLUICE_OK);
    assert_memory_not_equal(secrets[0], secrets[1], BACKEND_ID_SECRET_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_backend_id_is_derived_as_documented),
        cmocka_unit_test(secrets_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
