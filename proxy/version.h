/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * version: what `dmarcgate -V` and `dmarcgatectl -V` print.
 *
 * One place for both programs. It is raised by the commit that makes a
 * release, and by no other.
 */
#ifndef PROXY_VERSION_H
#define PROXY_VERSION_H

#define DMARCGATE_VERSION "0.1.0"

#endif
