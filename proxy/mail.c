/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/mail.h"

#include <assert.h>

/* What one mail's arena may hand out: answers, addresses, results. */
#define ARENA_MAX (4u * 1024 * 1024)

#define ID_MAX 48

/* Our fields on top: Authentication-Results with 32 signatures, the original
 * recipients, marks. */
#define OWN_FIELDS_MAX (64u * 1024)

/* The field that keeps the original recipients of a diverted message is
 * capped: a hostile sender chooses them. */
#define ORIGINAL_RECIPIENTS_MAX 8192

void
mail_init(struct mail *mail, const struct session_host *host)
{
	const struct conf *conf = host->conf;

	*mail = (struct mail){ .host = host };
	arena_init(&mail->arena, ARENA_MAX);
	second_init(&mail->second);
	buf_init(&mail->id, ID_MAX);
	message_init(&mail->message, conf->header_size_max);
	if (conf->fields_max > 0)
		mail->message.fields_max = conf->fields_max;
	body_init(&mail->body, conf->body_memory);
	buf_init(&mail->head, conf->header_size_max + OWN_FIELDS_MAX);
	buf_init(&mail->line, SPOOL_LINE_MAX);
}

void
mail_fini(struct mail *mail)
{
	dkim_check_free(mail->dkim);
	mail->dkim = NULL;
	second_fini(&mail->second);
	arena_fini(&mail->arena);
	buf_fini(&mail->id);
	message_fini(&mail->message);
	body_fini(&mail->body);
	buf_fini(&mail->head);
	buf_fini(&mail->line);
}

void
mail_end(struct mail *mail)
{
	dkim_check_free(mail->dkim);
	mail->dkim = NULL;
	second_reset(&mail->second);
	arena_reset(&mail->arena);
	message_reset(&mail->message);
	body_reset(&mail->body);
	buf_reset(&mail->head);
	mail->envelope = (struct envelope){ 0 };
	mail->answers = (struct answers){ 0 };
	mail->recipient_cap = 0;
	mail->route = NULL;
	mail->is_open = false;
	mail->is_judged = false;
	mail->refusal = MAIL_NOT_REFUSED;
	mail->stripped = NULL;
	mail->stripped_count = 0;
	mail->dns_since_us = 0;
}

static uint64_t
now_us(const struct mail *mail)
{
	return mail->host->monotonic_us(mail->host->clock);
}

/* "local@domain" as written, in the arena. */
static struct span
keep_address(struct mail *mail, const struct path *path)
{
	ROOM(room, ADDRESS_PATH_MAX + 3);
	struct span kept;
	struct buf text;

	if (path->is_null)
		return SPAN_NONE;
	buf_init_room(&text, ADDRESS_PATH_MAX + 2, room, sizeof(room));
	path_format(path, &text);
	kept = buf_span(&text);
	if (kept.n >= 2)
		kept = span_make(kept.p + 1, kept.n - 2);
	kept = arena_copy(&mail->arena, kept);
	buf_fini(&text);
	return kept;
}

/* The command written anew, in the arena; empty without memory. */
static struct span
keep_line(struct mail *mail, const struct command *command)
{
	ROOM(room, COMMAND_LINE_MAX);
	struct span kept = SPAN_NONE;
	struct buf line;

	buf_init_room(&line, 2 * COMMAND_LINE_MAX, room, sizeof(room));
	if (command_format(command, &line))
		kept = arena_copy(&mail->arena, buf_span(&line));
	buf_fini(&line);
	return kept;
}

static unsigned
used_by(const struct command *command, const struct parameter *parameter)
{
	bool is_rcpt = command->verb == VERB_RCPT;
	unsigned used = 0;

	if (span_equal_nocase(parameter->keyword, SPAN_LIT("BODY")))
		return extension_of_body(parameter->value);
	for (unsigned e = 0; e < EXTENSION_COUNT; e++)
		if (extension_has_parameter(EXTENSION_BIT(e), is_rcpt,
					    parameter->keyword))
			used |= EXTENSION_BIT(e);
	return used;
}

/* Bits of the extensions whose parameters a command uses. */
static unsigned
used_extensions(const struct command *command, unsigned offered)
{
	unsigned used = 0;

	for (size_t i = 0; i < command->parameters; i++)
		used |= used_by(command, &command->parameter[i]);
	return used & offered;
}

static uint64_t
wall_s(const struct mail *mail)
{
	return mail->host->wall_us(mail->host->clock) / 1000000;
}

bool
mail_begin(struct mail *mail, const struct command *command, unsigned offered,
	   const struct ip *client, struct span helo, bool is_authenticated,
	   struct span session_id)
{
	assert(!mail->is_open);
	mail->generation++;
	mail->started_us = now_us(mail);
	mail->dns_us = mail->eval_us = mail->delivery_us = 0;
	buf_reset(&mail->id);
	buf_append(&mail->id, session_id);
	buf_printf(&mail->id, ".%u", mail->generation);
	answers_init(&mail->answers, &mail->arena,
		     mail->host->conf->dns_questions_max);
	mail->sender = keep_address(mail, &command->path);
	mail->envelope.sender_line = keep_line(mail, command);
	mail->envelope.extensions = used_extensions(command, offered);
	mail->stage = EVAL_ENVELOPE;
	mail->facts = (struct eval_facts){
		.settings = mail->host->rules,
		.spf = {
			.client = *client,
			.helo = arena_copy(&mail->arena, helo),
			.local = arena_copy(&mail->arena, command->path.local),
			.domain = arena_copy(&mail->arena,
					     command->path.domain),
			.is_null = command->path.is_null,
			.gate = mail->host->conf->hostname,
			.now_s = wall_s(mail),
			.engine = mail->host->conf->spf_engine,
		},
		.is_authenticated = is_authenticated,
		.percentile = policy_percentile(buf_span(&mail->id)),
	};
	mail->is_open = true;
	return !mail->arena.has_overflowed && !mail->id.has_overflowed;
}

static bool
grow_recipients(struct mail *mail)
{
	size_t cap = mail->recipient_cap == 0 ? 4 : mail->recipient_cap * 2;
	struct recipient *grown =
		arena_alloc(&mail->arena, cap * sizeof(*grown));

	if (grown == NULL)
		return false;
	if (mail->envelope.count > 0)
		memcpy(grown, mail->envelope.recipients,
		       mail->envelope.count * sizeof(*grown));
	mail->envelope.recipients = grown;
	mail->recipient_cap = cap;
	return true;
}

size_t
mail_add_recipient(struct mail *mail, const struct command *command,
		   unsigned offered)
{
	struct recipient *recipient;

	if (mail->envelope.count == mail->recipient_cap &&
	    !grow_recipients(mail))
		return SIZE_MAX;
	recipient = &mail->envelope.recipients[mail->envelope.count];
	*recipient = (struct recipient){
		.line = keep_line(mail, command),
		.address = keep_address(mail, &command->path),
		.extensions = used_extensions(command, offered),
		.state = RECIPIENT_NEW,
	};
	if (recipient->line.n == 0)
		return SIZE_MAX;
	return mail->envelope.count++;
}

static struct span
divert_line(struct mail *mail, struct span address, bool has_dsn)
{
	ROOM(room, COMMAND_LINE_MAX + 1);
	struct span kept;
	struct buf line;

	buf_init_room(&line, COMMAND_LINE_MAX, room, sizeof(room));
	buf_append(&line, SPAN_LIT("RCPT TO:<"));
	buf_append(&line, address);
	buf_append(&line, SPAN_LIT(">"));
	if (has_dsn)
		buf_append(&line, SPAN_LIT(" NOTIFY=NEVER"));
	buf_append(&line, SPAN_LIT("\r\n"));
	kept = line.has_overflowed ? SPAN_NONE
				   : arena_copy(&mail->arena, buf_span(&line));
	buf_fini(&line);
	return kept;
}

/* The sender, with what its message needs; not what it asked of its own way
 * (SIZE, RET, ENVID), which the other backend may not know. */
static bool
divert_sender(struct mail *mail, struct envelope *envelope)
{
	static const unsigned needed = EXTENSION_BIT(EXTENSION_8BITMIME) |
				       EXTENSION_BIT(EXTENSION_REQUIRETLS) |
				       EXTENSION_BIT(EXTENSION_BINARYMIME) |
				       EXTENSION_BIT(EXTENSION_CHUNKING) |
				       EXTENSION_BIT(EXTENSION_SMTPUTF8);
	struct span line = mail->envelope.sender_line;
	struct command command;
	size_t kept = 0;

	if (command_parse(span_first(line, line.n - 2), &command) != COMMAND_OK)
		return false;
	for (size_t i = 0; i < command.parameters; i++)
		if (extension_has_parameter(needed, false,
					    command.parameter[i].keyword))
			command.parameter[kept++] = command.parameter[i];
	command.parameters = kept;
	envelope->sender_line = keep_line(mail, &command);
	envelope->extensions = used_extensions(&command, needed);
	return envelope->sender_line.n > 0;
}

static bool
divert_recipient(struct mail *mail, struct span address, bool has_dsn,
		 struct envelope *envelope)
{
	struct recipient *recipient = &envelope->recipients[envelope->count];

	*recipient = (struct recipient){
		.line = divert_line(mail, address, has_dsn),
		.address = address,
		.state = RECIPIENT_NEW,
	};
	envelope->count++;
	return recipient->line.n > 0;
}

bool
mail_divert_envelope(struct mail *mail, struct span recipient, bool has_dsn,
		     struct envelope *envelope)
{
	const struct envelope *original = &mail->envelope;
	size_t count = recipient.n > 0 ? 1 : original->accepted;

	*envelope = (struct envelope){
		.recipients = arena_alloc(&mail->arena,
					  count * sizeof(struct recipient)),
	};
	if (envelope->recipients == NULL || !divert_sender(mail, envelope))
		return false;
	if (has_dsn)
		envelope->extensions |= EXTENSION_BIT(EXTENSION_DSN);
	if (recipient.n > 0)
		return divert_recipient(mail, recipient, has_dsn, envelope);
	for (size_t i = 0; i < original->count; i++)
		if (original->recipients[i].state == RECIPIENT_ACCEPTED &&
		    !divert_recipient(mail, original->recipients[i].address,
				      has_dsn, envelope))
			return false;
	return true;
}

static void
begin(struct mail *mail)
{
	mail->decision = (struct decision){
		.is_enforced = mail->route->mode == MODE_ENFORCE,
	};
	mail->line_octets = 0;
	message_reset(&mail->message);
	body_reset(&mail->body);
}

void
mail_begin_data(struct mail *mail)
{
	begin(mail);
	data_decoder_init(&mail->decoder, mail->host->conf->is_normalising);
}

void
mail_begin_chunks(struct mail *mail, bool is_binary)
{
	begin(mail);
	data_decoder_init_chunks(&mail->decoder,
				 mail->host->conf->is_normalising, is_binary);
}

static void
refuse(struct mail *mail, enum mail_refusal refusal)
{
	if (mail->refusal == MAIL_NOT_REFUSED)
		mail->refusal = refusal;
}

/* RFC 5321 6.3 */
static bool
goes_in_circles(const struct mail *mail)
{
	unsigned hops_max = mail->host->conf->hops_max, hops = 0;
	size_t fields = mail->message.fields;
	size_t at = 0;

	if (hops_max == 0)
		return false;
	while (hops <= hops_max &&
	       (at = message_find(&mail->message, SPAN_LIT("Received"), at)) <
		       fields) {
		hops++;
		at++;
	}
	return hops > hops_max;
}

/* ARC is judged where somebody's word would be taken. False without memory. */
static bool
begin_chain(struct mail *mail)
{
	if (mail->host->rules->arc_sealer_count == 0)
		return true;
	mail->facts.arc = arc_check_new(dkim_engine_crypto(mail->host->dkim),
					&mail->arena, wall_s(mail));
	if (mail->facts.arc == NULL)
		return false;
	arc_check_header(mail->facts.arc, &mail->message,
			 dkim_check_bodies(mail->dkim));
	return true;
}

/* The header is complete: key, policy and name questions can go out. */
static void
end_header(struct mail *mail)
{
	mail->stage = EVAL_HEADER;
	mail->facts.message = &mail->message;
	if (goes_in_circles(mail)) {
		refuse(mail, MAIL_TOO_MANY_HOPS);
		return;
	}
	if (mail->facts.is_authenticated)
		return;
	authors_read(&mail->message, &mail->arena, &mail->facts.authors);
	mail->dkim =
		dkim_check_new(mail->host->dkim, &mail->arena, wall_s(mail));
	mail->facts.dkim = mail->dkim;
	if (mail->dkim == NULL ||
	    !dkim_check_header(mail->dkim, &mail->message) ||
	    !begin_chain(mail))
		mail->refusal = MAIL_NO_ROOM;
	else if (mail->host->second != NULL)
		second_header(&mail->second, mail->host->second, &mail->message,
			      wall_s(mail));
}

/* RFC 5321 4.5.3.1.6. A line may be cut by the end of a chunk. */
static bool
has_long_line(struct mail *mail, struct span chunk)
{
	uint64_t line_max =
		mail->decoder.is_binary ? 0 : mail->host->conf->line_max;

	while (line_max > 0 && chunk.n > 0) {
		size_t n = span_find(chunk, '\n');
		bool is_end = n < chunk.n;

		mail->line_octets += is_end ? n + 1 : n;
		if (mail->line_octets > line_max)
			return true;
		if (is_end)
			mail->line_octets = 0;
		chunk = span_after(chunk, is_end ? n + 1 : n);
	}
	return false;
}

static void
take_chunk(struct mail *mail, struct span chunk)
{
	struct span body;

	if (mail->decoder.octets > mail->host->conf->message_size_max)
		refuse(mail, MAIL_TOO_LARGE);
	if (mail->decoder.faults != 0 && !mail->decoder.is_normalising)
		refuse(mail, MAIL_LINE_ENDINGS);
	if (has_long_line(mail, chunk))
		refuse(mail, MAIL_LINE_TOO_LONG);
	if (mail->refusal != MAIL_NOT_REFUSED)
		return;
	message_feed(&mail->message, chunk, &body);
	if (mail->message.state == MESSAGE_TOO_LARGE) {
		refuse(mail, mail_refusal_of_header(&mail->message));
		return;
	}
	if (mail->stage == EVAL_ENVELOPE && mail->message.state == MESSAGE_BODY)
		end_header(mail);
	if (body.n == 0)
		return;
	if (mail->dkim != NULL)
		dkim_check_body(mail->dkim, body);
	second_body(&mail->second, body);
	if (!body_append(&mail->body, body))
		refuse(mail, MAIL_NO_ROOM);
}

static void
end_data(struct mail *mail)
{
	if (mail->decoder.faults != 0 && !mail->decoder.is_normalising)
		refuse(mail, MAIL_LINE_ENDINGS);
	if (mail->refusal == MAIL_NOT_REFUSED) {
		message_end(&mail->message);
		if (mail->message.state == MESSAGE_TOO_LARGE)
			refuse(mail, mail_refusal_of_header(&mail->message));
		else if (mail->stage == EVAL_ENVELOPE)
			end_header(mail);
	}
	mail->stage = EVAL_END;
	mail->ended_us = now_us(mail);
	mail->ended_wall_us = mail->host->wall_us(mail->host->clock);
}

enum mail_intake
mail_take(struct mail *mail, struct span *in)
{
	uint64_t limit = 2 * mail->host->conf->message_size_max;

	while (!body_is_full(&mail->body)) {
		struct span chunk;

		switch (data_decode(&mail->decoder, in, &chunk)) {
		case DATA_MORE:
			return MAIL_MORE;
		case DATA_END:
			end_data(mail);
			return MAIL_ENDED;
		case DATA_CHUNK:
			take_chunk(mail, chunk);
			if (mail->decoder.octets > limit)
				return MAIL_OVERRUN;
			break;
		}
	}
	return MAIL_FULL;
}

void
mail_end_chunks(struct mail *mail)
{
	struct span chunk;

	while (data_decode_last(&mail->decoder, &chunk) == DATA_CHUNK)
		take_chunk(mail, chunk);
	end_data(mail);
}

void
mail_count_dns(struct mail *mail)
{
	if (mail->answers.open > 0 && mail->dns_since_us == 0)
		mail->dns_since_us = now_us(mail);
	if (mail->answers.open == 0 && mail->dns_since_us != 0) {
		mail->dns_us += now_us(mail) - mail->dns_since_us;
		mail->dns_since_us = 0;
	}
}

/* Once the verdict is settled, it stays as it is. True when nobody has
 * anything left to wait for. */
static bool
ask_second(struct mail *mail)
{
	if (mail->host->second == NULL || mail->facts.is_authenticated ||
	    mail->arena.held > ARENA_MAX / 2)
		return true;
	return second_run(&mail->second, &mail->facts.spf, &mail->answers);
}

bool
mail_judge(struct mail *mail)
{
	uint64_t start = now_us(mail);

	if (mail->refusal != MAIL_NOT_REFUSED)
		return mail->stage == EVAL_END;
	mail->facts.stage = mail->stage;
	if (!mail->is_judged)
		mail->is_judged =
			eval_run(&mail->facts, &mail->answers, &mail->verdict);
	mail->eval_us += now_us(mail) - start;
	mail_count_dns(mail);
	if (mail->arena.has_overflowed) {
		refuse(mail, MAIL_NO_ROOM);
		mail->is_judged = false;
		return mail->stage == EVAL_END;
	}
	return mail->is_judged && ask_second(mail);
}

void
mail_give_up(struct mail *mail)
{
	if (mail->is_judged)
		second_give_up(&mail->second);
	answers_give_up(&mail->answers, "eval-timeout");
	mail_count_dns(mail);
}

static bool
is_field(const struct field *field, struct span name)
{
	return span_equal_nocase(field->name, name);
}

/* Whether a received field is left out: it claims to be ours, or it is one of
 * the marks that only we may set. */
static bool
must_strip(const struct mail *mail, const struct field *field,
	   enum conf_action action)
{
	const struct conf *conf = mail->host->conf;

	if (field->name.n == 0)
		return false;
	if (is_field(field, conf->quarantine.header) ||
	    is_field(field, conf->quarantine.original_header))
		return true;
	if (action == ACTION_SUBJECT && is_field(field, SPAN_LIT("Subject")))
		return true;
	return authres_is_forged(field, conf->authserv_ids,
				 conf->authserv_id_count);
}

/* X-DMARC-Quarantine: victim.example; policy=reject; id=… */
static void
append_mark(struct mail *mail, struct buf *head)
{
	const struct verdict *verdict = &mail->verdict;

	buf_append(head, mail->host->conf->quarantine.header);
	buf_append(head, SPAN_LIT(": "));
	if (verdict->authors > 0)
		buf_append(head, verdict->author[verdict->deciding].domain);
	else
		buf_append(head, SPAN_LIT("unknown"));
	buf_printf(head, "; dmarc=%s; policy=%s;\r\n\tid=",
		   dmarc_result_name(verdict->result),
		   disposition_name(verdict->policy_disposition));
	buf_append(head, buf_span(&mail->id));
	buf_append(head, SPAN_LIT("\r\n"));
}

/* One field, one address a line, up to the cap. */
static void
append_original_recipients(struct mail *mail, struct buf *head)
{
	size_t start = head->n;
	size_t shown = 0;

	buf_append(head, mail->host->conf->quarantine.original_header);
	buf_append(head, SPAN_LIT(":"));
	for (size_t i = 0; i < mail->envelope.count; i++) {
		const struct recipient *recipient =
			&mail->envelope.recipients[i];

		if (recipient->state != RECIPIENT_ACCEPTED)
			continue;
		if (head->n - start + recipient->address.n + 32 >
		    ORIGINAL_RECIPIENTS_MAX) {
			buf_printf(head, ",\r\n\t(and %zu more)",
				   mail->envelope.accepted - shown);
			break;
		}
		buf_append(head,
			   shown == 0 ? SPAN_LIT(" <") : SPAN_LIT(",\r\n\t<"));
		buf_append(head, recipient->address);
		buf_append(head, SPAN_LIT(">"));
		shown++;
	}
	buf_append(head, SPAN_LIT("\r\n"));
}

/* The first Subject with our prefix, or a new one. */
static void
append_subject(struct mail *mail, struct buf *head)
{
	size_t at = message_find(&mail->message, SPAN_LIT("Subject"), 0);
	struct span old = SPAN_NONE;

	if (at < mail->message.fields)
		old = message_field(&mail->message, at).body;
	while (old.n > 0 && octet_is_wsp(old.p[0]))
		old = span_after(old, 1);
	buf_append(head, SPAN_LIT("Subject: "));
	buf_append(head, mail->host->conf->quarantine.subject);
	buf_append(head, old);
	buf_append(head, SPAN_LIT("\r\n"));
}

/* The only recipient; empty where there are several: the others' names are
 * nothing for them to see. */
static struct span
only_recipient(const struct mail *mail)
{
	const struct envelope *envelope = &mail->envelope;

	for (size_t i = 0; i < envelope->count; i++)
		if (envelope->accepted == 1 &&
		    envelope->recipients[i].state == RECIPIENT_ACCEPTED)
			return envelope->recipients[i].address;
	return SPAN_NONE;
}

static void
append_trace(struct mail *mail, const struct received *trace, struct buf *head)
{
	struct received received = *trace;

	received.id = buf_span(&mail->id);
	received.recipient = only_recipient(mail);
	received.wall_us = mail->ended_wall_us;
	received_format(&received, head);
}

/* Results above the trace: what stands above the Received of the border was
 * written by the border (RFC 8601 5). */
static void
append_own_fields(struct mail *mail, enum conf_action action,
		  const struct received *trace, struct buf *head)
{
	const struct conf *conf = mail->host->conf;

	if (!mail->facts.is_authenticated)
		authres_format(&mail->verdict, &mail->facts.spf,
			       conf->authserv_ids[0], head);
	if (trace != NULL)
		append_trace(mail, trace, head);
	if (action == ACTION_TAG || action == ACTION_DIVERT)
		append_mark(mail, head);
	if (action == ACTION_DIVERT)
		append_original_recipients(mail, head);
	if (action == ACTION_SUBJECT)
		append_subject(mail, head);
}

bool
mail_compose(struct mail *mail, enum conf_action action,
	     const struct received *trace)
{
	struct span header = buf_span(&mail->message.header);
	size_t end = 0, own;

	assert(mail->is_judged);
	buf_reset(&mail->head);
	mail->stripped_count = 0;
	mail->stripped =
		arena_alloc(&mail->arena, (mail->message.fields + 1) *
						  sizeof(*mail->stripped));
	if (mail->stripped == NULL)
		return false;
	append_own_fields(mail, action, trace, &mail->head);
	own = mail->head.n;
	for (size_t i = 0; i < mail->message.fields; i++) {
		struct field field = message_field(&mail->message, i);
		/* A continuation of nothing would continue our own field. */
		bool is_ours = own > 0 && mail->head.n == own &&
			       octet_is_wsp(field.raw.p[0]);

		/* Behind us it may be read by somebody to whom it is one. */
		if (field.is_malformed)
			message_field_unfolded(&field);
		if (is_ours || must_strip(mail, &field, action))
			mail->stripped[mail->stripped_count++] = field.name;
		else
			buf_append(&mail->head, field.raw);
		end = mail->message.entries[i].end;
	}
	/* The empty line, where there is one. */
	buf_append(&mail->head, span_after(header, end));
	return !mail->head.has_overflowed;
}

static const struct span *
accepted_addresses(const struct mail *mail, struct arena *arena, size_t *count)
{
	const struct envelope *envelope = &mail->envelope;
	struct span *list =
		arena_alloc(arena, (envelope->accepted + 1) * sizeof(*list));

	*count = 0;
	if (list == NULL)
		return NULL;
	for (size_t i = 0; i < envelope->count; i++)
		if (envelope->recipients[i].state == RECIPIENT_ACCEPTED)
			list[(*count)++] = envelope->recipients[i].address;
	return list;
}

void
mail_record(struct mail *mail, struct spool_record *record)
{
	record->time_us = mail->ended_wall_us;
	record->id = buf_span(&mail->id);
	record->helo = mail->facts.spf.helo;
	record->mail_from = mail->sender;
	record->recipients = accepted_addresses(mail, &mail->arena,
						&record->recipient_count);
	record->size = mail->decoder.octets;
	record->verdict = mail->is_judged && !mail->facts.is_authenticated
				  ? &mail->verdict
				  : NULL;
	record->second = mail->host->second == NULL ? NULL : &mail->second;
	record->spf_facts = &mail->facts.spf;
	record->answers = &mail->answers;
	record->is_authenticated = mail->facts.is_authenticated;
	record->route = mail->route == NULL ? SPAN_NONE : mail->route->title;
	record->stripped = mail->stripped;
	record->stripped_count = mail->stripped_count;
	record->dns_us = (uint32_t)mail->dns_us;
	record->eval_us = (uint32_t)mail->eval_us;
	record->backend_us = (uint32_t)mail->delivery_us;
	record->total_us = (uint32_t)(now_us(mail) - mail->started_us);
}

size_t
mail_memory(const struct mail *mail)
{
	return mail->arena.held + mail->second.arena.held +
	       mail->message.header.cap + mail->body.memory.cap +
	       mail->head.cap + mail->line.cap +
	       mail->message.fields_cap * sizeof(struct message_entry);
}
