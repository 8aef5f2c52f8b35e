/* SPDX-License-Identifier: BSD-2-Clause */
#include "dmarc/dkim_verify.h"

#include "dmarc/taglist.h"

/* The last field of that name that was not taken yet; message->fields if
 * there is none. */
static size_t
find_last(const struct message *message, struct span name, const bool *is_taken)
{
	for (size_t i = message->fields; i > 0; i--)
		if (!is_taken[i - 1] &&
		    message->entries[i - 1].name_length == name.n &&
		    span_equal_nocase(message_field(message, i - 1).name, name))
			return i - 1;
	return message->fields;
}

bool
dkim_verify_hash(struct crypto *crypto, const struct message *message,
		 size_t own, const struct dkim_candidate *candidate,
		 uint8_t digest[CRYPTO_DIGEST_OCTETS])
{
	struct crypto_hash *hash = crypto_hash_begin(crypto);
	bool is_taken[MESSAGE_FIELDS_MAX] = { false };
	struct span names = candidate->names, name;

	if (hash == NULL)
		return false;
	is_taken[own] = true; /* the signer put it there afterwards */
	while (taglist_next(&names, &name)) {
		size_t i = name.n == 0 ? message->fields
				       : find_last(message, name, is_taken);

		if (i == message->fields)
			continue;
		is_taken[i] = true;
		canon_field(hash, message_field(message, i).raw,
			    candidate->is_header_relaxed);
	}
	canon_signature(hash, message_field(message, own).raw,
			candidate->is_header_relaxed);
	crypto_hash_end(crypto, hash, digest);
	return true;
}
