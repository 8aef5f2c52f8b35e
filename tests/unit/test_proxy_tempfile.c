/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy/tempfile.h"

#include "tests/unit/folder.h"
#include "tests/unit/ring_scene.h"

#include <errno.h>

struct scene {
	struct ring_scene ring;
	struct folder folder;
	struct tempfiles tempfiles;
	unsigned written, read;
	int error;
	struct buf octets;
	struct tempfile *drop_in_callback;
};

static void
on_written(struct tempfile *file, int error)
{
	struct scene *scene = file->owner;

	scene->written++;
	scene->error = error;
	if (scene->drop_in_callback == file)
		tempfile_drop(file);
}

static void
on_read(struct tempfile *file, int error, struct span octets)
{
	struct scene *scene = file->owner;

	scene->read++;
	scene->error = error;
	assert_true(buf_append(&scene->octets, octets));
	if (scene->drop_in_callback == file)
		tempfile_drop(file);
}

static const struct tempfile_events events = { on_written, on_read };

static void
scene_make(struct scene *scene, uint64_t octets_max)
{
	struct buf faults;

	*scene = (struct scene){ 0 };
	ring_scene_make(&scene->ring);
	folder_make(&scene->folder);
	buf_init(&faults, 1000);
	buf_init(&scene->octets, 1 << 20);
	scene->tempfiles = (struct tempfiles){
		.ring = scene->ring.ring,
		.timers = &scene->ring.timers,
		.directory = tempfile_directory(scene->folder.name, &faults),
		.octets_max = octets_max,
	};
	assert_true(scene->tempfiles.directory >= 0);
	assert_int_equal(faults.n, 0);
}

static void
scene_end(struct scene *scene)
{
	assert_int_equal(scene->tempfiles.octets, 0);
	ring_scene_end(&scene->ring);
	buf_fini(&scene->octets);
	close(scene->tempfiles.directory);
	/* Nothing is left behind: the directory is empty. */
	assert_int_equal(rmdir(scene->folder.name), 0);
}

static void
what_was_written_is_read_back(void **state)
{
	struct tempfile *file;
	struct scene scene;

	(void)state;
	scene_make(&scene, 1000);
	file = tempfile_new(&scene.tempfiles, &events, &scene);
	tempfile_write(file, SPAN_LIT("hello "), 0);
	ring_scene_until(&scene.ring, &scene.written, 1);
	assert_int_equal(scene.error, 0);
	tempfile_write(file, SPAN_LIT("world"), 6);
	ring_scene_until(&scene.ring, &scene.written, 2);
	assert_int_equal(scene.tempfiles.octets, 11);
	tempfile_read(file, 3, 8);
	ring_scene_until(&scene.ring, &scene.read, 1);
	assert_int_equal(scene.error, 0);
	assert_true(span_equal(buf_span(&scene.octets), SPAN_LIT("lo world")));
	tempfile_drop(file);
	scene_end(&scene);
}

static void
reading_beyond_the_end_is_an_error(void **state)
{
	struct tempfile *file;
	struct scene scene;

	(void)state;
	scene_make(&scene, 1000);
	file = tempfile_new(&scene.tempfiles, &events, &scene);
	tempfile_write(file, SPAN_LIT("hello"), 0);
	ring_scene_until(&scene.ring, &scene.written, 1);
	tempfile_read(file, 3, 8);
	ring_scene_until(&scene.ring, &scene.read, 1);
	assert_int_equal(scene.error, -EIO);
	assert_int_equal(scene.octets.n, 0);
	tempfile_drop(file);
	scene_end(&scene);
}

/* The budget is that of all files together, and comes back. */
static void
the_budget_is_refused_and_comes_back(void **state)
{
	struct tempfile *a, *b;
	struct scene scene;

	(void)state;
	scene_make(&scene, 10);
	a = tempfile_new(&scene.tempfiles, &events, &scene);
	b = tempfile_new(&scene.tempfiles, &events, &scene);
	tempfile_write(a, SPAN_LIT("123456"), 0);
	ring_scene_until(&scene.ring, &scene.written, 1);
	tempfile_write(b, SPAN_LIT("12345"), 0);
	assert_int_equal(scene.written, 1); /* not from within the call */
	ring_scene_until(&scene.ring, &scene.written, 2);
	assert_int_equal(scene.error, -EDQUOT);
	tempfile_write(b, SPAN_LIT("1234"), 0);
	ring_scene_until(&scene.ring, &scene.written, 3);
	assert_int_equal(scene.error, 0);
	tempfile_drop(a);
	tempfile_write(b, SPAN_LIT("56789a"), 4);
	ring_scene_until(&scene.ring, &scene.written, 4);
	assert_int_equal(scene.error, 0);
	tempfile_drop(b);
	scene_end(&scene);
}

/* The octets belong to the owner until he is told, even if he let go. */
static void
a_write_is_told_although_the_file_was_dropped(void **state)
{
	struct tempfile *file;
	struct scene scene;

	(void)state;
	scene_make(&scene, 1000);
	file = tempfile_new(&scene.tempfiles, &events, &scene);
	tempfile_write(file, SPAN_LIT("hello"), 0);
	tempfile_drop(file);
	assert_int_equal(scene.tempfiles.octets, 5);
	ring_scene_until(&scene.ring, &scene.written, 1);
	scene_end(&scene);
}

static void
a_file_may_be_dropped_when_it_tells(void **state)
{
	struct scene scene;

	(void)state;
	scene_make(&scene, 1000);
	for (unsigned i = 0; i < 2; i++) {
		struct tempfile *file =
			tempfile_new(&scene.tempfiles, &events, &scene);

		scene.drop_in_callback = i == 0 ? file : NULL;
		tempfile_write(file, SPAN_LIT("hello"), 0);
		ring_scene_until(&scene.ring, &scene.written, i + 1);
		scene.drop_in_callback = file;
		if (i == 0)
			continue;
		tempfile_read(file, 0, 5);
		ring_scene_until(&scene.ring, &scene.read, 1);
	}
	scene_end(&scene);
}

static void
a_directory_that_cannot_be_used_is_said(void **state)
{
	struct buf faults;

	(void)state;
	buf_init(&faults, 1000);
	assert_int_equal(tempfile_directory("/nonexistent", &faults), -1);
	assert_true(span_starts(buf_span(&faults),
				SPAN_LIT("cannot keep message bodies in "
					 "/nonexistent: ")));
	buf_fini(&faults);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_read_back),
		cmocka_unit_test(reading_beyond_the_end_is_an_error),
		cmocka_unit_test(the_budget_is_refused_and_comes_back),
		cmocka_unit_test(a_write_is_told_although_the_file_was_dropped),
		cmocka_unit_test(a_file_may_be_dropped_when_it_tells),
		cmocka_unit_test(a_directory_that_cannot_be_used_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
