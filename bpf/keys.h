/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Counts by what an event was about: a destination, a path, a device.
 *
 * Whoever includes this defines KEY_BYTES first.
 */
#include "count_and_sample.h"

struct call_key {
	char key[KEY_BYTES];
};

BPF_TABLE("hash", struct call_key, u64, by_key, 2048);

static __always_inline void count_key(struct call_key *key)
{
	u64 first = 0, *count = by_key.lookup(key);

	if (!count) {
		by_key.insert(key, &first); /* unless another CPU has meanwhile */
		count = by_key.lookup(key);
	}
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		add_total(TOTAL_OTHER_KEY);
}
