# SPDX-License-Identifier: BSD-2-Clause
# dmarcgate: see README.md. `make help` lists the targets.
#
# Settings: BUILD (folder built into), CC (gcc or clang), WERROR=1,
# SANITIZE=address,undefined, V=1 (show commands), PREFIX, SYSCONFDIR, DESTDIR.
# CPPFLAGS, CFLAGS, LDFLAGS and LDLIBS are the user's and come last.

BUILD ?= build
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
DESTDIR ?=
PKG_CONFIG ?= pkg-config
# Debian's own: another python3 may stand first in PATH, without its modules.
PYTHON ?= /usr/bin/python3
ifeq ($(origin CC),default)
CC = gcc
endif

PACKAGES = libcares libpsl opendkim liburing libconfuse libidn2 libseccomp \
	openssl zlib

WARNINGS = -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wwrite-strings \
	-Wvla -Wundef -Wformat=2 -Wswitch-enum -Wimplicit-fallthrough
ifneq ($(WERROR),)
WARNINGS += -Werror
endif

# once: NAME is worked out at its first use, then remembered. So `make deps`
# runs on a machine that has neither pkg-config nor a compiler yet.
once = $(eval $(1) := $(2))$($(1))
offers = $(shell $(CC) -Werror $(1) -x c -c -o /dev/null /dev/null \
	2>/dev/null && echo $(1))
PACKAGE_CFLAGS = $(call once,PACKAGE_CFLAGS,$(shell $(PKG_CONFIG) --cflags \
	$(PACKAGES)))
PACKAGE_LIBS = $(call once,PACKAGE_LIBS,$(or $(shell $(PKG_CONFIG) --libs \
	$(PACKAGES)),$(error libraries are missing: run `make deps`)))
# What not every compiler or processor has; clang 14 has no zeroing.
OPTIONAL = $(call once,OPTIONAL,$(foreach f,-fstack-clash-protection \
	-fcf-protection -ftrivial-auto-var-init=zero,$(call offers,$(f))))

HARDEN = -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong \
	-fPIE $(OPTIONAL)
LINK_HARDEN = -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed
ifneq ($(SANITIZE),)
HARDEN = -O1 -fPIE -fno-omit-frame-pointer -fsanitize=$(SANITIZE) \
	-fno-sanitize-recover=all
LINK_HARDEN = -pie -fsanitize=$(SANITIZE)
endif
ifneq ($(FUZZ),)
HARDEN += -fsanitize=fuzzer-no-link
endif
ifneq ($(COVERAGE),)
HARDEN = -O0 --coverage -fPIE
LINK_HARDEN = -pie --coverage
endif

COMPILE = $(CC) -std=gnu17 -g -I. -I$(BUILD) -D_GNU_SOURCE $(PACKAGE_CFLAGS) \
	$(WARNINGS) $(HARDEN) $(CPPFLAGS) $(CFLAGS)
LINK = $(CC) $(HARDEN) $(LINK_HARDEN) $(CFLAGS) $(LDFLAGS)
LIBRARIES = $(PACKAGE_LIBS) -lspf2 $(LDLIBS)

SMTP = $(wildcard smtp/*.c)
DMARC = $(wildcard dmarc/*.c)
REPORT = $(wildcard dmarc/report/*.c)
PROXY = $(filter-out proxy/main.c,$(wildcard proxy/*.c))
CTL = $(wildcard proxy/ctl/*.c)
# Test programs, one a file; what else lies beside them is shared by them.
TEST_FOLDERS = unit suites differential replay sim smuggle cost
TEST_FILES = $(foreach d,$(TEST_FOLDERS),$(wildcard tests/$(d)/test_*.c))
# What callgrind counts: no test by itself.
COST_FILES = $(wildcard tests/cost/play_*.c)
TEST_SHARED = $(filter-out $(TEST_FILES) $(COST_FILES),$(foreach d,$(TEST_FOLDERS), \
	$(wildcard tests/$(d)/*.c)))
FUZZ_FILES = $(wildcard tests/fuzz/fuzz_*.c)
# Of these, the ones that need more than the pure layers.
FUZZ_PROXY = $(call once,FUZZ_PROXY,$(shell grep -l '"proxy/' /dev/null \
	$(FUZZ_FILES)))
LOAD_FILES = tests/bench/load.c tests/bench/sink.c
BENCH_FILES = $(wildcard tests/bench/bench_*.c) $(LOAD_FILES)
BENCH_SHARED = $(filter-out $(BENCH_FILES),$(wildcard tests/bench/*.c))

object = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
program = $(patsubst %.c,$(BUILD)/%,$(1))
LIBS = $(BUILD)/libproxy.a $(BUILD)/libreport.a $(BUILD)/libdmarc.a \
	$(BUILD)/libsmtp.a
TESTS = $(call program,$(TEST_FILES))
UNIT = $(filter $(BUILD)/tests/unit/%,$(TESTS))
FUZZERS = $(call program,$(FUZZ_FILES))
BENCHES = $(call program,$(BENCH_FILES))
COSTS = $(call program,$(COST_FILES))
LOADS = $(call program,$(LOAD_FILES))

all: $(BUILD)/dmarcgate $(BUILD)/dmarcgatectl ## build the two programs

# --- objects, libraries, programs --------------------------------------------

say = $(if $(V),,@$(if $(findstring s,$(firstword -$(MAKEFLAGS))),, \
	printf '  %-4s %s\n' $(1) $@;) )

# A file that holds $(1) and is new only when that changed: what depends on
# it is made again when the flags, or the set of files, are others.
remember = $(shell mkdir -p $(@D))$(file >$@.new,$(1))@cmp -s $@.new $@ \
	&& rm $@.new || mv $@.new $@

$(BUILD)/flags: FORCE
	$(call remember,$(COMPILE) | $(LINK) | $(LIBRARIES))
$(BUILD)/lib%.list: FORCE
	$(call remember,$(FILES))

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC)$(COMPILE) -MMD -MP -c -o $@ $<

$(BUILD)/libsmtp.a: $(call object,$(SMTP))
$(BUILD)/libdmarc.a: $(call object,$(DMARC))
$(BUILD)/libreport.a: $(call object,$(REPORT))
$(BUILD)/libproxy.a: $(call object,$(PROXY))
$(BUILD)/libtest.a: $(call object,$(TEST_SHARED))
$(BUILD)/libbench.a: $(call object,$(BENCH_SHARED))
$(BUILD)/libsmtp.list: FILES = $(SMTP)
$(BUILD)/libdmarc.list: FILES = $(DMARC)
$(BUILD)/libreport.list: FILES = $(REPORT)
$(BUILD)/libproxy.list: FILES = $(PROXY)
$(BUILD)/libtest.list: FILES = $(TEST_SHARED)
$(BUILD)/libbench.list: FILES = $(BENCH_SHARED)
$(BUILD)/lib%.a: $(BUILD)/lib%.list
	@rm -f $@
	$(call say,AR)ar rcs $@ $(filter %.o,$^)

$(BUILD)/dmarcgate: $(call object,proxy/main.c) $(LIBS)
	$(call say,LINK)$(LINK) -o $@ $(filter %.o %.a,$^) $(LIBRARIES)
$(BUILD)/dmarcgatectl: $(call object,$(CTL)) $(LIBS)
	$(call say,LINK)$(LINK) -o $@ $(filter %.o %.a,$^) $(LIBRARIES)

# A unit test of a pure layer links that layer and those below it: it cannot
# lean on what lies above.
below_smtp = $(BUILD)/libtest.a $(BUILD)/libsmtp.a
below_dmarc = $(BUILD)/libtest.a $(BUILD)/libdmarc.a $(BUILD)/libsmtp.a
below_report = $(BUILD)/libtest.a $(filter-out %/libproxy.a,$(LIBS))
OF_SMTP = $(filter $(BUILD)/tests/unit/test_smtp_%,$(TESTS))
OF_DMARC = $(filter $(BUILD)/tests/unit/test_dmarc_%,$(TESTS))
OF_REPORT = $(filter $(BUILD)/tests/unit/test_report_%,$(TESTS))
$(OF_SMTP): $(below_smtp)
$(OF_DMARC): $(below_dmarc)
$(OF_REPORT): $(below_report)
$(filter-out $(OF_SMTP) $(OF_DMARC) $(OF_REPORT),$(TESTS)): $(BUILD)/libtest.a \
	$(LIBS)
$(filter $(BUILD)/tests/unit/test_bench_%,$(TESTS)): $(BUILD)/libbench.a
$(TESTS): $(BUILD)/%: $(BUILD)/obj/%.o
	@mkdir -p $(@D)
	$(call say,LINK)$(LINK) $(WRAP) -o $@ $(filter %.o %.a,$^) -lcmocka \
		$(LIBRARIES) -lm
# Who stands between a session and its state machine: tests/replay/occasions.h.
wrap = $(1:%=-Wl,--wrap=%)
$(BUILD)/tests/replay/test_replay: private WRAP = $(call wrap,server_step \
	server_delivered greeting_banner)
# Who counts what is allocated, and in whose doing: tests/cost/allocations.h.
$(filter $(BUILD)/tests/cost/%,$(TESTS)): private WRAP = $(call wrap,malloc \
	calloc realloc reallocarray posix_memalign strdup free session_new \
	session_free session_step session_next)
$(BENCHES) $(COSTS): $(BUILD)/%: $(BUILD)/obj/%.o $(BUILD)/libbench.a \
	$(BUILD)/libtest.a $(LIBS)
	@mkdir -p $(@D)
	$(call say,LINK)$(LINK) -o $@ $(filter %.o %.a,$^) $(LIBRARIES) -lm
$(call program,$(FUZZ_PROXY)): $(LIBS)
$(FUZZERS): $(BUILD)/%: $(BUILD)/obj/%.o $(filter-out %/libproxy.a,$(LIBS))
	@mkdir -p $(@D)
	$(call say,LINK)$(LINK) -fsanitize=fuzzer -o $@ $(filter %.o,$^) \
		$(filter $^,$(LIBS)) $(LIBRARIES)

# The clock that tests/wire puts in front of the gate's. Not instrumented: a
# sanitizer's library comes behind it.
WIRE_CLOCK = $(BUILD)/tests/wire/clock.so
$(WIRE_CLOCK): tests/wire/clock.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) -std=gnu17 -g -O2 -D_GNU_SOURCE $(WARNINGS) -fPIC \
		-shared -o $@ $<

tests: $(TESTS) $(COSTS) $(LOADS) $(WIRE_CLOCK)
fuzzers: $(FUZZERS)
benches: $(BENCHES)

# --- packages, the demonstration ---------------------------------------------

# Empty where there is no apt and the packages are there already.
DEPS ?= all
deps: ## install the Debian packages needed (DEPS=build, test, lint or all)
	@$(if $(DEPS),contrib/install-deps.sh $(DEPS),:)

# What follows needs the packages before pkg-config can be asked: hence make
# within make.
again = +@$(MAKE) --no-print-directory
prepare = $(again) $(if $(filter undefined default file,$(origin DEPS)), \
	DEPS='$(1)') deps

demo: ## show the gate at work; KEEP=1 stays up to be tried by hand
	$(call prepare,build test)
	$(again) all
	@DMARCGATE_BUILD=$(BUILD) KEEP=$(KEEP) $(PYTHON) tests/e2e/demo.py

# --- tests ---------------------------------------------------------------------

RUN = $(PYTHON) tests/run --build $(BUILD)
LAYERS = unit suites differential replay sim smuggle planted wire docs lint cost \
	e2e peers kill
# What says the same of any build (these find no fault in the gate), or nothing
# of a build that is instrumented.
INSTRUMENTED = LAYERS='$(filter-out planted docs lint cost,$(LAYERS))'
check: ## every test; ends with "N passed, N failed"
	$(call prepare,build test)
	$(again) all tests manuals
	@$(RUN) $(LAYERS)
unit: $(UNIT) ## the unit tests alone
	@$(RUN) unit
suites: ## the community suites alone, from ../shared/suites
	$(again) all tests
	@$(RUN) suites
differential: ## both engines for SPF and DKIM over one corpus
	$(again) all tests
	@$(RUN) differential
replay: ## the dialogue scripts alone
	$(again) all tests
	@$(RUN) replay
wire: ## the dialogue scripts on real sockets
	$(again) all tests
	@$(RUN) wire
sim: ## the simulator alone; N=sessions, SEED=where to begin
	$(again) all tests
	@$(if $(N)$(SEED),$(BUILD)/tests/sim/test_sim $(N:%=-n %) \
		$(SEED:%=-s %),$(RUN) sim)
planted: ## that simulator, smuggling and unit tests find bugs planted into it
	$(again) all tests
	@$(RUN) planted
smuggle: ## smuggling and injection alone
	$(again) all tests
	@$(RUN) smuggle
docs: ## the tests of the manuals and README alone
	$(again) all manuals
	@$(RUN) docs
cost: ## instructions and allocations per message, beside their baseline
	$(call prepare,build test)
	$(again) all tests
	@$(RUN) cost
RECORD = DMARCGATE_BUILD=$(BUILD) $(PYTHON) tests/cost/record.py
cost-baseline: ## record what a message costs now as what it may cost
	$(call prepare,build test)
	$(again) tests
	@$(RECORD) baseline
cost-profile: ## the functions that a message costs most in
	$(call prepare,build test)
	$(again) tests
	@$(RECORD) profile
e2e: ## the tests on real parts alone
	$(call prepare,build test)
	$(again) all
	@$(RUN) e2e
peers: ## the tests on real mail servers and clients alone
	$(call prepare,build test)
	$(again) all
	@$(RUN) peers
kill: ## the tests that kill worker, master and MTA alone
	$(call prepare,build test)
	$(again) all
	@$(RUN) kill
asan: ## the same tests as check, under AddressSanitizer and UBSan
	$(again) BUILD=$(BUILD)/asan SANITIZE=address,undefined \
		$(INSTRUMENTED) check

T ?= 60
FUZZ_MAKE = $(again) BUILD=$(BUILD)/fuzz CC=clang \
	SANITIZE=address,undefined FUZZ=1
fuzz: ## every fuzz target for T=60 seconds; a finding fails
	$(call prepare,build test lint)
	$(FUZZ_MAKE) fuzzers
	@tests/fuzz/run $(BUILD)/fuzz $(T)
fuzz-short: ## the same for 15 seconds each
	$(again) fuzz T=15
# What the tests in process run: those on real parts say nothing of a line that
# they would not miss.
coverage: ## lines run by unit, suites and replay; fails below 90 %
	@find $(BUILD)/coverage -name '*.gcda' -delete 2>/dev/null || :
	-$(again) BUILD=$(BUILD)/coverage COVERAGE=1 \
		LAYERS='unit suites replay' check
	@$(PYTHON) tests/coverage.py $(BUILD)/coverage
bench: ## speed and cost beside others; ONLY=new,kept TURNS=5 PEERS=1
	$(call prepare,build test)
	$(again) all benches
	@$(if $(ONLY),:,$(BUILD)/tests/bench/bench_data)
	@$(if $(ONLY),:,$(BUILD)/tests/bench/bench_dkim)
	@DMARCGATE_BUILD=$(BUILD) $(PYTHON) tests/bench/bench.py \
		$(ONLY:%=--only %) $(TURNS:%=--turns %) $(PEERS:%=--fetch-peers)
lint: ## format, layering, clang-tidy, cppcheck, scripts; quiet when clean
	$(call prepare,build test lint)
	$(again) lint-now
lint-now:
	@$(PYTHON) tests/lint/run --build $(BUILD)/lint -- -std=gnu17 -I. \
		-D_GNU_SOURCE $(PACKAGE_CFLAGS) $(WARNINGS)

# --- installation --------------------------------------------------------------

SBIN = $(DESTDIR)$(PREFIX)/sbin
BIN = $(DESTDIR)$(PREFIX)/bin
MAN = $(DESTDIR)$(PREFIX)/share/man
DOC = $(DESTDIR)$(PREFIX)/share/doc/dmarcgate
UNIT_DIR = $(DESTDIR)$(PREFIX)/lib/systemd/system
ETC = $(DESTDIR)$(SYSCONFDIR)/dmarcgate
# A manual may have parts that the tables give: see conf/fill.
MADE_MANUALS = $(patsubst %.in,$(BUILD)/%,$(wildcard conf/*.[1-8].in))
MANUALS = $(wildcard conf/*.[1-8]) $(MADE_MANUALS)
UNIT_FILES = $(wildcard contrib/systemd/*.service)
# As they lie below contrib.
EXAMPLES = $(wildcard contrib/mta/README.md contrib/mta/*/* contrib/nftables/*)

manuals: $(MADE_MANUALS)
$(BUILD)/conf/%: conf/%.in conf/fill $(BUILD)/dmarcgatectl
	@mkdir -p $(@D)
	$(call say,FILL)conf/fill $(BUILD) <$< >$@
install: all manuals ## install below DESTDIR and PREFIX; keeps proxy.conf
	install -D -m 755 $(BUILD)/dmarcgate $(SBIN)/dmarcgate
	install -D -m 755 $(BUILD)/dmarcgatectl $(BIN)/dmarcgatectl
	$(foreach m,$(MANUALS),install -D -m 644 $(m) \
		$(MAN)/man$(subst .,,$(suffix $(m)))/$(notdir $(m)) &&) :
	install -d $(DOC) $(UNIT_DIR) $(ETC)
	install -m 644 LICENSE $(wildcard README.md conf/*.conf) $(DOC)
	$(foreach e,$(EXAMPLES),install -D -m 644 $(e) \
		$(DOC)/$(patsubst contrib/%,%,$(e)) &&) :
	$(foreach u,$(UNIT_FILES),sed 's,@SBINDIR@,$(PREFIX)/sbin,g; \
		s,@SYSCONFDIR@,$(SYSCONFDIR),g' $(u) \
		>$(UNIT_DIR)/$(notdir $(u)) &&) :
	test -e $(ETC)/proxy.conf || test ! -e conf/minimal.conf || \
		install -m 640 conf/minimal.conf $(ETC)/proxy.conf
uninstall: ## remove what install put there, but for the configuration
	rm -f $(SBIN)/dmarcgate $(BIN)/dmarcgatectl
	rm -f $(foreach m,$(MANUALS),$(MAN)/man$(subst .,,$(suffix $(m)))/$(notdir \
		$(m)))
	rm -f $(foreach u,$(UNIT_FILES),$(UNIT_DIR)/$(notdir $(u)))
	rm -rf $(DOC)

clean: ## remove all that was built
	rm -rf $(BUILD)
help: ## this list
	@awk -F ':[^#]*## ' '/^[a-z0-9-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' \
		$(firstword $(MAKEFILE_LIST))

FORCE:
.SECONDARY:
.DELETE_ON_ERROR:
.PHONY: all manuals tests fuzzers benches deps demo check unit suites \
	differential replay sim smuggle planted wire docs cost cost-baseline \
	cost-profile e2e peers kill asan fuzz fuzz-short \
	coverage bench lint lint-now install uninstall clean help FORCE
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
