# SPDX-License-Identifier: BSD-2-Clause
#
# What two parsers of Perl make of From fields, in bulk: Mail::Address, and
# Email::Address::XS, which is Dovecot's (and so that of an IMAP ENVELOPE).
#
# Standard input: for each field its body in hex, a line each. Output: for each
# a line, "SPACE-SEPARATED ADDRESSES IN HEX<TAB>THE SAME OF THE OTHER".

use strict;
use warnings;
use Email::Address::XS;
use Mail::Address;

sub hex_of { return join " ", map { unpack "H*", $_ } grep { defined && length } @_ }

# A field that a parser cannot bear shows nothing.
sub quietly
{
	my ($parse) = @_;
	local $SIG{__WARN__} = sub { };
	my @found = eval { $parse->() };
	return hex_of(@found);
}

while (my $line = <STDIN>) {
	chomp $line;
	my $body = pack "H*", $line;
	print quietly(sub { map { $_->address } Mail::Address->parse($body) }),
	    "\t",
	    quietly(sub { map { $_->address } Email::Address::XS->parse($body) }),
	    "\n";
}
