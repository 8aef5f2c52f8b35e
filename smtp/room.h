/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * room: octets on the stack for a buf or an arena to begin in.
 *
 * Nobody reads them before they are written: a build that has the compiler
 * zero what lies on the stack need not do it here. They are aligned for any
 * type. Keep them small: a few KiB at most.
 */
#ifndef SMTP_ROOM_H
#define SMTP_ROOM_H

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __has_attribute
#if __has_attribute(uninitialized)
#define ROOM_AS_IT_IS __attribute__((uninitialized))
#endif
#endif
#ifndef ROOM_AS_IT_IS
#define ROOM_AS_IT_IS
#endif

/* An array of n octets. */
#define ROOM(name, n) alignas(max_align_t) uint8_t name[n] ROOM_AS_IT_IS

#endif
