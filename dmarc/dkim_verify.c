/* SPDX-License-Identifier: BSD-2-Clause */
#include "dmarc/dkim_verify.h"

#include "dmarc/taglist.h"

/*
 * To look through all fields for each name of h= costs 60 ms where both are as
 * many, and as much alike, as they can be.
 */
struct dkim_order {
	const struct message *message;
	size_t count;
	uint16_t *field; /* by name, then from the top */
	uint16_t *taken; /* by this signature, of the name that ends there */
};

/* An order of names in which those that differ in case only are equal. */
static int
compare(struct span a, struct span b)
{
	int difference = 0;

	if (a.n != b.n)
		return a.n < b.n ? -1 : 1;
	for (size_t i = 0; i < a.n && difference == 0; i++)
		difference = octet_lower(a.p[i]) - octet_lower(b.p[i]);
	return difference;
}

static struct span
name_at(const struct dkim_order *order, size_t at)
{
	return message_field(order->message, order->field[at]).name;
}

/* Behind the fields of that name. */
static size_t
find_end(const struct dkim_order *order, struct span name)
{
	size_t low = 0, high = order->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (compare(name_at(order, middle), name) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void
add(struct dkim_order *order, size_t i)
{
	struct span name = message_field(order->message, i).name;
	size_t at;
	uint16_t *place;

	if (name.n == 0) /* no field */
		return;
	at = find_end(order, name);
	place = &order->field[at];
	memmove(place + 1, place, (order->count - at) * sizeof(*place));
	*place = (uint16_t)i;
	order->count++;
}

struct dkim_order *
dkim_order_new(const struct message *message, struct arena *arena)
{
	struct dkim_order *order = arena_alloc(arena, sizeof(*order));
	size_t octets = (message->fields + 1) * sizeof(*order->field);

	if (order == NULL)
		return NULL;
	order->message = message;
	order->field = arena_alloc(arena, octets);
	order->taken = arena_alloc(arena, octets);
	if (order->taken == NULL)
		return NULL;
	for (size_t i = 0; i < message->fields; i++)
		add(order, i);
	return order;
}

/* The last field of that name that was not taken yet, and is not `own`;
 * message->fields if there is none. */
static size_t
take(struct dkim_order *order, struct span name, size_t own)
{
	size_t end = find_end(order, name), at;
	uint16_t *taken;

	if (end == 0)
		return order->message->fields;
	taken = &order->taken[end - 1];
	while (*taken < end) {
		at = end - 1 - *taken;
		if (compare(name_at(order, at), name) != 0)
			break;
		++*taken;
		if (order->field[at] != own)
			return order->field[at];
	}
	return order->message->fields;
}

bool
dkim_verify_hash(struct crypto *crypto, struct dkim_order *order, size_t own,
		 const struct dkim_candidate *candidate,
		 uint8_t digest[CRYPTO_DIGEST_OCTETS])
{
	struct crypto_hash *hash = crypto_hash_begin(crypto);
	const struct message *message = order->message;
	struct span names = candidate->names, name;

	if (hash == NULL)
		return false;
	memset(order->taken, 0, order->count * sizeof(*order->taken));
	while (taglist_next(&names, &name)) {
		/* The signer put itself there afterwards. */
		size_t i = take(order, name, own);

		if (i < message->fields)
			canon_field(hash, message_field(message, i).raw,
				    candidate->is_header_relaxed);
	}
	canon_signature(hash, message_field(message, own).raw,
			candidate->is_header_relaxed);
	crypto_hash_end(crypto, hash, digest);
	return true;
}
