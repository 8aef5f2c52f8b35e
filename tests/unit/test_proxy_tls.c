/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/tls.h"

#include "smtp/command.h"
#include "tests/unit/certificates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static struct certificates certificates;

/* Two engines that speak to each other, a few octets at a time. */
struct scene {
	struct tls_server *server;
	struct tls_client *client;
	struct tls *gate, *peer; /* the server's side and the client's */
	size_t step;             /* octets shown at once */
	enum tls_status gate_status, peer_status;
	struct buf gate_got, peer_got;
	bool gate_stands, peer_stands;
};

static struct tls_client *
client_of(bool is_verifying, bool knows_ca)
{
	char path[CERTIFICATES_PATH_SIZE];
	struct buf faults;
	struct tls_client_setup setup = {
		.is_verifying = is_verifying,
		.ca = certificates_path(&certificates,
					knows_ca ? "ca" : "other.example",
					".pem", path),
	};
	struct tls_client *client;

	buf_init(&faults, 4096);
	client = tls_client_new(&setup, &faults);
	assert_non_null(client);
	buf_fini(&faults);
	return client;
}

static void
scene_make(struct scene *scene, struct tls_server *server,
	   struct tls_client *client, const char *name, size_t step)
{
	*scene = (struct scene){
		.server = server,
		.client = client,
		.step = step,
		.gate_status = TLS_MORE,
		.peer_status = TLS_MORE,
	};
	scene->gate = tls_accept(server);
	scene->peer = tls_connect(client, span_cstr(name));
	assert_non_null(scene->gate);
	assert_non_null(scene->peer);
	buf_init(&scene->gate_got, 1 << 20);
	buf_init(&scene->peer_got, 1 << 20);
}

static void
scene_end(struct scene *scene)
{
	tls_free(scene->gate);
	tls_free(scene->peer);
	tls_server_free(scene->server);
	tls_client_free(scene->client);
	buf_fini(&scene->gate_got);
	buf_fini(&scene->peer_got);
}

/* Show octets to one side, and keep what it reads of them. */
static enum tls_status
show(struct tls *tls, bool *stands, struct span in, struct buf *got)
{
	enum tls_status status = TLS_DONE;
	struct span plain;

	if (!*stands) {
		status = tls_handshake(tls, &in);
		if (status != TLS_DONE)
			return status;
		*stands = true;
	}
	while ((status = tls_read(tls, &in, &plain)) == TLS_DONE)
		assert_true(buf_append(got, plain));
	assert_true(status != TLS_MORE || in.n == 0);
	return status;
}

/* At most step octets from one side's output to the other. */
static bool
carry(struct scene *scene, struct tls *from, struct tls *to)
{
	struct buf *output = tls_output(from);
	struct span part =
		span_first(buf_span(output),
			   scene->step < output->n ? scene->step : output->n);
	bool is_to_gate = to == scene->gate;

	if (part.n == 0)
		return false;
	if (is_to_gate)
		scene->gate_status =
			show(to, &scene->gate_stands, part, &scene->gate_got);
	else
		scene->peer_status =
			show(to, &scene->peer_stands, part, &scene->peer_got);
	buf_consume(output, part.n);
	return true;
}

/* Until nobody has anything to say. */
static void
talk(struct scene *scene)
{
	struct span none = SPAN_NONE;
	bool has_moved = true;

	if (!scene->peer_stands)
		tls_handshake(scene->peer, &none);
	while (has_moved) {
		has_moved = carry(scene, scene->peer, scene->gate);
		has_moved |= carry(scene, scene->gate, scene->peer);
	}
}

static const char *const one_name[] = { "mx.example" };
static const char *const two_names[] = { "mx.example", "other.example" };

static void
octets_pass_both_ways_at_every_split(void **state)
{
	static const size_t steps[] = { 1, 2, 3, 5, 7, 64, 1000, 1 << 20 };
	uint8_t *octets = calloc(1, 100000);

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct scene scene;

		scene_make(&scene,
			   certificates_server(&certificates, one_name, 1,
					       TLS_1_2),
			   client_of(true, true), "mx.example", steps[i]);
		talk(&scene);
		assert_true(scene.gate_stands && scene.peer_stands);
		assert_true(tls_write(scene.gate, SPAN_LIT("220 hi\r\n")));
		assert_true(tls_write(scene.peer, SPAN_LIT("EHLO x\r\n")));
		assert_true(tls_write(scene.peer, span_make(octets, 100000)));
		talk(&scene);
		assert_true(span_equal(buf_span(&scene.peer_got),
				       SPAN_LIT("220 hi\r\n")));
		assert_int_equal(scene.gate_got.n, 100008);
		assert_string_equal(tls_info(scene.gate)->version, "TLSv1.3");
		assert_true(tls_info(scene.gate)->bits >= 128);
		assert_true(tls_info(scene.peer)->has_certificate);
		assert_true(tls_info(scene.peer)->is_verified);
		assert_false(tls_info(scene.gate)->has_certificate);
		scene_end(&scene);
	}
	free(octets);
}

static void
the_client_chooses_the_certificate_by_name(void **state)
{
	static const struct {
		const char *asked;
		const char *subject;
	} rows[] = {
		{ "mx.example", "CN=mx.example,O=Test" },
		{ "other.example", "CN=other.example,O=Test" },
		{ "unknown.example", "CN=mx.example,O=Test" },
		{ "", "CN=mx.example,O=Test" },
		{ "192.0.2.1", "CN=mx.example,O=Test" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct scene scene;

		scene_make(&scene,
			   certificates_server(&certificates, two_names, 2,
					       TLS_1_2),
			   client_of(false, false), rows[i].asked, 1 << 20);
		talk(&scene);
		assert_true(scene.peer_stands);
		assert_true(span_equal(tls_info(scene.peer)->subject,
				       span_cstr(rows[i].subject)));
		if (i < 3)
			assert_true(
				span_equal(tls_info(scene.gate)->server_name,
					   span_cstr(rows[i].asked)));
		scene_end(&scene);
	}
}

static void
who_is_not_believed_is_refused(void **state)
{
	static const struct {
		bool knows_ca;
		const char *name;
		const char *why;
	} rows[] = {
		{ false, "mx.example",
		  "unable to get local issuer certificate" },
		{ true, "elsewhere.example", "hostname mismatch" },
		{ true, "192.0.2.1", "IP address mismatch" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct scene scene;

		scene_make(&scene,
			   certificates_server(&certificates, one_name, 1,
					       TLS_1_2),
			   client_of(true, rows[i].knows_ca), rows[i].name,
			   100);
		talk(&scene);
		assert_false(scene.peer_stands);
		assert_int_equal(scene.peer_status, TLS_FAILED);
		assert_string_equal(tls_failure(scene.peer), rows[i].why);
		/* It has heard why: by an alert. */
		assert_int_equal(scene.gate_status, TLS_FAILED);
		assert_true(tls_failure(scene.gate)[0] != '\0');
		scene_end(&scene);
	}
}

static void
octets_behind_the_end_are_nobodys(void **state)
{
	struct scene scene;
	struct buf *output;

	(void)state;
	scene_make(&scene,
		   certificates_server(&certificates, one_name, 1, TLS_1_2),
		   client_of(false, false), "", 1 << 20);
	talk(&scene);
	tls_write(scene.peer, SPAN_LIT("QUIT\r\n"));
	tls_end(scene.peer);
	output = tls_output(scene.peer);
	assert_true(buf_append(output, SPAN_LIT("MAIL FROM:<a@b>\r\n")));
	talk(&scene);
	assert_int_equal(scene.gate_status, TLS_CLOSED);
	assert_true(
		span_equal(buf_span(&scene.gate_got), SPAN_LIT("QUIT\r\n")));
	assert_true(buf_append(output, SPAN_LIT("MAIL FROM:<a@b>\r\n")));
	talk(&scene);
	assert_int_equal(scene.gate_status, TLS_CLOSED);
	assert_int_equal(scene.gate_got.n, 6);
	scene_end(&scene);
}

static void
a_changed_record_ends_it(void **state)
{
	struct scene scene;
	struct buf *output;

	(void)state;
	scene_make(&scene,
		   certificates_server(&certificates, one_name, 1, TLS_1_2),
		   client_of(false, false), "", 1 << 20);
	talk(&scene);
	tls_write(scene.peer, SPAN_LIT("NOOP\r\n"));
	output = tls_output(scene.peer);
	output->p[output->n - 1] ^= 1;
	talk(&scene);
	assert_int_equal(scene.gate_status, TLS_FAILED);
	assert_int_equal(scene.gate_got.n, 0);
	/* And stays so. */
	tls_write(scene.peer, SPAN_LIT("NOOP\r\n"));
	talk(&scene);
	assert_int_equal(scene.gate_status, TLS_FAILED);
	assert_false(tls_write(scene.gate, SPAN_LIT("250 ok\r\n")));
	scene_end(&scene);
}

/* Whichever it is. */
static void
plain_commands_are_no_handshake(void **state)
{
	static const struct span lines[] = {
#define X(name, text, argument, help) SPAN_LIT(text " x\r\n"),
		VERBS(X)
#undef X
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct scene scene;

		scene_make(&scene,
			   certificates_server(&certificates, one_name, 1,
					       TLS_1_2),
			   client_of(false, false), "", 3);
		assert_true(buf_append(tls_output(scene.peer), lines[i]));
		while (carry(&scene, scene.peer, scene.gate))
			;
		assert_int_equal(scene.gate_status, TLS_FAILED);
		assert_false(scene.gate_stands);
		scene_end(&scene);
	}
}

static void
what_cannot_be_used_is_named(void **state)
{
	static const struct {
		const char *certificate;
		const char *key;
		const char *named;
	} rows[] = {
		{ "absent", "mx.example", "/absent.pem: " },
		{ "mx.example", "absent", "/absent.key: " },
		{ "mx.example", "other.example", "/other.example.key: " },
		{ "log", "mx.example", "/log.pem: " },
		{ "mx.example", "rsa", "/rsa.key: " },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char paths[2][CERTIFICATES_PATH_SIZE];
		struct tls_pair pair = {
			certificates_path(&certificates, rows[i].certificate,
					  ".pem", paths[0]),
			certificates_path(&certificates, rows[i].key, ".key",
					  paths[1]),
		};
		struct tls_server_setup setup = { .pairs = &pair, .count = 1 };
		struct buf faults;

		buf_init(&faults, 4096);
		assert_null(tls_server_new(&setup, &faults));
		buf_append_octet(&faults, '\0');
		assert_non_null(strstr((const char *)faults.p, rows[i].named));
		buf_fini(&faults);
	}
}

/* By the master, once: a worker opens no file for it, and waits for none. */
static void
the_cas_of_the_system_are_read_at_once(void **state)
{
	const struct tls_client_setup setup = { .is_verifying = true };
	char path[CERTIFICATES_PATH_SIZE];
	struct tls_client *client;
	struct scene scene;
	struct buf faults;

	(void)state;
	certificates_path(&certificates, "ca", ".pem", path);
	setenv("SSL_CERT_FILE", path, 1);
	setenv("SSL_CERT_DIR", certificates.folder, 1);
	buf_init(&faults, 4096);
	client = tls_client_new(&setup, &faults);
	assert_non_null(client);
	scene_make(&scene,
		   certificates_server(&certificates, one_name, 1, TLS_1_2),
		   client, "mx.example", 1 << 20);
	talk(&scene);
	assert_true(scene.peer_stands);
	scene_end(&scene);
	/* The folder has it, but there is no file of all. */
	setenv("SSL_CERT_FILE", "/absent.pem", 1);
	assert_null(tls_client_new(&setup, &faults));
	assert_true(faults.n > 0);
	unsetenv("SSL_CERT_FILE");
	unsetenv("SSL_CERT_DIR");
	buf_fini(&faults);
}

/* The master has a terminal maybe, and clients wait: whoever reads the answer
 * from there, or from here, waits too. */
static void
nobody_is_asked_for_a_passphrase(void **state)
{
	static const char answer[] = "secret\n";
	char paths[2][CERTIFICATES_PATH_SIZE];
	struct tls_pair pair = {
		certificates_path(&certificates, "mx.example", ".pem",
				  paths[0]),
		certificates_path(&certificates, "encrypted", ".key", paths[1]),
	};
	struct tls_server_setup setup = { .pairs = &pair, .count = 1 };
	struct buf faults;
	int ends[2], stdin_before = dup(STDIN_FILENO);

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], answer, sizeof(answer) - 1),
			 sizeof(answer) - 1);
	assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
	buf_init(&faults, 4096);
	assert_null(tls_server_new(&setup, &faults));
	buf_fini(&faults);
	dup2(stdin_before, STDIN_FILENO);
	close(stdin_before);
	close(ends[0]);
	close(ends[1]);
}

static int
make_certificates(void **state)
{
	(void)state;
	certificates_make(&certificates);
	certificates_issue(&certificates, "mx.example");
	certificates_issue(&certificates, "other.example");
	certificates_odd_keys(&certificates, "mx.example");
	return 0;
}

static int
remove_certificates(void **state)
{
	(void)state;
	certificates_remove(&certificates);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(octets_pass_both_ways_at_every_split),
		cmocka_unit_test(the_client_chooses_the_certificate_by_name),
		cmocka_unit_test(who_is_not_believed_is_refused),
		cmocka_unit_test(octets_behind_the_end_are_nobodys),
		cmocka_unit_test(a_changed_record_ends_it),
		cmocka_unit_test(plain_commands_are_no_handshake),
		cmocka_unit_test(what_cannot_be_used_is_named),
		cmocka_unit_test(the_cas_of_the_system_are_read_at_once),
		cmocka_unit_test(nobody_is_asked_for_a_passphrase),
	};

	return cmocka_run_group_tests(tests, make_certificates,
				      remove_certificates);
}
