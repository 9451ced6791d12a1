// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Counts a tracepoint as a raw tracepoint.
 *
 * Programs attached through perf events are skipped while another such program runs on the CPU; raw tracepoint
 * programs are not. So this one counts, and tracepoint.c captures.
 */
#include "count_and_sample.h"

BPF_TABLE("array", u32, struct plan_head, plan, 1);

int on_event(void *ctx)
{
	struct caller caller = {};
	u32 zero = 0;
	struct plan_head *wanted = plan.lookup(&zero);

	if (wanted && passes(wanted, &caller))
		count_event(&caller);
	return 0;
}
