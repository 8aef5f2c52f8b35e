/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/certificates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define KEY "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"

__attribute__((format(printf, 1, 2))) static void
run(const char *format, ...)
{
	char command[2048];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	assert_true(length > 0 && (size_t)length < sizeof(command));
	if (system(command) != 0) /* NOLINT(cert-env33-c): fixed words */
		fail_msg("failed: %s", command);
}

void
certificates_make(struct certificates *certificates)
{
	snprintf(certificates->folder, sizeof(certificates->folder),
		 "/tmp/dmarcgate-tls-XXXXXX");
	assert_non_null(mkdtemp(certificates->folder));
	run("cd %s && openssl req -x509 " KEY
	    " -subj /CN=Test-CA -keyout ca.key -out ca.pem 2>log",
	    certificates->folder);
}

void
certificates_remove(struct certificates *certificates)
{
	run("rm -r %s", certificates->folder);
}

void
certificates_issue(const struct certificates *certificates, const char *name)
{
	run("cd %s && openssl req " KEY " -subj /O=Test/CN=%s "
	    "-addext subjectAltName=DNS:%s -keyout %s.key -out request "
	    "2>log && openssl x509 -req -in request -copy_extensions copyall "
	    "-CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out %s.pem "
	    "2>log",
	    certificates->folder, name, name, name, name);
}

void
certificates_odd_keys(const struct certificates *certificates, const char *name)
{
	run("cd %s && openssl pkey -in %s.key -aes256 -passout pass:secret "
	    "-out encrypted.key 2>log && openssl genpkey -algorithm rsa "
	    "-out rsa.key 2>log",
	    certificates->folder, name);
}

struct span
certificates_path(const struct certificates *certificates, const char *name,
		  const char *suffix, char path[CERTIFICATES_PATH_SIZE])
{
	snprintf(path, CERTIFICATES_PATH_SIZE, "%s/%s%s", certificates->folder,
		 name, suffix);
	return span_cstr(path);
}

struct tls_server *
certificates_server(const struct certificates *certificates,
		    const char *const *names, size_t count,
		    enum tls_version version_min)
{
	char paths[2 * TLS_CERTIFICATES_MAX][CERTIFICATES_PATH_SIZE];
	struct tls_pair pairs[TLS_CERTIFICATES_MAX];
	struct tls_server_setup setup = {
		.pairs = pairs,
		.count = count,
		.version_min = version_min,
	};
	struct tls_server *server;
	struct buf faults;

	assert_true(count <= TLS_CERTIFICATES_MAX);
	buf_init(&faults, 4096);
	for (size_t i = 0; i < count; i++) {
		pairs[i].certificate = certificates_path(certificates, names[i],
							 ".pem", paths[2 * i]);
		pairs[i].key = certificates_path(certificates, names[i], ".key",
						 paths[2 * i + 1]);
	}
	server = tls_server_new(&setup, &faults);
	if (server == NULL)
		fail_msg("%.*s", (int)faults.n, (const char *)faults.p);
	buf_fini(&faults);
	return server;
}
