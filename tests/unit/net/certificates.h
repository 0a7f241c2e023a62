/* certificates: an authority for the length of a test, and what it has signed, as PEM files. */
#ifndef SLUICE_TESTS_CERTIFICATES_H
#define SLUICE_TESTS_CERTIFICATES_H

#include <openssl/x509.h>

struct certificates {
    char folder[64]; /* temporary */
    char ca_path[128];
    EVP_PKEY *ca_key;
    X509 *ca;
};

struct certificate {
    char path[128];
    char key_path[128];
};

void certificates_init(struct certificates *certificates);
/* Removes the files. */
void certificates_deinit(struct certificates *certificates);

/* `hosts`: "DNS:localhost,IP:127.0.0.1". Valid from so many days from now to so many. */
void certificates_issue(struct certificates *certificates, const char *hosts, int from_days,
                        int to_days, struct certificate *out);
/* The same, signed by itself. */
void certificates_issue_self_signed(struct certificates *certificates, const char *hosts,
                                    struct certificate *out);

#endif
