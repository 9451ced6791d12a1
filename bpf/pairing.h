/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What programs share that watch calls, entry together with return: counts by result, by what a call was about, by
 * failure, and of durations.
 *
 * Whoever includes this defines KEY_BYTES first.
 */
#include "keys.h"

/* A call, from its entry to its return. */
struct call {
	u64 timestamp; /* nanoseconds, monotonic, at entry */
	u64 pid_tgid;  /* by the ids of the namespace that is diagnosed */
	u64 thread;    /* the same by the kernel's ids */
	u64 duration;  /* nanoseconds */
	u64 argument[6];
	s64 result;
	u64 place; /* where the last step to a value of a function's call came (function.c) */
	char comm[COMM_BYTES];
	u32 number;  /* of a system call */
	u32 entered; /* 0: the entry was not seen, so only the result is known */
};

struct result_key {
	s64 error; /* 0, an errno, or one of what other results are counted as */
	u32 cpu;
	u32 unused;
};

struct failure_key {
	u32 tgid;
	u32 number;
	s32 error;
	u32 unused;
	char key[KEY_BYTES]; /* what the call was about: a destination, a path */
};

struct failure_count {
	u64 count;
	char comm[COMM_BYTES];
};

/* Buckets of durations: for each power of two of nanoseconds, LATENCY_STEPS equal steps. */
#define LATENCY_STEPS 4
#define LATENCIES (64 * LATENCY_STEPS)

/* In one value: a per-CPU array of many entries takes milliseconds to make. */
struct latencies {
	u64 count[LATENCIES];
	u64 longest; /* nanoseconds */
};

BPF_TABLE("hash", struct result_key, u64, by_result, 512); /* sized when it is loaded */
BPF_TABLE("hash", struct failure_key, struct failure_count, failures, 2048);
BPF_TABLE("percpu_array", u32, struct latencies, latency, 1);
BPF_TABLE("percpu_array", u32, struct cursor, cursors, MAX_SLICES + 1);

/* -4095 to -1 is an errno (MAX_ERRNO), anything else a value. */
static __always_inline int is_error(s64 result)
{
	return result < 0 && result >= -4095;
}

/* Whether a call can be judged only when it has returned. */
static __always_inline int counts_at_exit(struct plan_head *head)
{
	return (head->flags & (AT_EXIT | ERRORS_ONLY)) || head->least;
}

static __always_inline int is_wanted_result(struct plan_head *head, int failed, u64 duration)
{
	return duration >= head->least && (!(head->flags & ERRORS_ONLY) || failed);
}

/* The slot of the sample that a call may take, or -1. */
static __always_inline s32 slot_of_call(struct plan_head *head, struct call *call, int failed)
{
	u32 slice = slice_of(head, call->timestamp + call->duration), last = BURST;
	struct cursor *cursor = cursors.lookup(&slice), *burst = cursors.lookup(&last);

	add_total(TOTAL_CAPTURED);
	if (!cursor || !burst)
		return -1;
	return slot_of(head, cursor, burst, slice, failed, call->duration);
}

/* Counts a call that returned an error; the key's `key` is the caller's to fill. */
static __always_inline void count_failure(struct failure_key *key, struct call *call)
{
	struct failure_count first = {}, *count;

	key->tgid = call->pid_tgid >> 32;
	key->number = call->number;
	key->error = -call->result;
	key->unused = 0;
	count = failures.lookup(key);
	if (!count) {
		__builtin_memcpy(first.comm, call->comm, COMM_BYTES);
		failures.insert(key, &first);
		count = failures.lookup(key);
	}
	if (count)
		__sync_fetch_and_add(&count->count, 1);
	else
		add_total(TOTAL_OTHER_FAILURE);
}

static __always_inline void count_latency(u64 duration)
{
	u32 step, index, zero = 0;
	struct latencies *durations = latency.lookup(&zero);
	u64 rest = duration, power = 0;

	/* Without branches, of which the verifier would follow each: the top bit of x | -x is whether x is not 0. */
#pragma unroll
	for (step = 32; step; step >>= 1) {
		u64 above = rest >> step, taken = (above | -above) >> 63;

		taken *= step;
		power += taken;
		rest >>= taken;
	}
	index = power * LATENCY_STEPS;
	if (power >= 2)
		index += (duration >> (power - 2)) & (LATENCY_STEPS - 1);
	if (!durations)
		return;
	if (index < LATENCIES)
		__sync_fetch_and_add(&durations->count[index], 1);
	if (durations->longest < duration)
		durations->longest = duration;
}

static __always_inline void count_result(s64 error)
{
	struct result_key key = { .error = error, .cpu = bpf_get_smp_processor_id() };
	u64 zero = 0, *count = by_result.lookup(&key);

	if (!count) {
		by_result.insert(&key, &zero);
		count = by_result.lookup(&key);
	}
	if (count)
		__sync_fetch_and_add(count, 1);
}
