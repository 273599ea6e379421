/* SPDX-License-Identifier: Apache-2.0
 * tls.c: the certificate that the API shows, and the names that it is for. The protocol itself is libmicrohttpd's, by GnuTLS. */
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>

#include "api/inside.h"

struct tls {
	gnutls_x509_crt_t certificate;
};

static gnutls_datum_t datum(const char *text)
{
	return (gnutls_datum_t){.data = (unsigned char *)text, .size = (unsigned)strlen(text)};
}

/* GnuTLS compares the two when it takes them together. */
static int check_pair(const char *cert, const char *key, struct err *err)
{
	gnutls_datum_t cert_text = datum(cert), key_text = datum(key);
	gnutls_certificate_credentials_t pair;
	int rc;

	if (gnutls_certificate_allocate_credentials(&pair) < 0)
		return err_set(err, ERR_NOMEM, "tls", "GnuTLS can't start");
	rc = gnutls_certificate_set_x509_key_mem(pair, &cert_text, &key_text, GNUTLS_X509_FMT_PEM);
	gnutls_certificate_free_credentials(pair);
	if (rc == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
		return err_set(err, ERR_INVALID, "--tls-key", "isn't the key of the certificate in --tls-cert");
	if (rc < 0)
		return err_set(err, ERR_INVALID, "tls", "expected a certificate and an unencrypted key as PEM: %s", gnutls_strerror(rc));
	return 0;
}

int tls_open(const char *cert, const char *key, struct tls **ret, struct err *err)
{
	gnutls_datum_t text = datum(cert);
	gnutls_x509_crt_t *list = NULL;
	unsigned n = 0;
	int code = check_pair(cert, key, err);

	if (code < 0)
		return code;
	/* The first one is the server's own, the others lead to who signed it. */
	if (gnutls_x509_crt_list_import2(&list, &n, &text, GNUTLS_X509_FMT_PEM, 0) < 0 || !n)
		return err_set(err, ERR_INVALID, "--tls-cert", "expected a certificate as PEM");
	*ret = calloc(1, sizeof **ret);
	if (*ret)
		(*ret)->certificate = list[0];
	for (unsigned i = *ret ? 1 : 0; i < n; i++)
		gnutls_x509_crt_deinit(list[i]);
	gnutls_free(list);
	return *ret ? 0 : err_set(err, ERR_NOMEM, "tls", "out of memory");
}

struct tls *tls_close(struct tls *tls)
{
	if (!tls)
		return NULL;
	gnutls_x509_crt_deinit(tls->certificate);
	free(tls);
	return NULL;
}

bool tls_names(const struct tls *tls, const char *host, size_t len)
{
	char name[256];

	if (len && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	}
	if (!len || len >= sizeof name)
		return false;
	memcpy(name, host, len);
	name[len] = 0;
	return gnutls_x509_crt_check_hostname(tls->certificate, name) != 0;
}
