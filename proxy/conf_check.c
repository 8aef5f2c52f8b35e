/* SPDX-License-Identifier: BSD-2-Clause */
/* What must fit together in a configuration. Pure. */
#include "proxy/conf_table.h"

#include <assert.h>

/* What all checks look at. */
struct check {
	const struct conf *conf;
	const struct conf_places *places;
	struct conf_faults *faults;
};

/* What a sender's line may well carry, in octets per second. */
#define RATE_USUAL (1024u * 1024)

/* For "%.*s". */
#define TEXT(span) (int)(span).n, (const char *)(span).p

static const struct conf_place *
find_place(const struct conf_places *places, enum conf_section section,
	   size_t index)
{
	return index < places->count[section] ? &places->place[section][index]
					      : NULL;
}

static unsigned
setting_line(const struct conf_place *place, enum conf_section section,
	     const char *word)
{
	const struct conf_setting *row =
		conf_find_setting(section, span_cstr(word));

	assert(row != NULL);
	return place == NULL ? 0 : place->setting_lines[row - conf_settings];
}

unsigned
conf_place_line(const struct conf_places *places, enum conf_section section,
		size_t index, const char *word)
{
	const struct conf_place *place = find_place(places, section, index);
	unsigned line = setting_line(place, section, word);

	return line > 0 || place == NULL ? line : place->line;
}

bool
conf_place_has(const struct conf_places *places, enum conf_section section,
	       size_t index, const char *word)
{
	return setting_line(find_place(places, section, index), section, word) >
	       0;
}

static unsigned
line_of(const struct check *check, enum conf_section section, size_t index,
	const char *word)
{
	return conf_place_line(check->places, section, index, word);
}

static unsigned
block_line(const struct check *check, enum conf_section section, size_t index)
{
	const struct conf_place *place =
		find_place(check->places, section, index);

	return place == NULL ? 0 : place->line;
}

static bool
has(const struct check *check, enum conf_section section, size_t index,
    const char *word)
{
	return conf_place_has(check->places, section, index, word);
}

/* A title that is no address has a fault of its own already. */
static void
check_listener(const struct check *check, size_t i)
{
	const struct conf_listener *list = check->conf->listeners;
	struct span text = list[i].endpoint.text;

	for (size_t k = 0; k < i; k++) {
		if (text.n == 0 || !span_equal(text, list[k].endpoint.text))
			continue;
		conf_fault(check->faults, block_line(check, SECTION_LISTEN, i),
			   "listen \"%.*s\": given twice, first in line %u",
			   TEXT(text), block_line(check, SECTION_LISTEN, k));
		return;
	}
}

static void
check_needs_tls(const struct check *check, size_t i, const char *word,
		bool is_asked)
{
	if (is_asked)
		conf_fault(check->faults,
			   line_of(check, SECTION_LISTEN, i, word),
			   "listen \"%.*s\" %s: needs tls-cert and tls-key, "
			   "found none",
			   TEXT(check->conf->listeners[i].endpoint.text), word);
}

static void
check_listener_tls(const struct check *check, size_t i)
{
	const struct conf_listener *listener = &check->conf->listeners[i];
	size_t certificates = listener->tls_certificates.count;

	if (certificates != listener->tls_keys.count ||
	    certificates > TLS_CERTIFICATES_MAX)
		conf_fault(check->faults,
			   line_of(check, SECTION_LISTEN, i, "tls-key"),
			   "listen \"%.*s\" tls-key: expected one for each "
			   "tls-cert, at most %d; found %zu for %zu",
			   TEXT(listener->endpoint.text), TLS_CERTIFICATES_MAX,
			   listener->tls_keys.count, certificates);
	if (certificates > 0)
		return;
	check_needs_tls(check, i, "tls", listener->is_implicit_tls);
	check_needs_tls(check, i, "tls-required", listener->requires_tls);
	check_needs_tls(check, i, "auth", listener->relays_auth);
}

/* Whether all that comes in there goes to one backend, whoever the client is.
 */
static bool
leads_to_one_backend(const struct conf *conf, size_t listener)
{
	const struct conf_route *first = NULL;

	for (size_t i = 0; i < conf->route_count; i++) {
		const struct conf_route *route = &conf->routes[i];

		if (!conf_route_has_listener(route, listener))
			continue;
		if (first == NULL)
			first = route;
		if (route->backend != first->backend)
			return false;
	}
	return true;
}

static bool
is_on_this_host(const struct conf_backend *backend)
{
	for (size_t i = 0; i < backend->address_count; i++)
		if (!ip_is_loopback(&backend->addresses[i].at.ip))
			return false;
	return true;
}

/* Under TLS with the client, a secret may go on in plain. */
static void
warn_of_plain_logins(const struct check *check, size_t i)
{
	const struct conf *conf = check->conf;
	const struct conf_listener *listener = &conf->listeners[i];

	for (size_t k = 0; k < conf->route_count; k++) {
		const struct conf_route *route = &conf->routes[k];
		const struct conf_backend *backend;

		if (!conf_route_has_listener(route, i) ||
		    route->backend >= conf->backend_count)
			continue;
		backend = &conf->backends[route->backend];
		if (backend->tls == CONF_TLS_REQUIRED ||
		    backend->tls == CONF_TLS_VERIFY || is_on_this_host(backend))
			continue;
		conf_warning(check->faults,
			     line_of(check, SECTION_LISTEN, i, "auth"),
			     "listen \"%.*s\" auth: logins may go on in plain "
			     "to backend \"%.*s\"; it needs tls = verify or "
			     "required",
			     TEXT(listener->endpoint.text),
			     TEXT(backend->name));
		return;
	}
}

/* A login is made on a connection to the backend that all mail will go to. */
static void
check_auth(const struct check *check, size_t i)
{
	const struct conf *conf = check->conf;
	const struct conf_listener *listener = &conf->listeners[i];

	if (!listener->relays_auth)
		return;
	warn_of_plain_logins(check, i);
	if (conf->backend_connect == CONNECT_AT_CONNECT &&
	    leads_to_one_backend(conf, i))
		return;
	conf_fault(check->faults, line_of(check, SECTION_LISTEN, i, "auth"),
		   "listen \"%.*s\" auth: expected one backend for all its "
		   "routes, and backend-connect = connect",
		   TEXT(listener->endpoint.text));
}

/* Tried: behind a gate that it is not told the clients of, Postfix relays
 * from anywhere to anywhere. */
static void
check_identity(const struct check *check, size_t i)
{
	const struct conf_backend *backend = &check->conf->backends[i];
	unsigned line = line_of(check, SECTION_BACKEND, i, "identity");

	if (backend->identity != IDENTITY_NONE)
		return;
	if (!backend->trusts_unidentified)
		conf_fault(check->faults, line,
			   "backend \"%.*s\" identity: expected xclient, "
			   "proxy-v1, proxy-v2 or transparent, found \"none\": "
			   "the server "
			   "would see every client at the address of the gate, "
			   "and where that is inside its mynetworks, Postfix "
			   "relays anywhere for all of the internet "
			   "(permit_mynetworks); if the server gives no rights "
			   "to that address, say trust-unidentified = yes",
			   TEXT(backend->name));
	else
		conf_warning(check->faults, line,
			     "backend \"%.*s\" is not told who the client is; "
			     "make sure that it gives no rights to the address "
			     "of the gate (mynetworks)",
			     TEXT(backend->name));
}

/* Where the client connected to says something only where it may be another
 * place than a listener of ours. */
static void
check_original(const struct check *check, size_t i)
{
	const struct conf *conf = check->conf;
	const struct conf_backend *backend = &conf->backends[i];
	bool is_used = false, is_known = false;

	for (size_t k = 0; k < backend->address_count; k++)
		is_used |= backend->addresses[k].at.text.n > 0 &&
			   conf_is_original(&backend->addresses[k]);
	for (size_t k = 0; k < conf->listener_count; k++)
		is_known |= conf->listeners[k].is_transparent ||
			    conf->listeners[k].proxy_from.count > 0;
	if (is_used && !is_known)
		conf_fault(check->faults,
			   line_of(check, SECTION_BACKEND, i, "address"),
			   "backend \"%.*s\" address: original-destination "
			   "needs a listener with transparent = yes or "
			   "proxy-from, found none",
			   TEXT(backend->name));
}

static void
check_backends(const struct check *check)
{
	for (size_t i = 0; i < check->conf->backend_count; i++) {
		const struct conf_backend *backend = &check->conf->backends[i];

		if (backend->address_count == 0)
			conf_fault(
				check->faults,
				line_of(check, SECTION_BACKEND, i, "address"),
				"backend \"%.*s\" address: expected at least "
				"one address and port, found none",
				TEXT(backend->name));
		check_original(check, i);
		check_identity(check, i);
	}
}

/* What it asks for would silently be done in another way. */
static void
check_route_order(const struct check *check, size_t i)
{
	const struct conf_route *list = check->conf->routes;

	for (size_t k = 0; k < i && list[i].title.n > 0; k++) {
		if (list[k].title.n == 0 ||
		    !conf_route_covers(&list[k], &list[i]))
			continue;
		conf_fault(check->faults, block_line(check, SECTION_ROUTE, i),
			   "route \"%.*s\" can never fit: route \"%.*s\" "
			   "in line %u, which stands before it, takes all "
			   "that it is for",
			   TEXT(list[i].title), TEXT(list[k].title),
			   block_line(check, SECTION_ROUTE, k));
		return;
	}
}

static void
check_routes(const struct check *check)
{
	for (size_t i = 0; i < check->conf->route_count; i++) {
		check_route_order(check, i);
		if (!has(check, SECTION_ROUTE, i, "backend"))
			conf_fault(check->faults,
				   block_line(check, SECTION_ROUTE, i),
				   "route \"%.*s\" backend: expected the name "
				   "of a backend, found none",
				   TEXT(check->conf->routes[i].title));
	}
}

/* A setting that asks for a diversion which has no target. */
static void
check_divert(const struct check *check, enum conf_section section, size_t i,
	     const char *word, enum conf_action action)
{
	const struct conf_quarantine *quarantine = &check->conf->quarantine;

	if (action != ACTION_DIVERT ||
	    !conf_place_has(check->places, section, i, word))
		return;
	if (quarantine->recipient.n > 0 ||
	    quarantine->backend != CONF_NO_BACKEND)
		return;
	conf_fault(check->faults, line_of(check, section, i, word),
		   "%s %s: \"divert\" has no target: expected a recipient or "
		   "a backend in quarantine { }, found neither",
		   conf_sections[section].word, word);
}

static void
check_diverts(const struct check *check)
{
	const struct conf *conf = check->conf;

	check_divert(check, SECTION_QUARANTINE, 0, "action",
		     conf->quarantine.action);
	check_divert(check, SECTION_DMARC, 0, "on-reject", conf->on_reject);
	check_divert(check, SECTION_DMARC, 0, "on-quarantine",
		     conf->on_quarantine);
	check_divert(check, SECTION_DMARC, 0, "on-fail-none",
		     conf->on_fail_none);
	check_divert(check, SECTION_DMARC, 0, "on-bad-policy",
		     conf->on_bad_policy);
	for (size_t i = 0; i < conf->route_count; i++) {
		const struct conf_route *route = &conf->routes[i];

		check_divert(check, SECTION_ROUTE, i, "on-reject",
			     route->on_reject);
		check_divert(check, SECTION_ROUTE, i, "on-quarantine",
			     route->on_quarantine);
		check_divert(check, SECTION_ROUTE, i, "on-fail-none",
			     route->on_fail_none);
		check_divert(check, SECTION_ROUTE, i, "on-bad-policy",
			     route->on_bad_policy);
	}
}

static void
check_quarantine(const struct check *check)
{
	const struct conf_quarantine *quarantine = &check->conf->quarantine;

	if (span_equal_nocase(quarantine->header, quarantine->original_header))
		conf_fault(
			check->faults,
			line_of(check, SECTION_QUARANTINE, 0, "header"),
			"quarantine header: expected another name than "
			"that of original-recipients-header, found the same");
	check_diverts(check);
}

static void
check_override(const struct check *check, size_t i)
{
	const struct override_rule *rule = &check->conf->overrides[i];
	unsigned line = block_line(check, SECTION_OVERRIDE, i);

	if (!has(check, SECTION_OVERRIDE, i, "action"))
		conf_fault(check->faults, line,
			   "override \"%.*s\" action: expected accept, "
			   "quarantine or reject, found none",
			   TEXT(rule->name));
	if (override_is_empty(rule))
		conf_fault(check->faults, line,
			   "override \"%.*s\": expected a condition, found "
			   "none: it would override every message",
			   TEXT(rule->name));
	else if (check->faults->count == 0 &&
		 rule->disposition == DISPOSITION_NONE &&
		 !override_is_proved(rule))
		conf_warning(check->faults, line,
			     "override \"%.*s\": it accepts what anybody may "
			     "write, forged or not; add client, client-name, "
			     "envelope or dkim",
			     TEXT(rule->name));
}

static void
check_force(const struct check *check, size_t i)
{
	const struct force_rule *rule = &check->conf->forces[i];
	unsigned line = block_line(check, SECTION_FORCE, i);

	if (rule->authors.count == 0)
		conf_fault(check->faults, line,
			   "force \"%.*s\" from: expected a domain, found none",
			   TEXT(rule->name));
	if (!has(check, SECTION_FORCE, i, "policy"))
		conf_fault(check->faults, line,
			   "force \"%.*s\" policy: expected quarantine or "
			   "reject, found none",
			   TEXT(rule->name));
}

static void
check_local_rules(const struct check *check)
{
	for (size_t i = 0; i < check->conf->override_count; i++)
		check_override(check, i);
	for (size_t i = 0; i < check->conf->force_count; i++)
		check_force(check, i);
}

/* Two settings of which one makes the other idle, or too large. */
static void
warn(const struct check *check, enum conf_section section, const char *word,
     const char *text)
{
	conf_warning(check->faults, line_of(check, section, 0, word), "%s: %s",
		     word, text);
}

static void
check_times(const struct check *check)
{
	const struct conf *conf = check->conf;

	if (conf->block_us_max > conf->data_us_max)
		warn(check, SECTION_TOP, "data-timeout",
		     "longer than data-time, which ends a message first");
	if (conf->data_rate_min > 0 && conf->rate_us >= conf->data_us_max)
		warn(check, SECTION_TOP, "data-rate-time",
		     "as long as data-time or longer, so data-rate is never "
		     "looked at");
	if (conf->message_size_max / RATE_USUAL > conf->data_us_max / 1000000)
		warn(check, SECTION_TOP, "data-time",
		     "too short for a message of message-size, unless it comes "
		     "faster than a megabyte per second");
}

static void
check_resolver(const struct check *check)
{
	const struct conf *conf = check->conf;
	bool is_far = false;

	if (conf->dns_ttl_us_min > conf->dns_ttl_us_max)
		warn(check, SECTION_RESOLVER, "ttl-min",
		     "more than ttl-max, which bounds it");
	for (size_t i = 0; i < conf->resolver_count; i++)
		is_far |= !ip_is_loopback(&conf->resolvers[i].ip);
	if (conf->trusts_ad && is_far)
		warn(check, SECTION_RESOLVER, "trust-ad",
		     "one of the servers is not on this host: who stands in "
		     "between can say that an answer was validated");
}

static bool
is_above(unsigned limit, unsigned other)
{
	return other > 0 && limit > other;
}

static void
check_limits(const struct check *check)
{
	const struct conf *conf = check->conf;
	unsigned per_address = conf->connections_per_address_max;
	uint64_t message = conf->body_memory + conf->header_size_max;

	if (is_above(per_address, conf->connections_per_network_max))
		warn(check, SECTION_LIMIT, "connections-per-address",
		     "more than connections-per-network, which comes first");
	if (is_above(per_address, conf->connections_total_max))
		warn(check, SECTION_LIMIT, "connections-per-address",
		     "more than connections-total: one address may take all "
		     "there is");
	if (conf->memory_max > 0 && conf->memory_max < message)
		warn(check, SECTION_TOP, "memory",
		     "less than body-memory and header-size together: one "
		     "message may take all there is");
}

static void
check_gate(const struct check *check)
{
	if (check->conf->listener_count == 0)
		conf_fault(check->faults, 0,
			   "listen: expected at least one, found none");
	if (check->conf->backend_count == 0)
		conf_fault(check->faults, 0,
			   "backend: expected at least one, found none");
	if (check->conf->route_count == 0)
		conf_fault(check->faults, 0,
			   "route: expected at least one, found none");
}

void
conf_check(const struct conf *conf, const struct conf_places *places,
	   enum conf_scope scope, struct conf_faults *faults)
{
	struct check check = { conf, places, faults };

	for (size_t i = 0; i < conf->listener_count; i++) {
		check_listener(&check, i);
		check_listener_tls(&check, i);
		check_auth(&check, i);
	}
	check_backends(&check);
	check_routes(&check);
	check_quarantine(&check);
	check_local_rules(&check);
	if (scope != CONF_GATE)
		return;
	check_gate(&check);
	check_times(&check);
	check_resolver(&check);
	check_limits(&check);
}
