/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/ctl/sink_mail.h"
#include "proxy/ctl/shown.h"

#include "dmarc/report/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define PATH_OCTETS 2048
#define DESCRIPTION_MAX ((size_t)64 << 20)

/* --- for people --------------------------------------------------------- */

static void
print_path(const char *word, const struct sink_path *path, struct buf *out)
{
	buf_printf(out, "%-8s<", word);
	shown_append(out, path->address, false);
	buf_append_octet(out, '>');
	for (size_t i = 0; i < path->parameter_count; i++) {
		buf_append_octet(out, ' ');
		shown_append(out, path->parameters[i], false);
	}
	buf_append_octet(out, '\n');
}

static void
print_client(const struct sink_client *client, struct buf *out)
{
	char text[IP_TEXT_MAX];

	buf_printf(out, "client  %s port %u",
		   (const char *)ip_format(&client->ip, text).p, client->port);
	if (client->name.n > 0) {
		buf_append(out, SPAN_LIT(" name "));
		shown_append(out, client->name, false);
	}
	if (client->helo.n > 0) {
		buf_append(out, SPAN_LIT(" helo "));
		shown_append(out, client->helo, false);
	}
	if (client->login.n > 0) {
		buf_append(out, SPAN_LIT(" login "));
		shown_append(out, client->login, false);
	}
	buf_printf(out, " (%s)\n", client->via);
}

bool
sink_mail_print(const struct sink_mail *mail, uint64_t number, struct buf *out)
{
	buf_printf(out, "---- mail %llu\n", (unsigned long long)number);
	print_client(&mail->client, out);
	buf_printf(out, "%-8s", mail->is_extended ? "ehlo" : "helo");
	shown_append(out, mail->helo, false);
	buf_append_octet(out, '\n');
	print_path("from", &mail->from, out);
	for (size_t i = 0; i < mail->recipient_count; i++)
		print_path("to", &mail->recipients[i], out);
	buf_printf(out, "octets  %zu\n\n", mail->octets.n);
	shown_append(out, mail->octets, true);
	buf_append(out, SPAN_LIT("----\n"));
	return !out->has_overflowed;
}

/* --- for programs ------------------------------------------------------- */

static void
member_or_null(struct json *json, const char *key, struct span text)
{
	if (text.n > 0) {
		json_member(json, key, text);
		return;
	}
	json_key(json, key);
	json_null(json);
}

static void
describe_client(const struct sink_client *client, struct json *json)
{
	char text[IP_TEXT_MAX];

	json_key(json, "client");
	json_object(json);
	json_key(json, "via");
	json_cstring(json, client->via);
	member_or_null(json, "ip",
		       client->ip.family == IP_NONE
			       ? SPAN_NONE
			       : ip_format(&client->ip, text));
	json_key(json, "port");
	json_u64(json, client->port);
	member_or_null(json, "name", client->name);
	json_key(json, "name_is_temporary");
	json_bool(json, client->is_name_temporary);
	member_or_null(json, "helo", client->helo);
	member_or_null(json, "login", client->login);
	json_object_end(json);
}

static void
describe_path(const struct sink_path *path, struct json *json)
{
	json_object(json);
	json_member(json, "address", path->address);
	json_member_list(json, "parameters", path->parameters,
			 path->parameter_count, SIZE_MAX);
	json_object_end(json);
}

bool
sink_mail_describe(const struct sink_mail *mail, uint64_t number,
		   struct buf *out)
{
	struct json json;

	json_init(&json, out);
	json_object(&json);
	json_key(&json, "number");
	json_u64(&json, number);
	describe_client(&mail->client, &json);
	json_member(&json, "helo", mail->helo);
	json_key(&json, "extended");
	json_bool(&json, mail->is_extended);
	json_key(&json, "from");
	describe_path(&mail->from, &json);
	json_key(&json, "recipients");
	json_array(&json);
	for (size_t i = 0; i < mail->recipient_count; i++)
		describe_path(&mail->recipients[i], &json);
	json_array_end(&json);
	json_key(&json, "octets");
	json_u64(&json, mail->octets.n);
	json_object_end(&json);
	return buf_append_octet(out, '\n');
}

/* All octets to a new file; 0 or a negative errno. */
static int
write_file(const char *path, struct span octets)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int error = 0;

	if (fd < 0)
		return -errno;
	while (octets.n > 0 && error == 0) {
		ssize_t n = write(fd, octets.p, octets.n);

		if (n < 0 && errno != EINTR)
			error = -errno;
		if (n > 0)
			octets = span_after(octets, (size_t)n);
	}
	if (close(fd) != 0 && error == 0)
		error = -errno;
	return error;
}

static bool
make_path(char path[PATH_OCTETS], const char *directory, uint64_t number,
	  const char *ending)
{
	int n = snprintf(path, PATH_OCTETS, "%s/%06llu%s", directory,
			 (unsigned long long)number, ending);

	return n > 0 && n < PATH_OCTETS;
}

int
sink_mail_write(const struct sink_mail *mail, uint64_t number,
		const char *directory)
{
	char path[PATH_OCTETS], last[PATH_OCTETS];
	struct buf description;
	int error;

	if (!make_path(path, directory, number, ".eml"))
		return -ENAMETOOLONG;
	error = write_file(path, mail->octets);
	if (error != 0)
		return error;
	buf_init(&description, DESCRIPTION_MAX);
	if (!sink_mail_describe(mail, number, &description) ||
	    !make_path(path, directory, number, ".json.new") ||
	    !make_path(last, directory, number, ".json"))
		error = -ENOMEM;
	if (error == 0)
		error = write_file(path, buf_span(&description));
	if (error == 0 && rename(path, last) != 0)
		error = -errno;
	buf_fini(&description);
	return error;
}
