# SPDX-License-Identifier: BSD-2-Clause
# dmarcgate: see README.md. `make help` lists the targets.

BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
CC ?= gcc
PKG_CONFIG ?= pkg-config

PACKAGES = libcares libpsl opendkim liburing libconfuse libidn2

WARNINGS = -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wwrite-strings \
	-Wvla -Wundef -Wformat=2 -Wswitch-enum -Wimplicit-fallthrough
HARDEN = -O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong \
	-fstack-clash-protection -fcf-protection -fPIE \
	-ftrivial-auto-var-init=zero
LINK_HARDEN = -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed
ifneq ($(SANITIZE),)
HARDEN = -O1 -fPIE -fno-omit-frame-pointer -fsanitize=$(SANITIZE) \
	-fno-sanitize-recover=all
LINK_HARDEN = -pie -fsanitize=$(SANITIZE)
endif
ifneq ($(WERROR),)
WARNINGS += -Werror
endif

CFLAGS += -std=gnu17 -g $(WARNINGS) $(HARDEN)
CPPFLAGS += -I. -I$(BUILD) -D_GNU_SOURCE $(shell $(PKG_CONFIG) --cflags $(PACKAGES))
LDFLAGS += $(LINK_HARDEN)
LDLIBS += $(shell $(PKG_CONFIG) --libs $(PACKAGES)) -lspf2 -lcrypto

SMTP = $(wildcard smtp/*.c)
DMARC = $(wildcard dmarc/*.c)
REPORT = $(wildcard dmarc/report/*.c)
PROXY = $(filter-out proxy/main.c,$(wildcard proxy/*.c))
CTL = $(wildcard proxy/ctl/*.c)
UNIT = $(wildcard tests/unit/test_*.c)

object = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
LIBS = $(BUILD)/libproxy.a $(BUILD)/libreport.a $(BUILD)/libdmarc.a $(BUILD)/libsmtp.a

all: $(BUILD)/dmarcgate $(BUILD)/dmarcgatectl

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/libsmtp.a: $(call object,$(SMTP))
$(BUILD)/libdmarc.a: $(call object,$(DMARC))
$(BUILD)/libreport.a: $(call object,$(REPORT))
$(BUILD)/libproxy.a: $(call object,$(PROXY))
$(BUILD)/lib%.a:
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/dmarcgate: $(call object,proxy/main.c) $(LIBS)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(BUILD)/dmarcgatectl: $(call object,$(CTL)) $(LIBS)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# A unit test links only the layers that exist below it: smtp tests need
# libsmtp.a, dmarc tests libdmarc.a too; the linker takes what is needed.
$(BUILD)/tests/unit/%: tests/unit/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP $(LDFLAGS) -o $@ $< \
		$(filter %.a,$^) -lcmocka $(LDLIBS)
$(BUILD)/tests/unit/test_smtp_%: $(BUILD)/libsmtp.a
$(BUILD)/tests/unit/test_dmarc_%: $(BUILD)/libdmarc.a $(BUILD)/libsmtp.a
$(BUILD)/tests/unit/test_proxy_%: $(LIBS)

unit: $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(UNIT))
	@for t in $^; do echo "== $$t"; $$t || exit 1; done

clean:
	rm -rf $(BUILD)

.PHONY: all unit clean
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
