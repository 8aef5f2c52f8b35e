/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf: proxy.conf, read, checked and turned into values.
 *
 * conf.def is the one table of settings: section, word, type, default,
 * limits, which program uses it, and its documentation. From it come the
 * parser, `dmarcgate -t`, the commented conf/proxy.conf and proxy.conf(5).
 *
 * Reading gathers every fault, each as one line "FILE:LINE: SETTING: what was
 * expected, what was found", and gives no configuration if there is any. A
 * conf is immutable once read and outlives every session that uses it.
 *
 * Its parts: conf_text (where each statement stands), conf_value (texts to
 * values and back), conf_check (what must fit together), conf_print. conf.c
 * is the only file that knows libconfuse.
 */
#ifndef PROXY_CONF_H
#define PROXY_CONF_H

#include "dmarc/discovery.h"
#include "dmarc/eval.h"
#include "proxy/tls.h"
#include "smtp/arena.h"
#include "smtp/buf.h"
#include "smtp/ip.h"

enum conf_mode { MODE_ENFORCE, MODE_MONITOR };

/* What is done with a message that a policy, or a rule of ours, asks to be
 * treated; from the mildest to the strictest. */
enum conf_action {
	ACTION_RELAY,
	ACTION_TAG,     /* relay with quarantine.header */
	ACTION_SUBJECT, /* relay with quarantine.subject put before Subject */
	ACTION_DIVERT,  /* relay to quarantine.recipient and/or .backend */
	ACTION_DEFER,   /* 451 4.7.1 */
	ACTION_REJECT,  /* 550 5.7.1 */
};

enum conf_identity {
	IDENTITY_NONE,
	IDENTITY_XCLIENT,
	IDENTITY_PROXY_V1,
	IDENTITY_PROXY_V2,
	IDENTITY_TRANSPARENT, /* we connect from the client's address */
};

/* Of the connection to a backend. */
enum conf_tls {
	CONF_TLS_OFF,
	CONF_TLS_OPPORTUNISTIC, /* where it is offered and works */
	CONF_TLS_REQUIRED,      /* or the backend gets nothing */
	CONF_TLS_VERIFY,        /* the same, and it proves who it is */
};
/* Whether a message goes to a backend that offers CHUNKING by BDAT. */
enum conf_chunking { CHUNKING_AS_CLIENT, CHUNKING_ALWAYS, CHUNKING_NEVER };

/* Whether a Received field of ours is added. */
enum conf_received {
	RECEIVED_AUTO, /* for a backend that is not told who the client is */
	RECEIVED_ON,
	RECEIVED_OFF,
};

enum conf_connect { CONNECT_AT_CONNECT, CONNECT_AT_MAIL };

/* As a backend's address, with ip of no family, it is where the client
 * connected to; its port as well, where port is 0. */
struct conf_endpoint {
	struct ip ip;
	uint16_t port;
	struct span text; /* "192.0.2.1:25", "[2001:db8::1]:25" */
};

/* One of a backend's addresses. What a host name stands for is looked up, and
 * again when its time is over: see proxy/hostnames.h. */
struct conf_address {
	struct conf_endpoint at; /* of a host name: ip of no family, its port */
	struct span host;        /* normalised; empty: none */
	unsigned priority;       /* lower ones are tried first */
	unsigned weight;         /* of those of one priority; at least 1 */
};
#define CONF_PRIORITY 10
#define CONF_WEIGHT 1
#define CONF_RANK_MAX 65535 /* of both */

/* Where the client connected to: each has its own. */
static inline bool
conf_is_original(const struct conf_address *address)
{
	return address->at.ip.family == IP_NONE && address->host.n == 0;
}

struct conf_networks {
	const struct ip_network *list;
	size_t count;
};

struct conf_indexes {
	const size_t *list;
	size_t count;
};

struct conf_paths {
	const struct span *list;
	size_t count;
};

struct conf_listener {
	struct conf_endpoint endpoint;
	bool is_transparent; /* connections to anywhere are led here */
	struct conf_paths tls_certificates; /* none: no TLS here */
	struct conf_paths tls_keys;         /* in the same order */
	bool is_implicit_tls;               /* from the first octet on */
	bool requires_tls;                  /* for mail; then 530 5.7.0 */
	bool relays_auth;                   /* AUTH goes on to the backend */
	enum tls_version tls_version_min;
	struct span tls_client_ca; /* empty: no certificate is asked for */
	struct conf_networks proxy_from;   /* peers that send a PROXY header */
	struct conf_networks xclient_from; /* peers that may use XCLIENT */
};

/* So many in a period; a count of 0: no bound. */
struct conf_rate {
	unsigned count;
	uint64_t period_us;
};

struct conf_backend {
	struct span name;
	const struct conf_address *addresses;
	size_t address_count;
	unsigned connections_max; /* over all workers; 0: any */
	uint64_t retry_us;        /* after a failure, at first */
	uint64_t probe_us;        /* between two probes */
	enum conf_identity identity;
	bool trusts_unidentified;
	enum conf_chunking chunking;
	enum conf_tls tls;
	struct span tls_ca;   /* empty: the system's store */
	struct span tls_name; /* empty: its address must be in the certificate
			       */
	uint64_t connect_us_max;    /* until its banner */
	uint64_t reply_us_max;      /* for a reply to a command */
	uint64_t data_reply_us_max; /* for the reply to DATA */
	uint64_t block_us_max;      /* for taking some octets of a message */
	uint64_t final_us_max;      /* for the reply to the end of data */
};

struct conf_quarantine {
	enum conf_action action; /* default of on-quarantine */
	struct span header;      /* field name */
	struct span subject;     /* prefix */
	struct span recipient;   /* of a diversion; empty: the original ones */
	size_t backend; /* of a diversion; CONF_NO_BACKEND: the same one */
	enum conf_action divert_failed; /* ACTION_TAG or ACTION_DEFER */
	struct span original_header;    /* carries the original recipients */
};
#define CONF_NO_BACKEND SIZE_MAX

/* Which recipients a route is for, by its title. */
enum conf_match {
	MATCH_ANY,     /* "*" */
	MATCH_DOMAIN,  /* "example.com" */
	MATCH_BELOW,   /* ".example.com": not example.com itself */
	MATCH_MAILBOX, /* "user@example.com" */
};

struct conf_route {
	struct span title; /* as below, written in one way */
	enum conf_match match;
	struct span local;  /* of MATCH_MAILBOX; compared without case */
	struct span domain; /* normalised; empty for MATCH_ANY */
	struct conf_indexes listeners; /* of conf; none: any */
	struct conf_networks clients;  /* none: any */
	size_t backend;                /* index into conf->backends */
	enum conf_mode mode;
	enum conf_action on_reject, on_quarantine, on_fail_none, on_bad_policy;
};

struct conf {
	struct arena arena; /* owns all below */
	struct span file;

	struct span hostname; /* of the gate, in banner, EHLO, Received */
	struct span user;     /* empty: stay who we are */
	unsigned workers;     /* 0 = auto */
	uint64_t message_size_max;
	uint64_t header_size_max;
	uint64_t body_memory; /* octets of a body kept in memory, per mail */
	uint64_t body_disk;   /* octets of bodies in files, per worker */
	struct span body_directory;
	bool is_normalising;  /* line-endings */
	uint64_t eval_us_max; /* from the end of data */
	enum spf_engine spf_engine;
	uint64_t data_us_max;    /* for one message's upload */
	uint64_t block_us_max;   /* silence of the client within a message */
	unsigned data_rate_min;  /* octets of a message per second; 0: any */
	uint64_t rate_us;        /* over which they are averaged */
	uint64_t banner_us_max;  /* silence behind the banner */
	uint64_t client_us_max;  /* silence between commands */
	uint64_t command_us_max; /* for one command line */
	uint64_t memory_max;     /* octets that sessions hold; 0: any */
	uint64_t tls_us_max;     /* for a handshake with a client */
	uint64_t drain_us_max;
	uint64_t name_us_max; /* waiting for the client's name */
	enum conf_connect backend_connect;
	enum conf_received received_header;
	unsigned hops_max;    /* Received fields of a message; 0: any */
	struct span psl_file; /* empty: libpsl's own */
	enum dkim_engine_kind dkim_engine;
	bool distrusts_length; /* dkim-length */
	bool has_second_opinion;

	const struct conf_listener *listeners;
	size_t listener_count;
	const struct conf_backend *backends;
	size_t backend_count;
	const struct conf_route *routes; /* in file order; first match counts */
	size_t route_count;
	bool has_one_backend; /* every route leads to the same one */

	/* dmarc { } */
	enum conf_mode mode; /* this and the actions: where a route has none */
	enum conf_action on_reject, on_quarantine, on_fail_none, on_bad_policy;
	enum discovery_method discovery;
	bool does_compare;
	bool needs_evidence;             /* reject-mode */
	bool does_defer;                 /* temperror = defer */
	enum conf_action bad_from;       /* reject tag relay ("accept") */
	const struct span *authserv_ids; /* [0] is the one we write */
	size_t authserv_id_count;
	const struct span *arc_sealers; /* normalised */
	size_t arc_sealer_count;
	bool does_honour_pct;
	const struct span *unsampled; /* no-sampling: domains, and … */
	size_t unsampled_count;
	struct span unsampled_file; /* … a file of them; may be empty */
	const struct override_rule *overrides;
	size_t override_count;
	const struct force_rule *forces;
	size_t force_count;

	struct conf_quarantine quarantine;

	/* resolver { } */
	const struct conf_endpoint *resolvers;
	size_t resolver_count; /* 0: those of /etc/resolv.conf */
	struct span zone_file; /* empty: none */
	uint64_t dns_us_max;   /* per query and try */
	unsigned dns_tries;
	uint64_t dns_cache_octets;
	uint64_t dns_ttl_us_min; /* how long answers are kept */
	uint64_t dns_ttl_us_max;
	uint64_t dns_negative_us_max;
	uint64_t dns_failure_us;
	unsigned dns_questions_max; /* per mail */
	bool trusts_ad;

	/* spool { } and spool-full */
	struct span spool_directory;
	uint64_t rotate_octets_max;
	uint64_t rotate_us_max; /* 0: not by time */
	bool does_compress;
	uint64_t keep_us_max;     /* 0: for ever */
	uint64_t keep_octets_max; /* 0: without bound */
	bool does_defer_unlogged; /* spool-full = defer */

	/* limit { } 0 = none, but where said otherwise */
	unsigned connections_max;       /* per worker */
	unsigned connections_total_max; /* over all workers, as below */
	unsigned connections_per_address_max;
	unsigned connections_per_network_max;
	struct conf_rate connection_rate; /* of an address, as below */
	struct conf_rate message_rate;
	bool limits_loopback;
	struct conf_networks exempt; /* from what counts by address */
	unsigned recipients_max;     /* per mail; at least 1 */
	unsigned errors_max;         /* per session; at least 1 */
	unsigned unknown_max;        /* unknown commands per session */
	unsigned junk_max;           /* useless commands between two mails */
	unsigned refused_max;        /* refused recipients per session */
	unsigned messages_max;       /* mails begun per session */
	uint64_t command_line_max;   /* octets, without CR LF */
	unsigned fields_max;         /* of a header; at least 1 */
	uint64_t line_max; /* octets of a message's line, with CR LF */
};

/* Which program reads it. The gate needs a listener, a backend and a route;
 * the tool does not. */
enum conf_scope { CONF_GATE, CONF_TOOL };

/*
 * Read and check a file. The conf, owned by the caller; or NULL with at least
 * one fault line (LF-ended) in faults. Warnings ("FILE:LINE: warning: …") are
 * appended there too when it succeeds. The file is read once.
 */
struct conf *conf_read(const char *file, enum conf_scope scope,
		       struct buf *faults);

/* Defaults alone, for programs that need no file. */
struct conf *conf_default(void);
void conf_free(struct conf *conf);

/* Where a client came in, and who it is. */
struct conf_arrival {
	const struct conf_listener *listener; /* of conf */
	struct ip client;
};

/* Whether a route is open to some client of a listener. */
bool conf_route_has_listener(const struct conf_route *route, size_t listener);

/* Whether a route is open to who came in so, for some recipient. */
bool conf_route_is_open(const struct conf *conf, const struct conf_route *route,
			const struct conf_arrival *arrival);

/* The first route that fits: open to who came in so (NULL: no matter), and for
 * this recipient. The local part is as written; the domain is normalised, and
 * empty for <Postmaster> and address literals, which only "*" fits. NULL if no
 * route fits. */
const struct conf_route *conf_route(const struct conf *conf,
				    const struct conf_arrival *arrival,
				    struct span local, struct span domain);

/* Whether every mail that fits b fits a as well. */
bool conf_route_covers(const struct conf_route *a, const struct conf_route *b);

/* Whether what counts by address has its bounds for this one: it is known,
 * not exempt, and not of the loopback range unless that was asked for. */
bool conf_is_limited(const struct conf *conf, const struct ip *ip);

/* Every setting at its effective value, in proxy.conf's own syntax. */
bool conf_print(const struct conf *conf, struct buf *out);

/* The commented proxy.conf at its defaults, and the OPTIONS part of
 * proxy.conf(5) in mdoc, from conf.def. */
bool conf_print_example(struct buf *out);
bool conf_print_manual(struct buf *out);

/* The endpoint in text, which lives in the arena. A port that is not given is
 * the default, unless that is one of: */
#define CONF_PORT_NEEDED 0
#define CONF_PORT_ANY (-1) /* needed, and 0 is one that the system chooses */
bool conf_endpoint_parse(struct arena *arena, struct span text,
			 int default_port, struct conf_endpoint *endpoint);

const char *conf_action_name(enum conf_action action);
const char *conf_mode_name(enum conf_mode mode);

#endif
