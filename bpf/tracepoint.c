// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Captures a tracepoint: the record that the kernel made, with the strings that its __data_loc fields point to.
 *
 * User space knows the record's fields from the tracepoint's `format` file and decodes them; here they are bytes.
 * Where the tracepoint has no raw form, this program counts too (plan.counts).
 */
#include "count_and_sample.h"

#define RECORD_BYTES 256

struct tracepoint_plan {
	struct plan_head head;
	u32 counts;	   /* no raw tracepoint counts: do it here */
	u32 record;	   /* bytes of the record's fixed part, at most RECORD_BYTES */
	u32 blob[BLOBS];   /* offset of a __data_loc field; 0: none */
	u32 relative[BLOBS]; /* the field is a __rel_loc: its offset counts from the field's end */
};

struct tracepoint_event {
	u64 timestamp; /* nanoseconds, monotonic */
	u64 pid_tgid;
	char comm[COMM_BYTES];
	s32 length[BLOBS]; /* bytes of each blob; negative: the errno of reading it */
	char record[RECORD_BYTES];
	char blob[BLOBS][BLOB_BYTES];
};

BPF_TABLE("array", u32, struct tracepoint_plan, plan, 1);
BPF_TABLE("percpu_array", u32, u64, scratch, 1);
BPF_TABLE("percpu_array", u32, struct cursor, cursors, MAX_SLICES + 1);
BPF_TABLE("array", u32, struct tracepoint_event, sample, 1); /* sized when it is loaded */

static __always_inline void capture(struct tracepoint_plan *wanted, struct tracepoint_event *event, u64 record)
{
	u32 length = wanted->record;
	int i;

	bpf_get_current_comm(event->comm, sizeof(event->comm));
	if (length > RECORD_BYTES)
		length = RECORD_BYTES;
	bpf_probe_read_kernel(event->record, length, (void *)record);
#pragma unroll
	for (i = 0; i < BLOBS; i++) {
		u32 location = 0;
		u64 start;

		event->length[i] = 0;
		if (!wanted->blob[i])
			continue;
		bpf_probe_read_kernel(&location, sizeof(location), (void *)(record + wanted->blob[i]));
		start = record + (location & 0xffff);
		if (wanted->relative[i])
			start += wanted->blob[i] + sizeof(location);
		event->length[i] = bpf_probe_read_kernel_str(event->blob[i], BLOB_BYTES, (void *)start);
	}
}

int on_event(void *ctx)
{
	struct caller caller = {};
	u32 zero = 0, last = BURST, slice;
	struct tracepoint_plan *wanted = plan.lookup(&zero);
	struct tracepoint_event *event;
	struct cursor *cursor, *burst;
	volatile u64 *record;
	u64 now;
	s32 slot;

	if (!wanted)
		return 1;
	if ((wanted->head.flags & COUNT_ONLY) && !wanted->counts)
		return 1;
	if (!passes(&wanted->head, &caller))
		return 1;
	if (wanted->counts) {
		if (!count_event(&caller) || (wanted->head.flags & COUNT_ONLY))
			return 1;
	} else if (is_own(caller.pid_tgid, caller.shown)) {
		return 1;
	}
	add_total(TOTAL_CAPTURED);
	now = bpf_ktime_get_ns();
	slice = slice_of(&wanted->head, now);
	cursor = cursors.lookup(&slice);
	burst = cursors.lookup(&last);
	record = scratch.lookup(&zero);
	if (!cursor || !burst || !record)
		return 1;
	slot = slot_of(&wanted->head, cursor, burst, slice, 0, 0);
	if (slot < 0)
		return 1;
	event = sample.lookup((u32 *)&slot);
	if (!event)
		return 1;
	/*
	 * By way of a map value the context becomes a number, to which the verifier lets data be added. Volatile, or the
	 * compiler takes the short way.
	 */
	*record = (u64)ctx;
	event->timestamp = now;
	event->pid_tgid = caller.shown;
	capture(wanted, event, *record);
	return 1; /* 0 would take the event away from every other user of this tracepoint */
}
