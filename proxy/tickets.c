/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/tickets.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define PERIOD_US ((uint64_t)TICKETS_PERIOD_S * 1000000)
#define SECRET_SIZE 32 /* as HMAC-SHA256 gives */

struct tickets {
	uint64_t (*clock_us)(void);
	unsigned owners;
	bool is_usable;
	bool has_former;
	uint64_t until_us; /* sealing becomes former */
	struct ticket_key sealing, former;
	uint8_t secret[SECRET_SIZE]; /* of the next period */
};

/* What the secret gives for one purpose. */
static bool
derive(const uint8_t secret[SECRET_SIZE], const char *purpose, uint8_t *octets,
       size_t n)
{
	uint8_t all[EVP_MAX_MD_SIZE];
	bool is_good = HMAC(EVP_sha256(), secret, SECRET_SIZE,
			    (const uint8_t *)purpose, strlen(purpose), all,
			    NULL) != NULL;

	memcpy(octets, all, n);
	OPENSSL_cleanse(all, sizeof(all));
	return is_good;
}

/* The key of the next period, which begins; and the secret behind it. */
static bool
begin_period(struct tickets *tickets)
{
	struct ticket_key *key = &tickets->sealing;
	uint8_t secret[SECRET_SIZE];
	bool is_good;

	memcpy(secret, tickets->secret, sizeof(secret));
	is_good = derive(secret, "name", key->name, sizeof(key->name)) &&
		  derive(secret, "cipher", key->cipher, sizeof(key->cipher)) &&
		  derive(secret, "mac", key->mac, sizeof(key->mac)) &&
		  derive(secret, "next", tickets->secret, SECRET_SIZE);
	OPENSSL_cleanse(secret, sizeof(secret));
	tickets->until_us += PERIOD_US;
	return is_good;
}

/* Without memory to derive a key there are no tickets: clients do a whole
 * handshake, which asks for more memory. */
void
tickets_turn(struct tickets *tickets)
{
	uint64_t now_us = tickets->clock_us();

	while (tickets->is_usable && now_us >= tickets->until_us) {
		tickets->former = tickets->sealing;
		tickets->has_former = true;
		if (!begin_period(tickets))
			tickets_forget(tickets);
	}
}

void
tickets_guard(struct tickets *tickets)
{
	(void)madvise(tickets, sizeof(*tickets), MADV_DONTDUMP);
	(void)mlock(tickets, sizeof(*tickets));
}

struct tickets *
tickets_new(uint64_t (*clock_us)(void))
{
	struct tickets *tickets =
		mmap(NULL, sizeof(*tickets), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (tickets == MAP_FAILED)
		return NULL;
	tickets_guard(tickets);
	*tickets = (struct tickets){
		.clock_us = clock_us,
		.owners = 1,
		.is_usable = true,
		.until_us = clock_us(),
	};
	if (getrandom(tickets->secret, SECRET_SIZE, 0) == SECRET_SIZE &&
	    begin_period(tickets))
		return tickets;
	tickets_drop(tickets);
	return NULL;
}

struct tickets *
tickets_share(struct tickets *tickets)
{
	tickets->owners++;
	return tickets;
}

void
tickets_drop(struct tickets *tickets)
{
	if (tickets == NULL || --tickets->owners > 0)
		return;
	tickets_forget(tickets);
	munmap(tickets, sizeof(*tickets));
}

const struct ticket_key *
tickets_sealing(struct tickets *tickets)
{
	tickets_turn(tickets);
	return tickets->is_usable ? &tickets->sealing : NULL;
}

static bool
is_named(const struct ticket_key *key, const uint8_t *name)
{
	return memcmp(key->name, name, sizeof(key->name)) == 0;
}

const struct ticket_key *
tickets_opening(struct tickets *tickets, const uint8_t *name, bool *is_former)
{
	tickets_turn(tickets);
	*is_former = false;
	if (!tickets->is_usable)
		return NULL;
	if (is_named(&tickets->sealing, name))
		return &tickets->sealing;
	*is_former = tickets->has_former && is_named(&tickets->former, name);
	return *is_former ? &tickets->former : NULL;
}

void
tickets_forget(struct tickets *tickets)
{
	tickets->is_usable = tickets->has_former = false;
	OPENSSL_cleanse(&tickets->sealing, sizeof(tickets->sealing));
	OPENSSL_cleanse(&tickets->former, sizeof(tickets->former));
	OPENSSL_cleanse(tickets->secret, sizeof(tickets->secret));
}
