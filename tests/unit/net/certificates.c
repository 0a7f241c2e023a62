#include "certificates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void add_extension(X509 *certificate, X509 *issuer, int kind, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

/* Everything but the extensions and the signature. */
static X509 *certificate_of(EVP_PKEY *key, const char *name, int from_days, int to_days)
{
    static long serial;
    X509 *certificate = X509_new();
    assert_non_null(certificate);
    assert_int_equal(X509_set_version(certificate, 2), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial), 1);
    assert_non_null(X509_time_adj_ex(X509_getm_notBefore(certificate), from_days, 0, NULL));
    assert_non_null(X509_time_adj_ex(X509_getm_notAfter(certificate), to_days, 0, NULL));
    assert_int_equal(X509_set_pubkey(certificate, key), 1);
    assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN",
                                                MBSTRING_ASC, (const unsigned char *)name, -1, -1,
                                                0),
                     1);
    return certificate;
}

static void write_certificate(const char *path, X509 *certificate)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, certificate), 1);
    assert_int_equal(fclose(file), 0);
}

static void write_key(const char *path, EVP_PKEY *key)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(file), 0);
}

void certificates_init(struct certificates *certificates)
{
    *certificates = (struct certificates){.folder = "/tmp/sluice-certificates-XXXXXX"};
    assert_non_null(mkdtemp(certificates->folder));
    (void)snprintf(certificates->ca_path, sizeof certificates->ca_path, "%s/ca.pem",
                   certificates->folder);
    certificates->ca_key = EVP_EC_gen("P-256");
    assert_non_null(certificates->ca_key);
    certificates->ca = certificate_of(certificates->ca_key, "Test authority", -10, 10);
    assert_int_equal(
        X509_set_issuer_name(certificates->ca, X509_get_subject_name(certificates->ca)), 1);
    add_extension(certificates->ca, certificates->ca, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(certificates->ca, certificates->ca, NID_key_usage, "critical,keyCertSign");
    assert_true(X509_sign(certificates->ca, certificates->ca_key, EVP_sha256()) > 0);
    write_certificate(certificates->ca_path, certificates->ca);
}

void certificates_deinit(struct certificates *certificates)
{
    DIR *folder = opendir(certificates->folder);
    assert_non_null(folder);
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        char path[sizeof certificates->folder + sizeof entry->d_name + 1];
        (void)snprintf(path, sizeof path, "%s/%s", certificates->folder, entry->d_name);
        (void)unlink(path); /* "." and ".." stay */
    }
    (void)closedir(folder);
    assert_int_equal(rmdir(certificates->folder), 0);
    X509_free(certificates->ca);
    EVP_PKEY_free(certificates->ca_key);
}

/* Signed by `issuer`, or by itself when that is NULL. */
static void issue(struct certificates *certificates, X509 *issuer, const char *hosts, int from_days,
                  int to_days, struct certificate *out)
{
    static unsigned count;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    assert_non_null(key);
    X509 *certificate = certificate_of(key, "Test server", from_days, to_days);
    X509 *signer = issuer != NULL ? issuer : certificate;
    assert_int_equal(X509_set_issuer_name(certificate, X509_get_subject_name(signer)), 1);
    add_extension(certificate, signer, NID_subject_alt_name, hosts);
    assert_true(X509_sign(certificate, issuer != NULL ? certificates->ca_key : key, EVP_sha256()) >
                0);
    (void)snprintf(out->path, sizeof out->path, "%s/%u.pem", certificates->folder, ++count);
    (void)snprintf(out->key_path, sizeof out->key_path, "%s/%u.key", certificates->folder, count);
    write_certificate(out->path, certificate);
    write_key(out->key_path, key);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

void certificates_issue(struct certificates *certificates, const char *hosts, int from_days,
                        int to_days, struct certificate *out)
{
    issue(certificates, certificates->ca, hosts, from_days, to_days, out);
}

void certificates_issue_self_signed(struct certificates *certificates, const char *hosts,
                                    struct certificate *out)
{
    issue(certificates, NULL, hosts, -1, 1, out);
}
