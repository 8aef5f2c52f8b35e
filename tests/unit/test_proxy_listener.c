/* SPDX-License-Identifier: BSD-2-Clause */
/* Listening sockets, and which of them a reload takes over. */
#include "proxy/listener.h"

#include "proxy/endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/loopback.h"

#define MOST 4

/* A configuration that listens on these ports of loopback. */
struct scene {
	struct conf conf;
	struct conf_listener list[MOST];
	int fds[MOST];
	struct listeners set;
	struct buf faults;
};

static void
scene_make(struct scene *scene)
{
	*scene = (struct scene){ .conf = { .listeners = scene->list } };
	buf_init(&scene->faults, 1000);
}

static void
scene_end(struct scene *scene)
{
	listeners_close(&scene->set);
	buf_fini(&scene->faults);
}

static bool
listen_on(struct scene *scene, size_t count, const uint16_t *ports)
{
	scene->conf.listener_count = count;
	for (size_t i = 0; i < count; i++) {
		struct conf_endpoint *endpoint = &scene->list[i].endpoint;

		assert_true(ip_parse(SPAN_LIT("127.0.0.1"), &endpoint->ip));
		endpoint->port = ports[i];
	}
	return listeners_open(&scene->set, &scene->conf, scene->fds,
			      &scene->faults);
}

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* Ports that were free a moment ago, each another. */
static void
find_ports(uint16_t *ports, size_t count)
{
	int fds[MOST];
	struct ip ip;

	for (size_t i = 0; i < count; i++)
		fds[i] = loopback_listen(&ip, &ports[i]);
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
}

static void
what_stays_configured_stays_open(void **state)
{
	struct scene scene;
	uint16_t ports[3];
	int first;

	(void)state;
	find_ports(ports, 3);
	scene_make(&scene);
	assert_true(listen_on(&scene, 2, ports));
	listeners_settle(&scene.set, &scene.conf);
	first = scene.fds[1];
	assert_true(listen_on(&scene, 2, ports + 1));
	assert_int_equal(scene.fds[0], first);
	listeners_settle(&scene.set, &scene.conf);
	assert_true(is_open(scene.fds[0]) && is_open(scene.fds[1]));
	assert_int_equal(scene.set.count, 2);
	scene_end(&scene);
	assert_false(is_open(first));
}

static void
what_is_not_wanted_any_more_is_closed(void **state)
{
	struct scene scene;
	uint16_t ports[2];
	int gone;

	(void)state;
	find_ports(ports, 2);
	scene_make(&scene);
	assert_true(listen_on(&scene, 2, ports));
	listeners_settle(&scene.set, &scene.conf);
	gone = scene.fds[0];
	assert_true(listen_on(&scene, 1, ports + 1));
	assert_true(is_open(gone)); /* until it is settled */
	listeners_settle(&scene.set, &scene.conf);
	assert_false(is_open(gone));
	assert_int_equal(scene.set.count, 1);
	scene_end(&scene);
}

static void
what_was_opened_in_vain_is_closed(void **state)
{
	uint16_t ports[3], busy;
	struct scene scene;
	struct ip ip;
	int kept, taken;

	(void)state;
	find_ports(ports, 2);
	taken = loopback_listen(&ip, &busy);
	scene_make(&scene);
	assert_true(listen_on(&scene, 1, ports));
	listeners_settle(&scene.set, &scene.conf);
	kept = scene.fds[0];
	ports[2] = busy;
	assert_false(listen_on(&scene, 3, ports));
	assert_true(span_starts(buf_span(&scene.faults),
				SPAN_LIT("cannot listen on 127.0.0.1:")));
	assert_true(is_open(scene.fds[1]));
	listeners_revert(&scene.set);
	assert_true(is_open(kept));
	assert_false(is_open(scene.fds[1]));
	assert_int_equal(scene.set.count, 1);
	endpoint_local(kept, &ip, &busy);
	assert_int_equal(busy, ports[0]);
	scene_end(&scene);
	close(taken);
}

static void
a_port_the_system_chose_is_kept_as_well(void **state)
{
	static const uint16_t any[1];
	struct scene scene;
	int first;

	(void)state;
	scene_make(&scene);
	assert_true(listen_on(&scene, 1, any));
	listeners_settle(&scene.set, &scene.conf);
	first = scene.fds[0];
	assert_true(listen_on(&scene, 1, any));
	assert_int_equal(scene.fds[0], first);
	scene_end(&scene);
}

static bool
is_transparent(int fd)
{
	socklen_t length = sizeof(int);
	int on;

	assert_return_code(
		getsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, &length),
		errno);
	return on != 0;
}

/* Without the two rights that the kernel takes for it, until they are given
 * back; who is not root has none to lose. */
static void
set_rights(struct __user_cap_data_struct *own, bool are_back)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3,
						   0 };
	struct __user_cap_data_struct less[2];

	if (!are_back)
		assert_return_code(syscall(SYS_capget, &header, own), errno);
	memcpy(less, own, sizeof(less));
	if (!are_back)
		less[0].effective &= ~(1U << CAP_NET_RAW | 1U << CAP_NET_ADMIN);
	assert_return_code(syscall(SYS_capset, &header, less), errno);
}

static bool
has_right(void)
{
	struct __user_cap_data_struct own[2];

	set_rights(own, false);
	set_rights(own, true);
	return (own[0].effective & (1U << CAP_NET_RAW | 1U << CAP_NET_ADMIN)) !=
	       0;
}

static void
a_reload_makes_it_transparent_once_it_is_decided(void **state)
{
	struct scene scene;
	uint16_t port;

	(void)state;
	find_ports(&port, 1);
	scene_make(&scene);
	assert_true(listen_on(&scene, 1, &port));
	listeners_settle(&scene.set, &scene.conf);
	scene.list[0].is_transparent = true;
	assert_int_equal(listen_on(&scene, 1, &port), has_right());
	assert_false(is_transparent(scene.fds[0]));
	listeners_settle(&scene.set, &scene.conf); /* as a new worker does */
	assert_false(is_transparent(scene.fds[0]));
	assert_int_equal(listeners_adapt(&scene.set, &scene.conf), has_right());
	assert_int_equal(is_transparent(scene.fds[0]), has_right());
	scene.list[0].is_transparent = false;
	assert_true(listen_on(&scene, 1, &port));
	assert_int_equal(is_transparent(scene.fds[0]), has_right());
	assert_true(listeners_adapt(&scene.set, &scene.conf));
	assert_false(is_transparent(scene.fds[0]));
	scene_end(&scene);
}

/* Both for a socket that is there and for one that is not. */
static void
without_the_right_it_is_a_fault_that_says_so(void **state)
{
	struct __user_cap_data_struct own[2];
	uint16_t ports[2];
	struct scene scene;
	char wanted[300];

	(void)state;
	find_ports(ports, 2);
	scene_make(&scene);
	assert_true(listen_on(&scene, 1, ports));
	listeners_settle(&scene.set, &scene.conf);
	scene.list[0].is_transparent = scene.list[1].is_transparent = true;
	set_rights(own, false);
	assert_false(listen_on(&scene, 2, ports));
	set_rights(own, true);
	snprintf(wanted, sizeof(wanted),
		 "cannot listen on 127.0.0.1:%u: Operation not "
		 "permitted (transparent needs CAP_NET_RAW)\n"
		 "cannot listen on 127.0.0.1:%u: Operation not "
		 "permitted (transparent needs CAP_NET_RAW)\n",
		 ports[0], ports[1]);
	assert_true(span_equal(buf_span(&scene.faults), span_cstr(wanted)));
	assert_false(is_transparent(scene.fds[0]));
	listeners_revert(&scene.set);
	assert_int_equal(scene.set.count, 1);
	scene_end(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_stays_configured_stays_open),
		cmocka_unit_test(what_is_not_wanted_any_more_is_closed),
		cmocka_unit_test(what_was_opened_in_vain_is_closed),
		cmocka_unit_test(a_port_the_system_chose_is_kept_as_well),
		cmocka_unit_test(
			a_reload_makes_it_transparent_once_it_is_decided),
		cmocka_unit_test(without_the_right_it_is_a_fault_that_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
