/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tickets: the keys that session tickets (RFC 5077, RFC 8446 4.6.1) are sealed
 * with. They change with time, and all workers agree on them without a word.
 *
 *   |-- period n --|-- n + 1 --|-- n + 2 --|
 *   key n: seals, opens | opens | gone
 *
 * A key seals new tickets for one period and opens old ones for one more, in
 * which whoever shows such a ticket is given a new one; then it is gone. A
 * session may be resumed for one period, so no ticket outlives its key.
 *
 * The master draws one secret at random when it starts. Each process has a
 * copy, by fork, and turns it by itself as the monotonic clock goes, which all
 * of them share: the secret of a period gives its key and the secret of the
 * next period by HMAC-SHA256, and is then overwritten. So nobody can find the
 * key of a period that is over, not even from all of a process's memory. That
 * is why it is not one secret and a counter. Nor is it a shared mapping: a
 * worker could change the keys of all others there.
 *
 * All of it lives in one page, which is left out of core dumps and, where the
 * limit for locked memory allows, out of swap. It is never written to a file:
 * a gate that is started again resumes nothing of before. A reload keeps it.
 */
#ifndef PROXY_TICKETS_H
#define PROXY_TICKETS_H

#include <stdbool.h>
#include <stdint.h>

#define TICKETS_PERIOD_S 7200

#define TICKETS_NAME_SIZE 16
#define TICKETS_KEY_SIZE 32

/* Each ticket says in clear by which key it was sealed. */
struct ticket_key {
	uint8_t name[TICKETS_NAME_SIZE];
	uint8_t cipher[TICKETS_KEY_SIZE]; /* AES-256-CBC */
	uint8_t mac[TICKETS_KEY_SIZE];    /* HMAC-SHA256 */
};

struct tickets;

/* From a new secret, for this clock; one owner. NULL without memory, or
 * without random octets. */
struct tickets *tickets_new(uint64_t (*clock_us)(void));

/* One owner more; each of them drops it. */
struct tickets *tickets_share(struct tickets *tickets);
void tickets_drop(struct tickets *tickets);

/* Keep it out of dumps and swap: again in each process, since a fork does not
 * inherit the latter. */
void tickets_guard(struct tickets *tickets);

/* Let go of what is over. Called now and then, so that it is gone even while
 * nobody asks; the two below do so themselves. */
void tickets_turn(struct tickets *tickets);

/* What new tickets are sealed with now; NULL if there is nothing. Until the
 * next call. */
const struct ticket_key *tickets_sealing(struct tickets *tickets);

/* The key of that name, and whether it seals no more; NULL if there is none,
 * or none any more. Until the next call. */
const struct ticket_key *tickets_opening(struct tickets *tickets,
					 const uint8_t *name, bool *is_former);

/* Overwrite all of it, in a process that serves nobody. */
void tickets_forget(struct tickets *tickets);

#endif
