# SPDX-License-Identifier: BSD-2-Clause
"""Each of these holes, planted into the check of DKIM or of ARC, is found by
a unit test: what has never failed proves little.

A row is a name, the program, what the hole lets through, and the edits, whose
text stands there exactly once. One by hand: pytest tests/planted -k NAME.
"""

import pytest

from hunt import hunt
from mutate import Edit

FOUND = r"^\[  FAILED  \] (\w+)$"

CHAIN, EVAL_ARC = "dmarc/arc.c", "dmarc/eval_arc.c"
SIGNATURE, KEY = "dmarc/dkim_signature.c", "dmarc/dkim_key.c"
CHECK, NATIVE = "dmarc/dkim.c", "dmarc/dkim_native.c"
HASH = "dmarc/dkim_verify.c"

HOLES = {
    # RFC 8617 5.2: what makes a chain fail.
    "arc-seals": ("arc", "no seal is verified", [
        Edit(CHAIN, "\t\tif (!verify_seal(check, i, answers)) {",
             "\t\tif (false) {")]),
    "arc-old-seals": ("arc", "only the newest seal is verified", [
        Edit(CHAIN, "\t\tif (!verify_seal(check, i, answers)) {",
             "\t\tif (i == chain->sets && !verify_seal(check, i, answers)) {"
             )]),
    "arc-message": ("arc", "the newest message signature is not verified", [
        Edit(CHAIN, "\tif (!verify_message(check, chain->sets, answers)) {",
             "\tif (!verify_message(check, chain->sets, answers) && false) {"
             )]),
    "arc-body": ("arc", "the body is not compared", [
        Edit(CHAIN, "\tif (!span_equal(\n\t\t    tags->body_hash,",
             "\tif (false && !span_equal(\n\t\t    tags->body_hash,")]),
    "arc-header": ("arc", "a signature is good if its key is", [
        Edit(CHAIN, "\tcase CRYPTO_BAD_SIGNATURE:\n\t\treturn refuse(",
             "\tcase CRYPTO_BAD_SIGNATURE:\n\t\tsignature->result = DKIM_PASS;"
             "\n\t\treturn true;\n\t\trefuse(")]),
    "arc-cv": ("arc", "cv= says nothing", [
        Edit(CHAIN, "\t\tif (chain->set[i - 1].status != wanted)\n",
             "\t\tif (false)\n")]),
    "arc-cv-fail": ("arc", "a chain that a sealer found broken", [
        Edit(CHAIN,
             "\tif (chain->set[chain->sets - 1].status == ARC_STATUS_FAIL)\n",
             "\tif (false)\n"),
        Edit(CHAIN, "\t\tif (chain->set[i - 1].status != wanted)\n",
             "\t\tif (chain->set[i - 1].status != wanted &&\n"
             "\t\t    chain->set[i - 1].status != ARC_STATUS_FAIL)\n")]),
    "arc-repeated": ("arc", "of two fields of a set the last counts", [
        Edit(CHAIN, "\tif (at->raw.n > 0)\n", "\tif (false)\n")]),
    "arc-seal-lists": ("arc", "a seal may have h=", [
        Edit(SIGNATURE, "\treturn !find(reader, SPAN_LIT(\"h\"), &h) ||\n",
             "\treturn true || find(reader, SPAN_LIT(\"h\"), &h) ||\n")]),
    "arc-seal-in-list": ("arc", "a message signature may cover seals", [
        Edit(SIGNATURE,
             "\t    span_equal_nocase(name, SPAN_LIT(\"ARC-Seal\")))",
             "\t    false)")]),
    "arc-oldest": ("arc", "older message signatures are not verified", [
        Edit(CHAIN, "\twhile (oldest > 1 && verify_message(",
             "\twhile (oldest > 1 && verify_message(check, oldest - 1, answers)"
             " | true && (")]),

    # When a chain overrides a policy: eval_arc.h.
    "arc-anybody-vouches": ("arc", "every sealer is trusted", [
        Edit(EVAL_ARC, "author->is_vouched_for || !is_trusted(run, set)",
             "author->is_vouched_for")]),
    "arc-oldest-vouches": ("arc", "a sealer behind a stranger is trusted", [
        Edit(EVAL_ARC, "\t\tif (author->is_vouched_for || "
             "!is_trusted(run, set))\n\t\t\tbreak;\n",
             "\t\tif (author->is_vouched_for)\n\t\t\tbreak;\n"
             "\t\tif (!is_trusted(run, set))\n\t\t\tcontinue;\n")]),
    "arc-broken-vouches": ("arc", "a failed chain overrides", [
        Edit(EVAL_ARC, "chain == NULL || chain->result != ARC_PASS ||\n"
             "\t    !chain->covers_message", "chain == NULL")]),
    "arc-part-vouches": ("arc", "a chain for other text overrides", [
        Edit(EVAL_ARC, " ||\n\t    !chain->covers_message)", ")")]),
    "arc-surplus-vouches": ("arc", "a second Content-Type on top", [
        Edit(CHAIN, "\t       !dkim_leaves_surplus(tags->names, "
             "check->message);", "\t       true;")]),
    "arc-fail-vouches": ("arc", "dmarc=fail is taken for a pass", [
        Edit(EVAL_ARC, "results->dmarc == 1 && results->is_dmarc_pass &&",
             "results->dmarc == 1 &&")]),
    "arc-other-author": ("arc", "a pass of another author", [
        Edit(EVAL_ARC, "\t\t\t\t       span_equal(results->dmarc_from,\n"
             "\t\t\t\t\t\t  author->domain)",
             "\t\t\t\t       author->domain.n > 0")]),

    # RFC 6376 6.1.1: what a signature must have.
    "dkim-without-from": ("dkim", "h= without From", [
        Edit(SIGNATURE, "\treturn reader->candidate->covers_from ||",
             "\treturn true || reader->candidate->covers_from ||")]),
    "dkim-stranger-s-identity": ("dkim", "i= outside d=", [
        Edit(SIGNATURE, "\treturn domain_is_within(candidate->identity_domain,",
             "\treturn true || domain_is_within(candidate->identity_domain,"
             )]),
    "dkim-expired": ("dkim", "x= in the past", [
        Edit(SIGNATURE, "\tif (has_x && x + DKIM_CLOCK_DRIFT_S <= "
             "reader->now_s)", "\tif (false)")]),
    "dkim-of-the-future": ("dkim", "t= in the future", [
        Edit(SIGNATURE, "\tif (has_t && t > reader->now_s + "
             "DKIM_CLOCK_DRIFT_S)", "\tif (false)")]),
    "dkim-twice": ("dkim", "a tag twice, the first counts", [
        Edit("dmarc/taglist.c", "\tif (taglist_find(list, tag->name, &value))"
             "\n\t\treturn false;\n", "\t(void)value;\n")]),
    "dkim-surplus": ("dkim_surplus", "a second Subject on top", [
        Edit("dmarc/dkim_surplus.c",
             "message_count(message, once[i]) > covered)",
             "message_count(message, once[i]) > covered + 1)")]),

    # RFC 6376 6.1.3: what it says of the message.
    "dkim-body": ("dkim_rfc", "another body", [
        Edit(NATIVE, "\telse if (!span_equal(candidate->body_hash, digest))",
             "\telse if (digest.n == 0)")]),
    "dkim-header": ("dkim_rfc", "another header", [
        Edit(NATIVE, "\tcase CRYPTO_BAD_SIGNATURE:\n"
             "\t\treturn DKIM_RUN_BAD_SIGNATURE;",
             "\tcase CRYPTO_BAD_SIGNATURE:\n\t\treturn DKIM_RUN_PASS;")]),
    "dkim-from-the-top": ("dkim", "of several fields the first is signed", [
        Edit(HASH, "\t\tat = end - 1 - *taken;\n",
             "\t\tat = end - 1;\n"
             "\t\twhile (at > 0 && compare(name_at(order, at - 1), name) == 0)"
             "\n\t\t\tat--;\n\t\tat += *taken;\n"
             "\t\tif (at >= end)\n\t\t\tbreak;\n")]),
    "dkim-unsigned-tail": ("dkim", "l= leaves octets unsigned, unseen", [
        Edit(CHECK, "\tif (length < finding->octets)\n", "\tif (false)\n")]),
    "dkim-trusted-tail": ("dkim", "distrust of l= is not heeded", [
        Edit(CHECK, "\t    check->engine->does_distrust_length)",
             "\t    !check)")]),

    # RFC 6376 6.1.2, RFC 8301 3: what a key must be.
    "dkim-short-key": ("dkim", "an RSA key of 512 bits", [
        Edit(KEY, "\tif (key->bits < DKIM_RSA_BITS_MIN)", "\tif (false)")]),
    "dkim-key-below": ("dkim", "t=s is not heeded", [
        Edit(CHECK, "\tif (key->record.n > 0 && key->is_domain_only &&",
             "\tif (false && key->is_domain_only &&")]),
    "dkim-key-of-the-web": ("dkim", "s= is not heeded", [
        Edit(KEY, "\tif (!names(tags, SPAN_LIT(\"s\"), ",
             "\tif (false && !names(tags, SPAN_LIT(\"s\"), ")]),
    "dkim-two-keys": ("dkim", "of two keys the first counts", [
        Edit(KEY, "\t\tif (chosen != NULL)\n\t\t\treturn NULL;\n",
             "\t\tif (chosen != NULL)\n\t\t\tbreak;\n")]),
    "dkim-everybody-s-key": ("dkim_key", "an exponent of 1", [
        Edit(KEY, " &&\n\t       !span_equal(rsa->exponent, "
             "SPAN_LIT(\"\\1\"));", ";")]),
    "dkim-another-s-key": ("crypto", "a key in the place of another", [
        Edit("dmarc/crypto.c",
             "place->n == n &&\n\t       place->exponent_n == "
             "key->exponent.n &&",
             "\n\t       place->n + place->exponent_n == "
             "n + key->exponent.n &&")]),
}


@pytest.mark.parametrize("name", HOLES)
def test_bug_is_found(name):
    test, lets_through, edits = HOLES[name]
    found = hunt("signature-" + name, "tests/unit/test_dmarc_" + test, edits,
                 FOUND)
    assert found is not None, f"not found: {lets_through}"
    print(f"{name}: {found}")
