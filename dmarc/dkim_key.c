/* SPDX-License-Identifier: BSD-2-Clause */
/* dkim_key: one DKIM key record (RFC 6376 3.6.1), before an engine sees it. */
#include "dmarc/dkim_key.h"

#include "dmarc/taglist.h"

#define KEY_OCTETS_MAX 4096 /* of what p= decodes to */
#define ED25519_BITS 256

/* OpenSSL raises to any exponent of a key this small. Nobody has one of more
 * than 64 bits, but one as long as the modulus costs a hundredfold. */
#define RSA_EXPONENT_BITS_MAX 64

#define DER_INTEGER 0x02
#define DER_BIT_STRING 0x03
#define DER_NULL 0x05
#define DER_SEQUENCE 0x30

/* rsaEncryption (RFC 3279 2.3.1) with its tag and length */
static const uint8_t rsa_oid[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
				   0xf7, 0x0d, 0x01, 0x01, 0x01 };

static bool
refuse(struct dkim_key *key, enum dkim_result result, const char *reason)
{
	key->record = SPAN_NONE;
	key->result = result;
	key->reason = reason;
	return false;
}

/* The contents of the DER element of that tag at the start of *in, which is
 * moved behind it. Lengths of up to two octets: a record is not longer. */
static bool
der_next(struct span *in, uint8_t tag, struct span *contents)
{
	size_t head = 2, n;

	if (in->n < 2 || in->p[0] != tag)
		return false;
	n = in->p[1];
	if (n >= 0x80) {
		size_t octets = n & 0x7f;

		if (octets == 0 || octets > 2 || in->n < head + octets)
			return false;
		n = in->p[2];
		if (octets == 2)
			n = n << 8 | in->p[3];
		head += octets;
	}
	if (n > in->n - head)
		return false;
	*contents = span_first(span_after(*in, head), n);
	*in = span_after(*in, head + n);
	return true;
}

/* An ASN.1 INTEGER without leading zeros; empty if it is none, or not
 * positive. */
static struct span
number_of(struct span integer)
{
	if (integer.n > 0 && integer.p[0] >= 0x80)
		return SPAN_NONE;
	while (integer.n > 0 && integer.p[0] == 0)
		integer = span_after(integer, 1);
	return integer;
}

static unsigned
bits_of(struct span number)
{
	unsigned bits = 0;

	if (number.n == 0)
		return 0;
	for (unsigned first = number.p[0]; first > 0; first >>= 1)
		bits++;
	return bits + 8 * (unsigned)(number.n - 1);
}

/* RFC 3279 2.3.1: the parameters are NULL; some leave them out. */
static bool
is_rsa_algorithm(struct span algorithm)
{
	const struct span oid = span_make(rsa_oid, sizeof(rsa_oid));
	struct span rest, null;

	if (!span_starts(algorithm, oid))
		return false;
	rest = span_after(algorithm, oid.n);
	return rest.n == 0 ||
	       (der_next(&rest, DER_NULL, &null) && null.n == 0 && rest.n == 0);
}

/* The RSAPublicKey within a SubjectPublicKeyInfo, whose contents are info. */
static bool
unwrap_rsa(struct span info, struct span *key)
{
	struct span algorithm, string;

	if (!der_next(&info, DER_SEQUENCE, &algorithm) ||
	    !is_rsa_algorithm(algorithm) ||
	    !der_next(&info, DER_BIT_STRING, &string) || string.n == 0 ||
	    string.p[0] != 0)
		return false;
	string = span_after(string, 1);
	return der_next(&string, DER_SEQUENCE, key);
}

static bool
is_odd(struct span number)
{
	return number.n > 0 && number.p[number.n - 1] % 2 == 1;
}

/* RFC 8017 3.1: with an exponent of 1 anybody could sign for the domain. */
static bool
are_rsa_numbers(const struct crypto_key *rsa)
{
	return is_odd(rsa->octets) && is_odd(rsa->exponent) &&
	       !span_equal(rsa->exponent, SPAN_LIT("\1"));
}

/* RFC 6376 3.6.1 says RSAPublicKey, and everybody publishes a
 * SubjectPublicKeyInfo, as the RFC's examples do (erratum 3017). */
static bool
read_rsa(struct span der, struct crypto_key *rsa)
{
	struct span key, modulus, exponent;
	bool is_bare;

	if (!der_next(&der, DER_SEQUENCE, &key))
		return false;
	is_bare = key.n > 0 && key.p[0] == DER_INTEGER;
	if (!is_bare && !unwrap_rsa(key, &key))
		return false;
	if (!der_next(&key, DER_INTEGER, &modulus) ||
	    !der_next(&key, DER_INTEGER, &exponent))
		return false;
	rsa->octets = number_of(modulus);
	rsa->exponent = number_of(exponent);
	return are_rsa_numbers(rsa);
}

static bool
read_rsa_key(struct span der, struct dkim_key *key)
{
	if (!read_rsa(der, &key->key))
		return refuse(key, DKIM_PERMERROR, "the key is no RSA key");
	key->bits = bits_of(key->key.octets);
	if (key->bits < DKIM_RSA_BITS_MIN) /* RFC 8301 3.2 */
		return refuse(key, DKIM_POLICY, "an RSA key under 1024 bits");
	if (key->bits > DKIM_RSA_BITS_MAX)
		return refuse(key, DKIM_POLICY, "an RSA key over 8192 bits");
	if (bits_of(key->key.exponent) > RSA_EXPONENT_BITS_MAX)
		return refuse(key, DKIM_POLICY,
			      "an RSA key with a huge exponent");
	return true;
}

/* RFC 8463 4.2: the 32 octets of the key, nothing around them. */
static bool
read_ed25519_key(struct span octets, struct dkim_key *key)
{
	if (octets.n != CRYPTO_ED25519_OCTETS)
		return refuse(key, DKIM_PERMERROR, "the key is no ed25519 key");
	key->bits = ED25519_BITS;
	key->key.octets = octets;
	return true;
}

static bool
read_public_key(struct span p, struct arena *arena, struct dkim_key *key)
{
	uint8_t octets[KEY_OCTETS_MAX];
	struct span decoded;
	size_t n;

	if (!taglist_base64(p, octets, sizeof(octets), &n))
		return refuse(key, DKIM_PERMERROR, "the key is not in base64");
	decoded = arena_copy(arena, span_make(octets, n));
	if (decoded.n < n)
		return refuse(key, DKIM_TEMPERROR, "out of memory");
	return key->key.type == CRYPTO_RSA ? read_rsa_key(decoded, key)
					   : read_ed25519_key(decoded, key);
}

/* Whether a colon-separated list names one of two words; an absent one names
 * everything. */
static bool
names(const struct taglist *tags, struct span tag, struct span one,
      struct span other)
{
	struct span list, part;

	if (!taglist_find(tags, tag, &list))
		return true;
	while (taglist_next(&list, &part))
		if (span_equal_nocase(part, one) ||
		    span_equal_nocase(part, other))
			return true;
	return false;
}

/* RFC 6376 3.6.1: k=; RSA where it is absent. */
static bool
is_of_type(const struct taglist *tags, enum crypto_key_type type)
{
	struct span value;

	if (!taglist_find(tags, SPAN_LIT("k"), &value))
		return type == CRYPTO_RSA;
	return span_equal_nocase(value, type == CRYPTO_RSA
						? SPAN_LIT("rsa")
						: SPAN_LIT("ed25519"));
}

/* RFC 6376 3.6.1, RFC 8463 4.1 */
static const char *
find_fault(const struct taglist *tags, enum crypto_key_type type)
{
	struct span value;

	if (taglist_find(tags, SPAN_LIT("v"), &value) &&
	    !span_equal(value, SPAN_LIT("DKIM1")))
		return "a key record of another version";
	if (!is_of_type(tags, type))
		return "the key is of another type";
	if (!names(tags, SPAN_LIT("h"), SPAN_LIT("sha256"), SPAN_LIT("sha256")))
		return "the key is not for SHA-256";
	if (!names(tags, SPAN_LIT("s"), SPAN_LIT("email"), SPAN_LIT("*")))
		return "the key is not for mail";
	if (!taglist_find(tags, SPAN_LIT("p"), &value))
		return "a key record without a key";
	if (value.n == 0)
		return "the key is revoked";
	return NULL;
}

static bool
is_ascii(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == 0 || s.p[i] > 127)
			return false;
	return true;
}

static bool
read_record(struct span record, struct arena *arena, struct dkim_key *key)
{
	struct taglist tags;
	struct span p, flags;
	const char *fault;

	if (!is_ascii(record) || !taglist_parse(record, &tags))
		return refuse(key, DKIM_PERMERROR, "a malformed key record");
	fault = find_fault(&tags, key->key.type);
	if (fault != NULL)
		return refuse(key, DKIM_PERMERROR, fault);
	taglist_find(&tags, SPAN_LIT("p"), &p);
	if (!read_public_key(p, arena, key))
		return false;
	key->record = record;
	key->is_domain_only =
		taglist_find(&tags, SPAN_LIT("t"), &flags) &&
		names(&tags, SPAN_LIT("t"), SPAN_LIT("s"), SPAN_LIT("s"));
	return true;
}

static bool
is_key_record(struct span record, enum crypto_key_type type)
{
	struct taglist tags;
	struct span p;

	return taglist_parse(record, &tags) && is_of_type(&tags, type) &&
	       taglist_find(&tags, SPAN_LIT("p"), &p);
}

/* RFC 6376 3.6.2.2, 6.1.2: what several records mean is not defined, and they
 * have no order. What is no key record, or is for another type of key, is
 * passed over. If more than one is left, whichever were taken would be a
 * matter of luck: NULL, as if none is. */
static const struct dns_record *
choose(const struct answer *answer, enum crypto_key_type type)
{
	const struct dns_record *chosen = NULL;

	if (answer->records == 1)
		return &answer->record[0];
	for (size_t i = 0; i < answer->records; i++) {
		if (!is_key_record(answer->record[i].value, type))
			continue;
		if (chosen != NULL)
			return NULL;
		chosen = &answer->record[i];
	}
	return chosen;
}

bool
dkim_key_read(const struct answer *answer, enum crypto_key_type type,
	      size_t record_max, struct arena *arena, struct dkim_key *key)
{
	const struct dns_record *record;

	*key = (struct dkim_key){ .key.type = type };
	switch (answer->status) {
	case ANSWER_OK:
		break;
	case ANSWER_NODATA:
	case ANSWER_NXDOMAIN: /* RFC 6376 6.1.2 */
		return refuse(key, DKIM_PERMERROR, "no key");
	case ANSWER_OPEN:
	case ANSWER_TEMPERROR:
		return refuse(key, DKIM_TEMPERROR,
			      "the key could not be looked up");
	}
	record = choose(answer, type);
	if (record == NULL)
		return refuse(key, DKIM_PERMERROR,
			      "several records, and not just one key");
	if (record->value.n > record_max)
		return refuse(key, DKIM_PERMERROR, "a key record too long");
	return read_record(record->value, arena, key);
}
