/* SPDX-License-Identifier: BSD-2-Clause */
/* Types of settings: texts to values and back. Pure. */
#include "proxy/conf_table.h"

#include "smtp/address.h"

#include <assert.h>

#define TEXT_MAX 200
#define FIELD_MAX 64
#define RATE_PERIOD_US_MAX UINT64_C(86400000000)

/* clang-format off */
struct choice {
	const char *word;
	int value;
};

/* Words of the types that are one of several words. The first word of a value
 * is the one that is written. */
#define WORDS(name, ...) \
	static const struct choice name##_words[] = { __VA_ARGS__ };
WORDS(BOOLEAN, { "yes", true }, { "no", false }, { "true", true },
      { "false", false }, { "on", true }, { "off", false })
WORDS(MODE, { "enforce", MODE_ENFORCE }, { "monitor", MODE_MONITOR })
WORDS(ACTION, { "reject", ACTION_REJECT }, { "tag", ACTION_TAG },
      { "subject", ACTION_SUBJECT }, { "divert", ACTION_DIVERT },
      { "defer", ACTION_DEFER }, { "relay", ACTION_RELAY })
WORDS(BAD_FROM, { "reject", ACTION_REJECT }, { "tag", ACTION_TAG },
      { "accept", ACTION_RELAY })
WORDS(DIVERT_FAILED, { "defer", ACTION_DEFER }, { "tag", ACTION_TAG })
WORDS(IDENTITY, { "xclient", IDENTITY_XCLIENT },
      { "proxy-v1", IDENTITY_PROXY_V1 }, { "proxy-v2", IDENTITY_PROXY_V2 },
      { "transparent", IDENTITY_TRANSPARENT }, { "none", IDENTITY_NONE })
WORDS(CONNECT, { "connect", CONNECT_AT_CONNECT }, { "mail", CONNECT_AT_MAIL })
WORDS(TLS, { "off", CONF_TLS_OFF }, { "opportunistic", CONF_TLS_OPPORTUNISTIC },
      { "required", CONF_TLS_REQUIRED }, { "verify", CONF_TLS_VERIFY })
WORDS(TLS_ENTRY, { "starttls", false }, { "implicit", true })
WORDS(AUTH, { "off", false }, { "relay", true })
WORDS(TLS_VERSION, { "1.2", TLS_1_2 }, { "1.3", TLS_1_3 })
WORDS(RECEIVED, { "auto", RECEIVED_AUTO }, { "on", RECEIVED_ON },
      { "off", RECEIVED_OFF })
WORDS(CHUNKING, { "as-client", CHUNKING_AS_CLIENT },
      { "always", CHUNKING_ALWAYS }, { "never", CHUNKING_NEVER })
WORDS(LINE_ENDINGS, { "reject", false }, { "normalise", true })
WORDS(SPF_ENGINE, { "native", SPF_ENGINE_NATIVE },
      { "libspf2", SPF_ENGINE_LIBSPF2 })
WORDS(REJECT_MODE, { "policy", false }, { "evidence", true })
WORDS(TEMPERROR, { "accept", false }, { "defer", true })
WORDS(SPOOL_FULL, { "accept", false }, { "defer", true })
WORDS(DISCOVERY, { "treewalk", DISCOVERY_TREEWALK }, { "psl", DISCOVERY_PSL })
WORDS(DISPOSITION, { "accept", DISPOSITION_NONE },
      { "quarantine", DISPOSITION_QUARANTINE },
      { "reject", DISPOSITION_REJECT })
WORDS(DKIM_ENGINE, { "native", DKIM_ENGINE_NATIVE },
      { "libopendkim", DKIM_ENGINE_LIBOPENDKIM })
WORDS(DKIM_LENGTH, { "report", false }, { "distrust", true })
WORDS(FORCED_POLICY, { "quarantine", POLICY_QUARANTINE },
      { "reject", POLICY_REJECT })
WORDS(REASON, { "local_policy", 0 }, { "trusted_forwarder", 0 },
      { "mailing_list", 0 }, { "other", 0 })

static const struct {
	const struct choice *words;
	size_t count;
} choices[CONF_TYPE_COUNT] = {
#define CHOICE(name) \
	[CONF_##name] = { name##_words, \
			  sizeof name##_words / sizeof name##_words[0] }
	CHOICE(BOOLEAN), CHOICE(MODE), CHOICE(ACTION), CHOICE(BAD_FROM),
	CHOICE(DIVERT_FAILED), CHOICE(IDENTITY), CHOICE(CONNECT),
	CHOICE(TLS), CHOICE(TLS_ENTRY), CHOICE(TLS_VERSION),
	CHOICE(AUTH),
	CHOICE(RECEIVED),
	CHOICE(CHUNKING),
	CHOICE(LINE_ENDINGS), CHOICE(REJECT_MODE), CHOICE(TEMPERROR),
	CHOICE(SPF_ENGINE),
	CHOICE(SPOOL_FULL),
	CHOICE(DISCOVERY), CHOICE(DISPOSITION), CHOICE(FORCED_POLICY),
	CHOICE(DKIM_ENGINE), CHOICE(DKIM_LENGTH),
	CHOICE(REASON),
};

static const struct {
	const char *word;
	const char *expected;
	bool is_list;
} types[CONF_TYPE_COUNT] = {
#define X(name, word, expected, is_list) [CONF_##name] = { word, expected, is_list },
	CONF_TYPES(X)
#undef X
};

/* Largest first; the last is what a bare number counts. */
struct unit {
	const char *suffix;
	uint64_t factor;
};

static const struct unit size_units[] = {
	{ "P", UINT64_C(1) << 50 }, { "T", UINT64_C(1) << 40 },
	{ "G", UINT64_C(1) << 30 }, { "M", UINT64_C(1) << 20 },
	{ "k", UINT64_C(1) << 10 }, { "", 1 },
};

static const struct unit time_units[] = {
	{ "d", UINT64_C(86400000000) }, { "h", UINT64_C(3600000000) },
	{ "m", UINT64_C(60000000) }, { "s", UINT64_C(1000000) },
	{ "ms", UINT64_C(1000) }, { "", UINT64_C(1000000) },
};
#define UNITS 6

/* Fields that messages have, or that the gate reads: one of ours of that name
 * would be taken for theirs, and theirs be removed. */
static const char *const taken_fields[] = {
	"From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Date", "Subject",
	"Message-ID", "In-Reply-To", "References", "Received", "Return-Path",
	"Received-SPF", "DKIM-Signature", "Authentication-Results",
	"ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results",
	"MIME-Version", "Content-Type", "Content-Transfer-Encoding",
	"List-Id", "List-Post", "Auto-Submitted",
};
/* clang-format on */

bool
conf_type_is_list(enum conf_type type)
{
	return types[type].is_list;
}

bool
conf_type_is_quoted(enum conf_type type)
{
	return type != CONF_COUNT && type != CONF_WORKERS &&
	       type != CONF_SIZE && type != CONF_TIME && type != CONF_BOOLEAN;
}

size_t
conf_type_size(enum conf_type type)
{
	switch (type) {
	case CONF_TEXT:
	case CONF_NAME:
	case CONF_HOST:
	case CONF_PATH:
	case CONF_FIELD:
	case CONF_MAILBOX:
	case CONF_PATHS:
	case CONF_HOSTS:
	case CONF_DOMAINS:
		return sizeof(struct span);
	case CONF_COUNT:
	case CONF_WORKERS:
		return sizeof(unsigned);
	case CONF_SIZE:
	case CONF_TIME:
		return sizeof(uint64_t);
	case CONF_RATE:
		return sizeof(struct conf_rate);
	case CONF_BOOLEAN:
	case CONF_TLS_ENTRY:
	case CONF_AUTH:
	case CONF_LINE_ENDINGS:
	case CONF_REJECT_MODE:
	case CONF_TEMPERROR:
	case CONF_SPOOL_FULL:
	case CONF_DKIM_LENGTH:
		return sizeof(bool);
	case CONF_MODE:
	case CONF_ACTION:
	case CONF_BAD_FROM:
	case CONF_DIVERT_FAILED:
	case CONF_IDENTITY:
	case CONF_CONNECT:
	case CONF_RECEIVED:
	case CONF_TLS:
	case CONF_TLS_VERSION:
	case CONF_CHUNKING:
	case CONF_DISCOVERY:
	case CONF_SPF_ENGINE:
	case CONF_DISPOSITION:
	case CONF_FORCED_POLICY:
	case CONF_DKIM_ENGINE:
		return sizeof(enum conf_mode);
	case CONF_REASON:
		return sizeof(const char *);
	case CONF_BACKEND_NAME:
	case CONF_LISTENERS:
		return sizeof(size_t);
	case CONF_ADDRESSES:
		return sizeof(struct conf_address);
	case CONF_SERVERS:
		return sizeof(struct conf_endpoint);
	case CONF_NETWORKS:
		return sizeof(struct ip_network);
	case CONF_TYPE_COUNT:
		break;
	}
	assert(false && "a type of conf.def");
	return 0;
}

static bool
print_words(enum conf_type type, const char *between, const char *last,
	    struct buf *out)
{
	size_t count = choices[type].count;

	/* Of yes and no the other spellings go unsaid. */
	if (type == CONF_BOOLEAN)
		count = 2;
	for (size_t i = 0; i < count; i++) {
		const char *before = i == 0          ? ""
				     : i + 1 < count ? between
						     : last;

		buf_append(out, span_cstr(before));
		buf_append(out, span_cstr(choices[type].words[i].word));
	}
	return !out->has_overflowed;
}

bool
conf_type_print(enum conf_type type, struct buf *out)
{
	if (choices[type].count > 0)
		return print_words(type, " | ", " | ", out);
	return buf_append(out, span_cstr(types[type].word));
}

bool
conf_print_expected(const struct conf_setting *setting, struct buf *out)
{
	if (choices[setting->type].count > 0)
		return print_words(setting->type, ", ", " or ", out);
	buf_append(out, span_cstr(types[setting->type].expected));
	if (setting->min != NULL)
		buf_printf(out, ", from %s to %s", setting->min, setting->max);
	return !out->has_overflowed;
}

/* --- numbers ------------------------------------------------------------ */

static bool
parse_scaled(struct span text, const struct unit *units, uint64_t *value)
{
	size_t digits = 0;
	struct span suffix;

	while (digits < text.n && octet_is_digit(text.p[digits]))
		digits++;
	suffix = span_after(text, digits);
	if (!span_u64(span_first(text, digits), value))
		return false;
	for (size_t i = 0; i < UNITS; i++)
		if (span_equal_nocase(suffix, span_cstr(units[i].suffix)))
			return !__builtin_mul_overflow(*value, units[i].factor,
						       value);
	return false;
}

static bool
parse_number(enum conf_type type, struct span text, uint64_t *value)
{
	if (type == CONF_SIZE)
		return parse_scaled(text, size_units, value);
	if (type == CONF_TIME)
		return parse_scaled(text, time_units, value);
	return span_u64(text, value);
}

static bool
parse_bounded(const struct conf_setting *setting, struct span text,
	      uint64_t *value)
{
	uint64_t min, max, given;

	if (!parse_number(setting->type, span_cstr(setting->min), &min) ||
	    !parse_number(setting->type, span_cstr(setting->max), &max)) {
		assert(false && "limits of conf.def");
		return false;
	}
	if (!parse_number(setting->type, text, &given) || given < min ||
	    given > max)
		return false;
	*value = given;
	return true;
}

static bool
parse_unsigned(const struct conf_setting *setting, struct span text,
	       unsigned *count)
{
	uint64_t value;

	if (setting->type == CONF_WORKERS &&
	    span_equal(text, SPAN_LIT("auto"))) {
		*count = 0;
		return true;
	}
	if (!parse_bounded(setting, text, &value) || value > UINT32_MAX)
		return false;
	*count = (unsigned)value;
	return true;
}

static bool
print_scaled(uint64_t value, const struct unit *units, struct buf *out)
{
	size_t i = 0;

	if (value == 0)
		return buf_append(out, SPAN_LIT("0"));
	while (i < UNITS - 1 && value % units[i].factor != 0)
		i++;
	buf_append_u64(out, value / units[i].factor);
	return buf_append(out, span_cstr(units[i].suffix));
}

/* "60/1m": so many in such a time, at most a day; "0": no bound. */
static bool
parse_rate(struct span text, struct conf_rate *rate)
{
	size_t n = span_find(text, '/');
	uint64_t count, period_us;

	if (span_equal(text, SPAN_LIT("0"))) {
		*rate = (struct conf_rate){ 0 };
		return true;
	}
	if (n == text.n || !span_u64(span_first(text, n), &count) ||
	    !parse_scaled(span_after(text, n + 1), time_units, &period_us))
		return false;
	if (count == 0 || count > UINT32_MAX || period_us == 0 ||
	    period_us > RATE_PERIOD_US_MAX)
		return false;
	*rate = (struct conf_rate){ (unsigned)count, period_us };
	return true;
}

static bool
print_rate(const struct conf_rate *rate, struct buf *out)
{
	if (rate->count == 0)
		return buf_append(out, SPAN_LIT("\"0\""));
	buf_printf(out, "\"%u/", rate->count);
	print_scaled(rate->period_us, time_units, out);
	return buf_append_octet(out, '"');
}

/* --- words -------------------------------------------------------------- */

static const struct choice *
find_word(enum conf_type type, struct span text)
{
	for (size_t i = 0; i < choices[type].count; i++)
		if (span_equal(text, span_cstr(choices[type].words[i].word)))
			return &choices[type].words[i];
	return NULL;
}

static bool
parse_choice(enum conf_type type, struct span text, void *value)
{
	const struct choice *choice = find_word(type, text);

	if (choice == NULL)
		return false;
	if (type == CONF_REASON)
		memcpy(value, &choice->word, sizeof choice->word);
	else if (conf_type_size(type) == sizeof(bool))
		*(bool *)value = choice->value != 0;
	else
		memcpy(value, &choice->value, sizeof choice->value);
	return true;
}

_Static_assert(sizeof(enum conf_mode) == sizeof(int) &&
		       sizeof(enum conf_action) == sizeof(int) &&
		       sizeof(enum conf_identity) == sizeof(int) &&
		       sizeof(enum conf_connect) == sizeof(int) &&
		       sizeof(enum conf_received) == sizeof(int) &&
		       sizeof(enum conf_tls) == sizeof(int) &&
		       sizeof(enum tls_version) == sizeof(int) &&
		       sizeof(enum conf_chunking) == sizeof(int) &&
		       sizeof(enum discovery_method) == sizeof(int) &&
		       sizeof(enum disposition) == sizeof(int),
	       "enumerations of settings are stored as int");

static bool
print_word(enum conf_type type, const char *word, struct buf *out)
{
	const char *quote = conf_type_is_quoted(type) ? "\"" : "";

	return buf_printf(out, "%s%s%s", quote, word, quote);
}

static bool
print_choice(enum conf_type type, const void *value, struct buf *out)
{
	int number;

	if (type == CONF_REASON)
		return buf_append(out, span_cstr(*(const char *const *)value));
	if (conf_type_size(type) == sizeof(bool))
		number = *(const bool *)value;
	else
		memcpy(&number, value, sizeof number);
	for (size_t i = 0; i < choices[type].count; i++)
		if (choices[type].words[i].value == number)
			return print_word(type, choices[type].words[i].word,
					  out);
	assert(false && "a value of its type");
	return false;
}

const char *
conf_action_name(enum conf_action action)
{
	for (size_t i = 0; i < choices[CONF_ACTION].count; i++)
		if (ACTION_words[i].value == (int)action)
			return ACTION_words[i].word;
	assert(false && "an action");
	return "";
}

const char *
conf_mode_name(enum conf_mode mode)
{
	return MODE_words[mode == MODE_MONITOR].word;
}

/* --- texts -------------------------------------------------------------- */

static bool
is_text(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < 0x20 || text.p[i] > 0x7e)
			return false;
	return text.n <= TEXT_MAX;
}

static bool
is_name(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if (!octet_is_alpha(text.p[i]) && !octet_is_digit(text.p[i]) &&
		    text.p[i] != '-' && text.p[i] != '_')
			return false;
	return text.n > 0 && text.n <= 64;
}

static bool
is_host(struct span text)
{
	struct ip ip;

	return address_is_domain(text) && !ip_parse(text, &ip);
}

static bool
is_path(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < 0x20 || text.p[i] == 0x7f)
			return false;
	return text.n > 0 && text.n < 1024;
}

static bool
is_field(struct span text)
{
	/* RFC 5322 3.6.8: printable ASCII but the colon. */
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] <= 0x20 || text.p[i] > 0x7e || text.p[i] == ':')
			return false;
	for (size_t i = 0; i < sizeof taken_fields / sizeof *taken_fields; i++)
		if (span_equal_nocase(text, span_cstr(taken_fields[i])))
			return false;
	return text.n > 0 && text.n <= FIELD_MAX;
}

bool
conf_mailbox_parse(struct span text, uint8_t octets[CONF_MAILBOX_OCTETS],
		   struct path *path)
{
	struct span in;

	if (text.n > ADDRESS_PATH_MAX)
		return false;
	octets[0] = '<';
	memcpy(octets + 1, text.p, text.n);
	octets[text.n + 1] = '>';
	in = span_make(octets, text.n + 2);
	return path_parse(&in, path) && in.n == 0 && !path->is_null &&
	       path->domain.n > 0;
}

static bool
is_mailbox(struct span text)
{
	uint8_t octets[CONF_MAILBOX_OCTETS];
	struct path path;

	return conf_mailbox_parse(text, octets, &path);
}

static bool
parse_text(struct conf *conf, enum conf_type type, struct span text,
	   struct span *value)
{
	bool is_good = false;

	if (type == CONF_DOMAINS)
		return domain_normalise(text, &conf->arena, value);
	if (type == CONF_TEXT)
		is_good = is_text(text);
	else if (type == CONF_NAME)
		is_good = is_name(text);
	else if (type == CONF_HOST || type == CONF_HOSTS)
		is_good = is_host(text);
	else if (type == CONF_PATH || type == CONF_PATHS)
		is_good = is_path(text);
	else if (type == CONF_FIELD)
		is_good = is_field(text);
	else if (type == CONF_MAILBOX)
		is_good = is_mailbox(text);
	if (is_good)
		*value = arena_copy(&conf->arena, text);
	return is_good;
}

bool
conf_quote(struct span text, struct buf *out)
{
	buf_append_octet(out, '"');
	for (size_t i = 0; i < text.n; i++) {
		/* "${" would be taken from the environment. */
		if (memchr("\"\\$", text.p[i], 3) != NULL)
			buf_append_octet(out, '\\');
		buf_append_octet(out, text.p[i]);
	}
	return buf_append_octet(out, '"');
}

/* --- addresses ---------------------------------------------------------- */

static bool
print_network(const struct ip_network *network, struct buf *out)
{
	char text[IP_TEXT_MAX];

	ip_format(&network->ip, text);
	return buf_printf(out, "\"%s/%u\"", text, network->prefix);
}

static bool
parse_backend(const struct conf *conf, struct span text, size_t *backend)
{
	for (size_t i = 0; i < conf->backend_count; i++) {
		if (span_equal(conf->backends[i].name, text)) {
			*backend = i;
			return true;
		}
	}
	return false;
}

static bool
parse_listener(struct conf *conf, struct span text, size_t *listener)
{
	struct conf_endpoint endpoint;

	if (!conf_endpoint_parse(&conf->arena, text, CONF_PORT_ANY, &endpoint))
		return false;
	for (size_t i = 0; i < conf->listener_count; i++) {
		if (span_equal(conf->listeners[i].endpoint.text,
			       endpoint.text)) {
			*listener = i;
			return true;
		}
	}
	return false;
}

/* --- any ---------------------------------------------------------------- */

bool
conf_value_parse(struct conf *conf, const struct conf_setting *setting,
		 struct span text, void *value)
{
	if (choices[setting->type].count > 0)
		return parse_choice(setting->type, text, value);
	if (setting->type == CONF_COUNT || setting->type == CONF_WORKERS)
		return parse_unsigned(setting, text, value);
	if (setting->type == CONF_SIZE || setting->type == CONF_TIME)
		return parse_bounded(setting, text, value);
	if (setting->type == CONF_RATE)
		return parse_rate(text, value);
	if (setting->type == CONF_BACKEND_NAME)
		return parse_backend(conf, text, value);
	if (setting->type == CONF_ADDRESSES)
		return conf_address_parse(&conf->arena, text, value);
	if (setting->type == CONF_LISTENERS)
		return parse_listener(conf, text, value);
	if (setting->type == CONF_SERVERS)
		return conf_endpoint_parse(&conf->arena, text, 53, value);
	if (setting->type == CONF_NETWORKS)
		return ip_network_parse(text, value);
	return parse_text(conf, setting->type, text, value);
}

static bool
print_unsigned(enum conf_type type, unsigned value, struct buf *out)
{
	if (type == CONF_WORKERS && value == 0)
		return buf_append(out, SPAN_LIT("auto"));
	return buf_append_u64(out, value);
}

static bool
print_backend(const struct conf *conf, size_t backend, struct buf *out)
{
	return conf_quote(backend < conf->backend_count
				  ? conf->backends[backend].name
				  : SPAN_NONE,
			  out);
}

bool
conf_value_print(const struct conf *conf, const struct conf_setting *setting,
		 const void *value, struct buf *out)
{
	if (choices[setting->type].count > 0)
		return print_choice(setting->type, value, out);
	if (setting->type == CONF_COUNT || setting->type == CONF_WORKERS)
		return print_unsigned(setting->type, *(const unsigned *)value,
				      out);
	if (setting->type == CONF_SIZE)
		return print_scaled(*(const uint64_t *)value, size_units, out);
	if (setting->type == CONF_TIME)
		return print_scaled(*(const uint64_t *)value, time_units, out);
	if (setting->type == CONF_RATE)
		return print_rate(value, out);
	if (setting->type == CONF_BACKEND_NAME)
		return print_backend(conf, *(const size_t *)value, out);
	if (setting->type == CONF_ADDRESSES)
		return conf_address_print(value, out);
	if (setting->type == CONF_LISTENERS)
		return conf_quote(
			conf->listeners[*(const size_t *)value].endpoint.text,
			out);
	if (setting->type == CONF_SERVERS)
		return conf_quote(((const struct conf_endpoint *)value)->text,
				  out);
	if (setting->type == CONF_NETWORKS)
		return print_network(value, out);
	return conf_quote(*(const struct span *)value, out);
}
