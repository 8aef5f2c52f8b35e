/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/load.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"usage: load --port PORT --mail file=PATH[,WORD=VALUE]… [OPTION]…\n"
	"  --address ADDRESS   IPv4; 127.0.0.1 unless given\n"
	"  --mail …            a kind of message, may be repeated; also "
	"from=,\n"
	"                      to=, weight=, expect= (code of the final "
	"reply,\n"
	"                      250), names= ('%' in from is a number below "
	"it)\n"
	"  --sessions N        at the same time; 20 unless given\n"
	"  --messages N        end after so many, or\n"
	"  --seconds S         begin none after this time\n"
	"  --rate R            open loop: so many arrive a second\n"
	"  --even              at even intervals, not random ones\n"
	"  --seed N            of the random intervals\n"
	"  --kept              keep connections; else a new one each\n"
	"  --pipeline          MAIL, RCPT and DATA in one\n"
	"  --starttls, --tls   STARTTLS, or TLS from the first octet\n"
	"  --proxy-from IP     say by a PROXY v1 header that it comes from "
	"there\n"
	"  --helo NAME         mx.sender.example unless given\n";

enum choice {
	OPTION_PORT = 1,
	OPTION_ADDRESS,
	OPTION_MAIL,
	OPTION_SESSIONS,
	OPTION_MESSAGES,
	OPTION_SECONDS,
	OPTION_RATE,
	OPTION_EVEN,
	OPTION_SEED,
	OPTION_KEPT,
	OPTION_PIPELINE,
	OPTION_STARTTLS,
	OPTION_TLS,
	OPTION_PROXY_FROM,
	OPTION_HELO,
	OPTION_HELP,
};

static const struct option words[] = {
	{ "port", required_argument, NULL, OPTION_PORT },
	{ "address", required_argument, NULL, OPTION_ADDRESS },
	{ "mail", required_argument, NULL, OPTION_MAIL },
	{ "sessions", required_argument, NULL, OPTION_SESSIONS },
	{ "messages", required_argument, NULL, OPTION_MESSAGES },
	{ "seconds", required_argument, NULL, OPTION_SECONDS },
	{ "rate", required_argument, NULL, OPTION_RATE },
	{ "even", no_argument, NULL, OPTION_EVEN },
	{ "seed", required_argument, NULL, OPTION_SEED },
	{ "kept", no_argument, NULL, OPTION_KEPT },
	{ "pipeline", no_argument, NULL, OPTION_PIPELINE },
	{ "starttls", no_argument, NULL, OPTION_STARTTLS },
	{ "tls", no_argument, NULL, OPTION_TLS },
	{ "proxy-from", required_argument, NULL, OPTION_PROXY_FROM },
	{ "helo", required_argument, NULL, OPTION_HELO },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ NULL, 0, NULL, 0 },
};

static uint64_t
whole(const char *text)
{
	uint64_t number;

	if (!span_u64(span_cstr(text), &number))
		give_up("load: not a whole number", 0);
	return number;
}

static double
positive(const char *text)
{
	char *end;
	double number = strtod(text, &end);

	if (end == text || *end != '\0' || !(number > 0) || number > 1e9)
		give_up("load: not a positive number", 0);
	return number;
}

static void
set_address(struct load_options *options, const char *text)
{
	if (inet_pton(AF_INET, text, &options->server.sin_addr) != 1)
		give_up("load: not an IPv4 address", 0);
}

static void
set_proxy(struct load_options *options, const char *text)
{
	int n = snprintf(options->proxy, sizeof(options->proxy),
			 "PROXY TCP4 %s 127.0.0.1 4242 25\r\n", text);

	if (n < 0 || (size_t)n >= sizeof(options->proxy))
		give_up("load: not an IPv4 address", 0);
}

static void
set_port(struct load_options *options, const char *text)
{
	uint64_t port = whole(text);

	if (port == 0 || port > UINT16_MAX)
		give_up("load: not a port", 0);
	options->server.sin_port = htons((uint16_t)port);
}

static void
set(struct load_options *options, int option, char *value)
{
	switch ((enum choice)option) {
	case OPTION_PORT:
		set_port(options, value);
		break;
	case OPTION_ADDRESS:
		set_address(options, value);
		break;
	case OPTION_MAIL:
		load_mails_add(&options->mails, value);
		break;
	case OPTION_SESSIONS:
		options->sessions = whole(value);
		break;
	case OPTION_MESSAGES:
		options->messages = whole(value);
		break;
	case OPTION_SECONDS:
		options->seconds = positive(value);
		break;
	case OPTION_RATE:
		options->rate = positive(value);
		break;
	case OPTION_EVEN:
		options->is_even = true;
		break;
	case OPTION_SEED:
		options->seed = whole(value);
		break;
	case OPTION_KEPT:
		options->is_kept = true;
		break;
	case OPTION_PIPELINE:
		options->is_pipelining = true;
		break;
	case OPTION_STARTTLS:
		options->tls = LOAD_STARTTLS;
		break;
	case OPTION_TLS:
		options->tls = LOAD_IMPLICIT;
		break;
	case OPTION_PROXY_FROM:
		set_proxy(options, value);
		break;
	case OPTION_HELO:
		options->helo = value;
		break;
	case OPTION_HELP:
	default:
		give_up(usage, 0);
	}
}

void
load_options_read(struct load_options *options, int argc, char **argv)
{
	int option;

	*options = (struct load_options){
		.server.sin_family = AF_INET,
		.server.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sessions = 20,
		.helo = "mx.sender.example",
	};
	while ((option = getopt_long(argc, argv, "", words, NULL)) != -1)
		set(options, option, optarg);
	if (optind != argc || options->server.sin_port == 0 ||
	    options->mails.count == 0 || options->sessions == 0 ||
	    (options->messages == 0) == (options->seconds <= 0) ||
	    (options->proxy[0] != '\0' && options->tls == LOAD_IMPLICIT))
		give_up(usage, 0);
}
