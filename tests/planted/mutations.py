# SPDX-License-Identifier: BSD-2-Clause
"""Bugs to be planted into the gate, each of which the simulator must find.

A row is a name, what the bug breaks, and one or more edits: a file, a text
that stands there exactly once, and what is to stand there instead. When the
text has changed, write the bug anew: it is what the row is about.
"""

from dataclasses import dataclass

from mutate import Edit


@dataclass(frozen=True)
class Mutation:
    name: str
    breaks: str
    edits: tuple


def bug(name, breaks, *edits):
    return Mutation(name, breaks, tuple(Edit(*edit) for edit in edits))


BACKEND, BODY, DATA = "proxy/backend.c", "proxy/body.c", "smtp/data.c"
DECISION, DELIVERY = "proxy/decision.c", "proxy/delivery.c"
OUTCOME = "proxy/outcome.c"
DIALOGUE, EVENTS, MAIL = "proxy/dialogue.c", "proxy/events.c", "proxy/mail.c"
COMMANDS, INTAKE = "proxy/commands.c", "proxy/intake.c"
PATIENCE, SERVER = "proxy/patience.c", "smtp/server.c"
SESSION, SECURE = "proxy/session.c", "proxy/secure.c"
REACH, ROUTING = "proxy/reach.c", "proxy/routing.c"
CONF_ROUTE, LIMIT = "proxy/conf_route.c", "proxy/limit.c"
UPSTREAM, AUTH = "proxy/upstream.c", "proxy/auth.c"
GREETING, LACKS = "proxy/greeting.c", "proxy/backend_lacks.c"

MUTATIONS = (
    # Promise 2: nothing is accepted before the backend has.
    bug("yes-before-the-backend", "250 goes out when the message is encoded",
        (DELIVERY,
         "\t\t\tdelivery->step = DELIVERY_FINAL;\n\t\t\treturn;\n",
         "\t\t\tdelivery->step = DELIVERY_FINAL;\n"
         "\t\t\toutcome_own(session, \"relay\", \"early\", 250, \"2.0.0\",\n"
         "\t\t\t\t   SPAN_LIT(\"Queued\"));\n\t\t\treturn;\n")),
    bug("yes-in-mid-content", "a backend's 2xx to half a message is believed",
        (DELIVERY,
         "\t    (is_early && reply_class(reply->code) == 2)) {",
         "\t    false) {")),
    bug("yes-before-the-end-has-left", "what is encoded counts as handed over",
        (DELIVERY, "\tbool is_early = !session->delivery.is_sent;",
         "\tbool is_early = session->delivery.step != DELIVERY_FINAL;")),
    bug("yes-while-the-end-is-leaving", "a yes does not wait for the end",
        (EVENTS, "\t       !delivery_is_deaf(session, side) &&\n", ""),
        (DELIVERY, "\tbool is_early = !session->delivery.is_sent;",
         "\tbool is_early = session->delivery.step != DELIVERY_FINAL ||\n"
         "\t\t\tsession->out[side].n > 0;")),
    bug("no-becomes-yes", "a refusal of the backend is recorded as accepted",
        (OUTCOME,
         "\tbool is_accepted = reply_class(reply->code) == 2;",
         "\tbool is_accepted = reply_class(reply->code) != 5;")),
    bug("second-delivery-behind-the-dot",
        "a diversion whose end is uncertain is tried in another way",
        (DELIVERY,
         "\tif (session->delivery.action == ACTION_DIVERT &&\n"
         "\t    session->delivery.step != DELIVERY_FINAL)\n",
         "\tif (session->delivery.action == ACTION_DIVERT)\n")),

    # The envelope.
    bug("lost-rset", "a refused mail stays with the backend",
        (OUTCOME,
         "\tif (session->phase != PHASE_SPOOLING)\n"
         "\t\tsession_drop_envelope(session);\n",
         "\tif (session->phase != PHASE_SPOOLING)\n"
         "\t\tbackend_forget(&session->backend);\n")),
    bug("lost-rset-by-the-client", "RSET is answered and nothing is reset",
        (COMMANDS,
         "drop_mail(struct session *session)\n{\n"
         "\tsession_drop_envelope(session);\n",
         "drop_mail(struct session *session)\n{\n"
         "\tbackend_forget(&session->backend);\n")),
    bug("replay-without-recipients",
        "after a reconnect refused recipients are forgotten",
        (DELIVERY,
         "\t\telse\n\t\t\tbackend_refused(\n\t\t\t\tleg, &answer->reply,\n"
         "\t\t\t\t\"it refuses a recipient it took before\");\n", ""),
        (BACKEND, " && backend->acked == envelope->accepted;", ";")),
    bug("replay-without-keywords",
        "after a reconnect keywords in use may be gone",
        (LACKS,
         "\t       (used & ~backend->ehlo.extensions) != 0;\n",
         "\t       false && used != 0;\n"),
        (BACKEND,
         "\t\tif ((envelope->extensions & ~backend->ehlo.extensions) != 0) {",
         "\t\tif (false) {")),
    bug("keywords-checked-once",
        "what the envelope gains after the greeting is not checked",
        (BACKEND,
         "\t\tif ((envelope->extensions & ~backend->ehlo.extensions) != 0) {",
         "\t\tif (false) {")),
    bug("envelope-not-rewound", "the next mail's recipients are not sent",
        (BACKEND, "\tbackend->sent = 0;\n\tbackend->acked = 0;\n",
         "\tbackend->acked = 0;\n")),
    bug("impatient-commands", "pipelining without being asked to",
        (BACKEND,
         "\tbackend->client.is_pipelining =\n"
         "\t\t(offered.extensions & EXTENSION_BIT(EXTENSION_PIPELINING)) "
         "!= 0;\n",
         "\tbackend->client.is_pipelining = true;\n")),

    # Promise 1: the octets.
    bug("dots-not-doubled", "a line that starts with a dot loses it",
        (DATA, "\t\t\t++*dots;\n\t\t\tif (to != NULL)\n"
         "\t\t\t\t*to++ = '.';\n", "")),
    bug("bare-lf-ends-a-line", "LF . CR LF ends the data: smuggling",
        (DATA, "\tif (decoder->is_chunked && c == '\\n')\n"
         "\t\tend_line(decoder);\n", "\tif (c == '\\n')\n"
         "\t\tend_line(decoder);\n")),
    bug("stripped-in-silence", "a field is left out and not recorded",
        (MAIL,
         "\t\t\tmail->stripped[mail->stripped_count++] = field.name;",
         "\t\t\tmail->stripped[mail->stripped_count] = field.name;")),
    bug("forged-mark-kept", "a mark that only we may set is let through",
        (MAIL, "\treturn authres_is_forged(field, conf->authserv_ids,\n"
         "\t\t\t\t conf->authserv_id_count);",
         "\treturn false;"),
        (MAIL, "\t\t\tmail->stripped[mail->stripped_count++] = field.name;",
         "\t\t\tmail->stripped[mail->stripped_count] = field.name;")),
    bug("body-read-at-a-wrong-place", "octets behind those on disk are skipped",
        (BODY, "\t\t\t  (size_t)(offset - body->in_file));",
         "\t\t\t  (size_t)(offset - body->in_file) +\n"
         "\t\t\t\t  (body->in_file > 0 && body->memory.n > 1));")),
    bug("disk-full-is-ignored", "a body that could not be written is relayed",
        (EVENTS, "\tif (mail->refusal == MAIL_NOT_REFUSED)\n"
         "\t\tmail->refusal = MAIL_NO_ROOM; /* logged when it is refused */\n",
         "")),
    bug("broken-disk-is-ignored", "a body that cannot be read back is relayed",
        (DELIVERY,
         "\tif (error != 0 || octets.n == 0) {",
         "\tif (error != 0) {\n\t\tdelivery->body_at = session->mail->"
         "body.in_file;\n\t\treturn;\n\t}\n\tif (octets.n == 0) {")),

    # The verdict line.
    bug("line-not-awaited", "the reply leaves before the line is written",
        (OUTCOME,
         "\t\t\t\t     .act = ACT_SPOOL,\n"
         "\t\t\t\t     .octets = buf_span(&session->line) });\n",
         "\t\t\t\t     .act = ACT_SPOOL,\n"
         "\t\t\t\t     .octets = buf_span(&session->line) });\n"
         "\toutcome_spooled(session, 0);\n")),
    bug("two-lines", "a verdict line is written twice",
        (OUTCOME,
         "\tbuf_append(&session->out[SIDE_CLIENT], "
         "buf_span(&session->final));\n",
         "\tif (session->line.n > 0 && session->line.n % 2 == 0) {\n"
         "\t\tbuf_consume(&session->line, 1);\n"
         "\t\tsession_act(session, (struct session_action){\n"
         "\t\t\t.act = ACT_SPOOL,\n"
         "\t\t\t.octets = buf_span(&session->line) });\n"
         "\t\treturn;\n\t}\n"
         "\tbuf_append(&session->out[SIDE_CLIENT], "
         "buf_span(&session->final));\n")),
    bug("line-changes-under-way", "octets lent to the spool are touched",
        (EVENTS, "\tsession->live = SPAN_NONE;\n}",
         "\tsession->live = SPAN_NONE;\n"
         "\tif (session->phase == PHASE_SPOOLING && session->line.n > 9)\n"
         "\t\tsession->line.p[session->line.start + 9] ^= 1;\n}")),
    bug("wrong-action-in-the-line", "a tagged message is recorded as relayed",
        (OUTCOME,
         "\tfinish(session, conf_action_name(session->delivery.action),\n",
         "\tfinish(session, conf_action_name(ACTION_RELAY),\n")),

    # Ends.
    bug("body-not-dropped", "the file of a mail outlives it",
        (SESSION, "\tif (mail->body.in_file > 0 || mail->body.writing > 0)\n",
         "\tif (mail->body.writing > 0)\n")),
    bug("questions-not-forgotten", "answers come for a mail that is over",
        (SESSION, "\tif (is_awaited)\n", "\tif (false && is_awaited)\n")),
    bug("backend-left-open", "the session ends and leaves a connection",
        (SESSION, "\tsession_drop_leg(session, SIDE_BACKEND);\n"
         "\tsession_drop_leg(session, SIDE_DIVERT);\n",
         "\tsession_drop_leg(session, SIDE_DIVERT);\n")),
    bug("double-free", "a second backend's memory is freed twice",
        (SESSION, "\t\tfree(session->divert);\n",
         "\t\tfree(session->divert);\n\t\tfree(session->divert);\n")),
    bug("memory-lost", "what a mail has allocated is not given back",
        (MAIL, "\tarena_fini(&mail->arena);\n\tbuf_fini(&mail->id);\n",
         "\tbuf_fini(&mail->id);\n")),
    bug("unbounded-input", "a client that floods is listened to for ever",
        (SESSION, "\t\t       session->in.n < SESSION_OCTETS_MAX &&\n", ""),
        (SESSION, "#define IN_MAX (8u * SESSION_OCTETS_MAX)",
         "#define IN_MAX (8192u * SESSION_OCTETS_MAX)")),
    bug("no-deadline-in-data", "a client that stops in its data stays",
        (PATIENCE, "\tif (session->phase == PHASE_DATA || "
         "session->phase == PHASE_CHUNK)\n\t\treturn in_data(",
         "\tif (session->phase == PHASE_CLOSING)\n\t\treturn in_data(")),
    bug("no-deadline-in-commands", "a client that says nothing stays",
        (PATIENCE, "\tif (session->phase == PHASE_COMMANDS ||\n",
         "\tif (session->phase == PHASE_CLOSING ||\n")),
    bug("no-reply-at-the-memory-ceiling", "MAIL is not answered there",
        (COMMANDS, "\t\trefuse_sender(session, 452, \"4.3.1\",\n"
         "\t\t\t      \"Too little memory now, try again later\");\n",
         "\t\tserver_sender(&session->server, 452);\n")),
    bug("no-deadline-for-dns", "an answer that never comes is awaited",
        (SESSION, "\tcase PHASE_JUDGING:\n\t\tdeadline =",
         "\tcase PHASE_JUDGING:\n\t\tbreak;\n\t\tdeadline =")),
    bug("no-deadline-for-the-backend", "a silent backend is waited for",
        (BACKEND, "\t\treturn (struct patience){ conf->reply_us_max,",
         "\t\treturn (struct patience){ 0,")),
    bug("waiting-commands-forgotten", "a lost backend's commands have no reply",
        (DIALOGUE, "\t\t     !try_again(session)))\n"
         "\t\t\tfail_outstanding(session);\n",
         "\t\t     !try_again(session)))\n\t\t\treturn;\n")),
    bug("refused-mail-taken-up-again",
        "a refused sender is sent again after a reconnect",
        (DIALOGUE, "\t\tif (is_sender_refused(session) ||\n"
         "\t\t    (!session_reach_next", "\t\tif ((!session_reach_next")),

    # BDAT.
    bug("swallows-too-little", "the end of a refused chunk is a command",
        (INTAKE, "\t\t.left = command->chunk,\n",
         "\t\t.left = command->chunk -\n"
         "\t\t\t(turn->code != 0 && command->chunk > 0),\n")),
    bug("swallows-too-much", "behind a refused chunk a command is lost",
        (INTAKE, "\t\t.left = command->chunk,\n",
         "\t\t.left = command->chunk + (turn->code != 0),\n")),
    bug("last-chunk-accepted", "BDAT LAST is answered as the others are",
        (INTAKE, "\t} else if (!chunk->is_last) {\n",
         "\t} else {\n\t\tif (chunk->is_last)\n"
         "\t\t\tcommands_drop_mail(session);\n"),
        (INTAKE, "\t\tsession_reply(session, 250, \"2.0.0\", text);\n"
         "\t} else {\n"
         "\t\tmail_end_chunks(session->mail);\n"
         "\t\tend_message(session);\n\t\treturn;\n\t}\n",
         "\t\tsession_reply(session, 250, \"2.0.0\", text);\n\t}\n")),
    bug("fault-forgotten-at-a-border", "what was wrong in a chunk is forgiven",
        (INTAKE, "\tsession_enter(session, PHASE_CHUNK);\n",
         "\tif (turn->code == 0)\n"
         "\t\tsession->mail->decoder.faults =\n"
         "\t\t\tsession->mail->refusal = 0;\n"
         "\tsession_enter(session, PHASE_CHUNK);\n")),
    bug("line-end-torn-at-a-border", "CR and LF in two chunks are none",
        (INTAKE, "\tsession_enter(session, PHASE_CHUNK);\n",
         "\tif (turn->code == 0 &&\n"
         "\t    session->mail->decoder.state == DATA_CR)\n"
         "\t\tsession->mail->decoder.state = DATA_LINE;\n"
         "\tsession_enter(session, PHASE_CHUNK);\n")),
    bug("chunk-answered-while-written", "a mail ends while its body is written",
        (INTAKE, "\t    (is_refused || session->mail->body.writing == 0))\n",
         "\t    true)\n")),
    bug("refused-chunk-without-rset", "its mail stays with the backend",
        (DELIVERY, "\tif (side == SIDE_BACKEND && !is_early && "
         "reply->code != 421 &&\n", "\tif (false && !is_early &&\n")),
    bug("binary-anywhere", "a binary mail goes to who takes none",
        (MAIL, "\t\treturn extension_of_body(parameter->value);\n",
         "\t\treturn EXTENSION_BIT(EXTENSION_8BITMIME);\n")),
    bug("chunk-hole", "a refused chunk leaves the mail as it was",
        (COMMANDS, "turn->duty == SERVER_RESET || "
         "turn->duty == SERVER_SWALLOW)\n\t\tcommands_drop_mail",
         "turn->duty == SERVER_RESET)\n\t\tcommands_drop_mail"),
        (SERVER, "\t\tserver->errors += !was_refused;\n"
         "\t\tmail_drop(server);\n",
         "\t\tserver->errors += !was_refused;\n")),

    # Promise 6: the identity.
    bug("xclient-refused-goes-on", "a backend that refused XCLIENT gets mail",
        (BACKEND,
         "on_identified(struct backend *backend, const struct reply *reply)\n"
         "{\n\tif (reply->code != 220)",
         "on_identified(struct backend *backend, const struct reply *reply)\n"
         "{\n\tif (reply->code == 421)")),
    bug("xclient-missing-goes-on", "a backend without XCLIENT gets mail",
        (BACKEND,
         "\tif ((backend->ehlo.xclient & XCLIENT_ADDR) == 0)\n"
         "\t\treturn lose(backend, EVENT_IDENTITY_REFUSED,\n",
         "\tif ((backend->ehlo.xclient & XCLIENT_ADDR) == 0)\n"
         "\t\treturn become_up(backend);\n"
         "\tif (false)\n"
         "\t\treturn lose(backend, EVENT_IDENTITY_REFUSED,\n")),
    bug("proxy-header-refused-goes-on", "no PROXY taken, mail all the same",
        (BACKEND, "\tif (reply->code != 250)\n"
         "\t\treturn lose(backend, EVENT_IDENTITY_REFUSED,\n"
         "\t\t\t    \"it does not take the PROXY header\");\n"
         "\treturn become_up(backend);\n",
         "\treturn become_up(backend);\n")),

    # TLS with the client.
    bug("octets-kept-over-starttls", "what stands behind STARTTLS is kept",
        (COMMANDS, "\tif (duty == SERVER_SECURE) {\n"
         "\t\tsession_log(session, EVENT_CLIENT_PROTOCOL,\n",
         "\tif (false) {\n"
         "\t\tsession_log(session, EVENT_CLIENT_PROTOCOL,\n")),
    bug("greeting-kept-over-starttls", "EHLO in plain counts under TLS",
        (SERVER, "\tserver->is_secured = true;\n\tserver_reset(server);\n",
         "\tserver->is_secured = true;\n\tmail_drop(server);\n")),
    bug("starttls-in-a-mail", "TLS begins behind MAIL",
        (SERVER, "\treturn server->state >= SERVER_MAIL || "
         "server->is_sender_pending\n\t\t       ? &in_mail\n"
         "\t\t       : NULL;\n", "\treturn NULL;\n")),
    bug("starttls-twice", "TLS begins within TLS",
        (SERVER, "\tif (server->is_secured)\n"
         "\t\treturn &secured_already;\n", "")),
    bug("starttls-offered-under-tls", "TLS is offered where it stands",
        (GREETING,
         "session->server.has_tls && !session->server.is_secured)",
         "session->server.has_tls)")),
    bug("mail-in-plain-where-tls-is-required", "nothing asks for STARTTLS",
        (SERVER, "\tif (server->requires_tls && !server->is_secured &&\n"
         "\t    is_for_tls_only(command->verb))\n",
         "\tif (server->requires_tls && !server->is_secured &&\n"
         "\t    command->verb == VERB_VRFY)\n")),
    bug("plain-behind-a-failed-handshake", "a client that fails goes on",
        (EVENTS, "\t\tif (event->reason != NULL)\n"
         "\t\t\tsecure_failed(session, event->reason);\n",
         "\t\tif (event->reason != NULL) {\n"
         "\t\t\tsecure_failed(session, event->reason);\n"
         "\t\t\tsession->has_client_ended = false;\n"
         "\t\t\tsession_enter(session, PHASE_COMMANDS);\n"
         "\t\t\treturn;\n\t\t}\n")),
    bug("no-deadline-in-the-handshake", "a client that hangs in it stays",
        (SESSION, "\tcase PHASE_SECURING:\n\t\tdeadline =",
         "\tcase PHASE_SECURING:\n\t\tbreak;\n\t\tdeadline =")),
    bug("tls-not-in-the-line", "the verdict line knows nothing of TLS",
        (OUTCOME, "\trecord->tls = &session->client_tls;\n", "")),
    bug("certificate-borrowed", "texts of a handshake outlive it",
        (SECURE, "\tsession->client_tls.subject = "
         "keep(session, tls->subject);\n", "")),

    # TLS with backends.
    bug("required-is-opportunistic", "no STARTTLS offered: then in plain",
        (BACKEND, "\treturn backend->conf->tls >= CONF_TLS_REQUIRED && "
         "!backend->is_secured;\n",
         "\treturn backend->conf->tls > CONF_TLS_VERIFY;\n")),
    bug("required-falls-back", "behind a failed handshake: then in plain",
        (REACH, "\t       leg->conf->tls == CONF_TLS_OPPORTUNISTIC;\n",
         "\t       leg->conf->tls != CONF_TLS_OFF;\n")),
    bug("opportunistic-goes-on-there", "in plain, where a handshake has failed",
        (EVENTS, "\t\tsecure_backend_failed(session, event->side, "
         "event->reason);\n",
         "\t\tsecure_backend_failed(session, event->side, event->reason);\n"
         "\tif (leg->state == BACKEND_SECURING && event->reason != NULL &&\n"
         "\t    leg->conf->tls == CONF_TLS_OPPORTUNISTIC) {\n"
         "\t\tsecure_backend_done(session, event->side,\n"
         "\t\t\t\t    &(struct tlsinfo){ 0 });\n"
         "\t\treturn;\n\t}\n")),
    bug("plain-for-ever", "one failed handshake, and TLS is not tried again",
        (BACKEND, "\tbackend_clear(backend);\n"
         "\tbackend->state = BACKEND_CONNECTING;\n",
         "\tbool skips_tls = backend->skips_tls;\n\n"
         "\tbackend_clear(backend);\n"
         "\tbackend->skips_tls = skips_tls;\n"
         "\tbackend->state = BACKEND_CONNECTING;\n")),
    bug("late-handshake-is-a-failed-one",
        "who hangs in a handshake gets the mail in plain",
        (BACKEND, "backend_overdue(struct backend *backend)\n{\n",
         "backend_overdue(struct backend *backend)\n{\n"
         "\tbackend->has_tls_failed = backend->state == BACKEND_SECURING;\n"
         )),
    bug("keywords-kept-over-tls", "what was offered in plain is believed",
        (BACKEND, "\tbackend->has_greeted = reply->code == 250;\n"
         "\tnote_offer(backend, reply);\n",
         "\tbackend->has_greeted = reply->code == 250;\n"
         "\tif (!backend->is_secured)\n"
         "\t\tnote_offer(backend, reply);\n"),
        (BACKEND, "\tbackend->ehlo = (struct ehlo){ 0 };\n"
         "\tbackend->client.is_pipelining = false;\n",
         "\tbackend->client.is_pipelining = false;\n")),
    bug("octets-behind-220", "what stands behind it answers the next EHLO",
        (BACKEND, "\tif (backend_unread(backend).n > 0)\n",
         "\tif (false)\n"),
        (BACKEND, "\t\tforget_answer(backend);\n"
         "\t\tin = unread = backend_unread(backend);\n",
         "\t\tif (backend->state == BACKEND_SECURING)\n"
         "\t\t\treturn NEWS_NONE;\n"
         "\t\tforget_answer(backend);\n"
         "\t\tin = unread = backend_unread(backend);\n")),
    bug("no-deadline-for-its-handshake", "a backend that hangs in it stays",
        (BACKEND, "\tcase BACKEND_STARTTLS:\n\tcase BACKEND_SECURING:\n"
         "\tcase BACKEND_NAMING:\n",
         "\tcase BACKEND_STARTTLS:\n\tcase BACKEND_NAMING:\n"),
        (BACKEND, "\tcase BACKEND_NONE:\n\tcase BACKEND_LOST:\n"
         "\t\tbreak;\n",
         "\tcase BACKEND_NONE:\n\tcase BACKEND_LOST:\n"
         "\tcase BACKEND_SECURING:\n\t\tbreak;\n")),
    bug("another-2xx-for-the-greeting", "a second banner answers our EHLO",
        (BACKEND, "\tif (reply_class(reply->code) < 4 && "
         "reply->code != 250)\n\t\treturn lose(backend, "
         "EVENT_BACKEND_DOWN,\n", "\tif (false)\n"
         "\t\treturn lose(backend, EVENT_BACKEND_DOWN,\n")),
    bug("requiretls-anywhere", "who need not prove its name may keep it safe",
        (BACKEND, "\tif (conf->tls != CONF_TLS_VERIFY)\n",
         "\tif (false)\n")),

    # Routes.
    bug("route-compare-dropped", "one mail goes two ways",
        (COMMANDS, "\tif (mail->route != NULL && mail->envelope.accepted > 0 "
         "&&\n\t    !routing_is_same(route, mail->route)) {\n",
         "\tif (false) {\n")),
    bug("mode-not-compared", "a watched recipient shares an enforced mail",
        (ROUTING, "\treturn a->backend == b->backend && a->mode == b->mode "
         "&&\n", "\treturn a->backend == b->backend &&\n")),
    bug("listener-not-minded", "a route is taken by who came in elsewhere",
        (CONF_ROUTE, "\treturn route->listeners.count == 0 ||\n",
         "\treturn true ||\n")),
    bug("client-not-minded", "a route is taken by any client",
        (CONF_ROUTE, "\t       (route->clients.count == 0 ||\n"
         "\t\thas_client(&route->clients, &arrival->client));\n",
         "\t       true;\n")),
    bug("below-is-the-domain-itself", "a route of subdomains takes the domain",
        (CONF_ROUTE, "\t\treturn domain.n > route->domain.n &&\n",
         "\t\treturn domain.n >= route->domain.n &&\n")),
    bug("backend-of-the-mail-before", "another route, and the old connection",
        (ROUTING, "\tif (backend_is_alive(&session->backend) &&\n"
         "\t    session->backend.index != route->backend)\n"
         "\t\tsession_drop_leg(session, SIDE_BACKEND);\n", "")),

    # Targets, and places at them.
    bug("second-target-not-tried", "one address fails, and nobody is there",
        (REACH, "\tif (!upstream_has_more(upstream_of(session, leg->index),\n"
         "\t\t\t       &session->attempt[side]))\n\t\treturn false;\n",
         "\tif (session->host != NULL)\n\t\treturn false;\n")),
    bug("priority-ignored", "a reserve is used while the first is well",
        (UPSTREAM, "target->priority < choice.priority))\n",
         "target->priority > choice.priority))\n")),
    bug("failed-connect-not-aborted",
        "a connection that failed keeps its place",
        (SESSION, "\tif (leg->target.id == 0)\n",
         "\tif (leg->target.id == 0 ||\n"
         "\t    leg->failure == EVENT_BACKEND_DOWN)\n")),
    bug("places-of-the-dead", "a worker is killed, and its places stay taken",
        (LIMIT, "\tmemset(slice(limit, worker), 0,\n"
         "\t       (limit->mask + 1) * sizeof(struct entry));\n",
         "\tfor (size_t i = 0; i <= limit->mask; i++)\n"
         "\t\tif (slice(limit, worker)[i].what != UINT32_MAX)\n"
         "\t\t\tslice(limit, worker)[i].count = 0;\n")),
    bug("one-place-too-many", "a backend gets one connection more",
        (LIMIT, "\tis_taken = sum(limit, key) < max && add(",
         "\tis_taken = sum(limit, key) <= max && add(")),

    bug("one-client-too-many", "an address gets one connection more",
        (LIMIT, "sum(limit, key_of(ip, i)) >= each[i].max)",
         "sum(limit, key_of(ip, i)) > each[i].max)")),

    # Logins.
    bug("login-survives-a-reconnect", "its mail goes where nobody has logged in",
        (COMMANDS, "\tif (session_is_login_lost(session) && "
         "!session->is_goodbye) {\n", "\tif (false) {\n"),
        (DIALOGUE, "\t\tif (session_is_login_lost(session)) {\n"
         "\t\t\tauth_lost(session);\n\t\t\treturn;\n\t\t}\n", "")),
    bug("login-lost-in-the-data", "a message goes where nobody has logged in",
        (DELIVERY, "\tif (delivery->side == SIDE_BACKEND && "
         "session_is_login_lost(session)) {\n", "\tif (false) {\n"),
        (DELIVERY, "\tif (side == SIDE_BACKEND && "
         "session->server.is_logged_in) {\n", "\tif (false) {\n")),
    bug("login-forgotten", "mail of who has logged in is judged",
        (AUTH, "\tsession->is_authenticated |= "
         "session->server.is_logged_in;\n", "")),
    bug("login-refused-counts", "mail of who has failed to log in is not judged",
        (AUTH, "\tsession->is_authenticated |= "
         "session->server.is_logged_in;\n",
         "\tsession->is_authenticated = true;\n")),
    bug("login-kept-over-xclient", "somebody else has logged in, too",
        (GREETING, "\tsession->is_authenticated = session->login.n > 0;\n",
         "\tsession->is_authenticated |= session->login.n > 0;\n")),
    bug("login-in-plain", "AUTH is offered without TLS",
        (GREETING, "session->server.takes_login && "
         "session->server.is_secured &&\n", "session->server.takes_login &&\n")),
    bug("response-unread", "a command is passed on as a response",
        (AUTH, "\t\tif (login_is_response(line))\n",
         "\t\tif (line.n < LOGIN_LINE_MAX)\n")),

    # What is decided, when nothing goes wrong.
    bug("reject-forgotten", "what should be refused is relayed",
        (DECISION, "\t\treturn route->on_reject;\n",
         "\t\treturn ACTION_RELAY;\n")),
    bug("temperror-not-deferred", "DNS trouble counts as consent",
        (DECISION, "\tbool does_defer = conf->does_defer && "
         "verdict->may_defer;\n", "\tbool does_defer = false;\n")),
    bug("size-not-minded", "a message over the limit is taken",
        (MAIL, "\t\trefuse(mail, MAIL_TOO_LARGE);\n", "\t\t;\n")),
    bug("dsn-for-helo", "a HELO client's mail can never be diverted",
        (DELIVERY, "\thas_dsn = session->server.is_extended &&\n"
         "\t\t  (ehlo", "\thas_dsn = (ehlo")),
)
