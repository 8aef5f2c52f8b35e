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
