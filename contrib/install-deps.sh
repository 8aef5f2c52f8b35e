#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Install the Debian packages that dmarcgate is built, tested and linted with.
#
#   contrib/install-deps.sh [--list] [build | test | lint | all]...
#
# With everything there it says so in one line and does not call apt. If not,
# it shows what is missing and what apt would do, and does that as root or
# through sudo. It refuses to go on if apt would remove anything, or install
# a mail server: this machine may already run one.
#
# Lists of packages are split into words where they are used:
# shellcheck disable=SC2086

set -eu
export LC_ALL=C

BUILD="gcc make pkg-config libssl-dev libc-ares-dev libpsl-dev
	libopendkim-dev libspf2-dev liburing-dev libconfuse-dev libidn2-dev
	libseccomp-dev zlib1g-dev publicsuffix"
TEST="libcmocka-dev python3 python3-pytest python3-dkim python3-dnspython
	python3-nacl python3-yaml python3-gi gir1.2-gmime-3.0 libmailtools-perl
	libemail-address-xs-perl swaks libnet-ssleay-perl curl openssl mandoc
	iproute2 nftables procps strace valgrind"
LINT="clang clang-format clang-tidy cppcheck libclang-rt-14-dev"
# Haraka is fetched with npm. Whoever has one may have it from elsewhere, and
# Debian's would not go along with that.
command -v npm >/dev/null || TEST="$TEST nodejs npm"

LISTS=${APT_LISTS:-/var/lib/apt/lists}
usage="usage: contrib/install-deps.sh [--list] [build | test | lint | all]..."

die()
{
	echo "install-deps: $*" >&2
	exit 1
}

# The packages named that dpkg does not have installed.
missing()
{
	for package; do
		case $(dpkg-query -W -f '${db:Status-Status}' "$package" \
			2>/dev/null) in
		installed) ;;
		*) echo "$package" ;;
		esac
	done
}

# Lists from the last two days will do (every update touches partial/); a
# fresh container has none at all.
lists_are_usable()
{
	ls "$LISTS"/*_Packages* >/dev/null 2>&1 &&
		[ -n "$(find "$LISTS/partial" -maxdepth 0 -mtime -2)" ]
}

has_updated=no
update()
{
	has_updated=yes
	echo "install-deps: apt-get update"
	# One broken third-party source must not stop us: what is needed is
	# looked for afterwards.
	if ! said=$($as_root apt-get -q --error-on=any update 2>&1); then
		echo "$said" | grep '^[EW]:' | sed 's/^/    /' >&2
		echo "install-deps: package lists could not all be fetched" \
			"(is there a network?); going on with what is there" >&2
	fi
}

refuse_what_breaks_mail()
{
	removals=$(echo "$plan" | awk '$1 == "Remv" || $1 == "Purg" { print $2 }')
	[ -z "$removals" ] ||
		die "apt would remove packages, so nothing was done:" $removals

	additions=$(echo "$plan" | awk '$1 == "Inst" { print $2 }')
	[ -n "$additions" ] || die "apt has no plan for:" $absent
	shown=$(apt-cache --no-all-versions show $additions)
	[ "$(echo "$shown" | grep -c '^Package:')" -ge \
		"$(echo $additions | wc -w)" ] ||
		die "apt-cache does not know all of:" $additions
	mailers=$(echo "$shown" | awk '
		$1 == "Package:" { package = $2 }
		$1 == "Provides:" && /mail-transport-agent/ { print package }')
	[ -z "$mailers" ] ||
		die "apt would install a mail server, so nothing was done:" \
			$mailers
}

# Look at what apt would do, then let it. Fails where old package lists, or
# no network, may be the cause.
attempt()
{
	plan=$(apt-get -s -q --no-install-recommends install $absent 2>&1) ||
		return 1
	refuse_what_breaks_mail
	echo "install-deps: apt will install:" $additions
	$as_root apt-get -q -y -o DPkg::Lock::Timeout=300 \
		--no-install-recommends --no-remove install $absent
}

give_up()
{
	if echo "$plan" | grep -q '^E:'; then
		echo "$plan" | grep '^E:' | sed 's/^/    /' >&2
		die "apt does not know all of these packages" \
			"(no network, or not Debian 12?)"
	fi
	die "apt could not install them; if it could not fetch them, is" \
		"there a network?"
}

list=no
wanted=
for word; do
	case $word in
	--list) list=yes ;;
	build) wanted="$wanted $BUILD" ;;
	test) wanted="$wanted $TEST" ;;
	lint) wanted="$wanted $LINT" ;;
	all) wanted="$wanted $BUILD $TEST $LINT" ;;
	-h | --help)
		echo "$usage"
		exit 0
		;;
	*)
		echo "$usage" >&2
		exit 64
		;;
	esac
done
[ -n "$wanted" ] || wanted="$BUILD $TEST $LINT"

if [ $list = yes ]; then
	printf '%s\n' $wanted | sort -u
	exit 0
fi

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	die "this is no Debian: see \`$0 --list\` for what has to be there"
fi

absent=$(missing $wanted)
if [ -z "$absent" ]; then
	echo "install-deps: all $(echo $wanted | wc -w) packages are there"
	exit 0
fi
echo "install-deps: missing:" $absent

as_root="env DEBIAN_FRONTEND=noninteractive"
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null ||
		die "this needs root, and there is no sudo: run it as root"
	as_root="sudo $as_root"
fi
lists_are_usable || update
if ! attempt; then
	[ $has_updated = no ] || give_up
	update
	attempt || give_up
fi
absent=$(missing $wanted)
[ -z "$absent" ] || die "still missing after apt:" $absent
