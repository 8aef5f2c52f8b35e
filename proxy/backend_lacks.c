/* SPDX-License-Identifier: BSD-2-Clause */
/* What an envelope uses and a backend does not offer. */
#include "proxy/backend.h"

static unsigned
used_by(const struct envelope *envelope, size_t i)
{
	const struct recipient *recipient = &envelope->recipients[i];

	return recipient->state == RECIPIENT_REFUSED ? 0
						     : recipient->extensions;
}

static bool
lacks(const struct backend *backend, unsigned used)
{
	return backend_is_alive(backend) && backend->greeting == STEP_OK &&
	       (used & ~backend->ehlo.extensions) != 0;
}

bool
backend_lacks(const struct backend *backend, const struct envelope *envelope)
{
	unsigned used = envelope->extensions;

	for (size_t i = 0; i < envelope->count; i++)
		used |= used_by(envelope, i);
	return lacks(backend, used);
}

bool
backend_lacks_one(const struct backend *backend,
		  const struct envelope *envelope)
{
	unsigned used = envelope->extensions;

	if (envelope->count > 0)
		used |= used_by(envelope, envelope->count - 1);
	return lacks(backend, used);
}

bool
backend_lacks_binary(const struct backend *backend,
		     const struct envelope *envelope)
{
	return backend->failure == EVENT_BACKEND_CHANGED &&
	       backend->greeting == STEP_OK &&
	       (envelope->extensions & ~backend->ehlo.extensions &
		EXTENSION_BIT(EXTENSION_BINARYMIME)) != 0;
}
