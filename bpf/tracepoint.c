// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Captures a tracepoint: the record that the kernel made, with the strings that its __data_loc fields point to.
 *
 * User space knows the record's fields from the tracepoint's `format` file and decodes them; here they are bytes.
 * Where the tracepoint has no raw form, this program counts too (plan.counts).
 */
#define KEY_BYTES 128
#include "keys.h"

#define RECORD_BYTES 256
#define WINDOW_BYTES 64

/*
 * What an event is about: some bytes of a window of the record, and one string. They are counted as they are; user
 * space knows what they mean.
 */
struct key_plan {
	u64 mask[WINDOW_BYTES / 8]; /* which bytes of the window count */
	u32 start;	/* of the window, in the record */
	u32 length;	/* of the window, at most WINDOW_BYTES; 0: none */
	u32 text;	/* offset of a string in the record, or of the field that says where it is; 0: none */
	u32 located;	/* it is a __data_loc field */
	u32 relative;	/* it is a __rel_loc field */
	u32 text_bytes; /* how many of it are read at most, its end among them */
	u32 text_at;	/* where in the key it is put, at most WINDOW_BYTES */
	u32 unused;
};

struct tracepoint_plan {
	struct plan_head head;
	u32 counts;	   /* no raw tracepoint counts: do it here */
	u32 record;	   /* bytes of the record's fixed part, at most RECORD_BYTES */
	u32 blob[BLOBS];   /* offset of a __data_loc field; 0: none */
	u32 relative[BLOBS]; /* the field is a __rel_loc: its offset counts from the field's end */
	u32 bytes[BLOBS];  /* it is no string: as many bytes are read as the field says */
	u32 failure;	   /* offset of a number that is 0 where nothing has failed; 0: none */
	u32 failure_bytes; /* of that number, at most 8 */
	struct key_plan key;
};

struct tracepoint_event {
	u64 timestamp; /* nanoseconds, monotonic */
	u64 pid_tgid;
	char comm[COMM_BYTES];
	s32 length[BLOBS]; /* bytes of each blob, which may be more than there is room for; negative: an errno */
	char record[RECORD_BYTES];
	char blob[BLOBS][BLOB_BYTES];
};

/* Room on this CPU, of which one run at a time makes use: no program of a perf event runs within another. */
struct scratch {
	u64 record;
	struct call_key key;
	char beyond[WINDOW_BYTES]; /* the verifier does not see that the string ends with the key */
};

BPF_TABLE("array", u32, struct tracepoint_plan, plan, 1);
BPF_TABLE("percpu_array", u32, struct scratch, scratch, 1);
BPF_TABLE("percpu_array", u32, struct cursor, cursors, MAX_SLICES + 1);
BPF_TABLE("array", u32, struct tracepoint_event, sample, 1); /* sized when it is loaded */

/* What a __data_loc or __rel_loc field says: where its data is, and how many bytes it has. */
static __always_inline u64 locate(u64 record, u32 offset, u32 relative, u32 *length)
{
	u32 location = 0;

	bpf_probe_read_kernel(&location, sizeof(location), (void *)(record + offset));
	*length = location >> 16;
	return record + (location & 0xffff) + (relative ? offset + sizeof(location) : 0);
}

static __always_inline void count_what_it_is_about(struct key_plan *wanted, struct scratch *scratch, u64 record)
{
	u64 *words = (u64 *)scratch->key.key;
	u32 length = wanted->length, bytes = wanted->text_bytes, at = wanted->text_at;
	int i;

	if (!length && !wanted->text)
		return;
	__builtin_memset(&scratch->key, 0, sizeof(scratch->key));
	if (length > WINDOW_BYTES)
		length = WINDOW_BYTES;
	if (length)
		bpf_probe_read_kernel(scratch->key.key, length, (void *)(record + wanted->start));
#pragma unroll
	for (i = 0; i < WINDOW_BYTES / 8; i++)
		words[i] &= wanted->mask[i];
	if (wanted->text) {
		u64 text = record + wanted->text;

		if (wanted->located)
			text = locate(record, wanted->text, wanted->relative, &length);
		if (bytes > KEY_BYTES)
			bytes = KEY_BYTES;
		if (at > WINDOW_BYTES)
			at = WINDOW_BYTES;
		bpf_probe_read_kernel_str(scratch->key.key + at, bytes, (void *)text);
	}
	count_key(&scratch->key);
}

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
		u32 bytes = 0;
		u64 start;
		s32 error;

		event->length[i] = 0;
		if (!wanted->blob[i])
			continue;
		start = locate(record, wanted->blob[i], wanted->relative[i], &bytes);
		if (!wanted->bytes[i]) {
			event->length[i] = bpf_probe_read_kernel_str(event->blob[i], BLOB_BYTES, (void *)start);
			continue;
		}
		event->length[i] = bytes;
		error = bpf_probe_read_kernel(event->blob[i], bytes > BLOB_BYTES ? BLOB_BYTES : bytes, (void *)start);
		if (error)
			event->length[i] = error;
	}
}

static __always_inline int tells_of_failure(struct tracepoint_plan *wanted, u64 record)
{
	u32 bytes = wanted->failure_bytes;
	u64 number = 0;

	if (!wanted->failure)
		return 0;
	if (bytes > sizeof(number))
		bytes = sizeof(number);
	bpf_probe_read_kernel(&number, bytes, (void *)(record + wanted->failure));
	return number != 0;
}

int on_event(void *ctx)
{
	struct caller caller = {};
	u32 zero = 0, last = BURST, slice;
	struct tracepoint_plan *wanted = plan.lookup(&zero);
	struct scratch *room = scratch.lookup(&zero);
	struct tracepoint_event *event;
	struct cursor *cursor, *burst;
	u64 now, record;
	int failed;
	s32 slot;

	if (!wanted || !room)
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
	/* By way of a map value the context becomes a number, to which data can be added. Volatile, or it is left out. */
	*(volatile u64 *)&room->record = (u64)ctx;
	record = *(volatile u64 *)&room->record;
	count_what_it_is_about(&wanted->key, room, record);
	failed = tells_of_failure(wanted, record);
	if (failed)
		add_total(TOTAL_ERRORS);
	now = bpf_ktime_get_ns();
	slice = slice_of(&wanted->head, now);
	cursor = cursors.lookup(&slice);
	burst = cursors.lookup(&last);
	if (!cursor || !burst)
		return 1;
	slot = slot_of(&wanted->head, cursor, burst, slice, failed, 0);
	if (slot < 0)
		return 1;
	event = sample.lookup((u32 *)&slot);
	if (!event)
		return 1;
	event->timestamp = now;
	event->pid_tgid = caller.shown;
	capture(wanted, event, record);
	return 1; /* 0 would take the event away from every other user of this tracepoint */
}
