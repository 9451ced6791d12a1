// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * System calls, entry together with exit, from the raw tracepoints sys_enter and sys_exit.
 *
 * The arguments are kept at entry and completed at exit with the result and the duration. Which system calls are
 * wanted, and which of their arguments point to something worth reading, is data (map `wanted`, by number).
 */
#include "count_and_sample.h"

#define SYSCALLS 1024
#define KEY_BYTES 128
#define ADDRESS_BYTES 127 /* the longest socket address, of AF_UNIX, has 110 */

#define READ_NOTHING 0
#define READ_STRING 1	/* a string of the caller */
#define READ_SOCKADDR 2 /* a socket address of the caller, its length in another argument */

#define WHEN_ENTERED 0
#define WHEN_RETURNED 1 /* the kernel fills it in */

#define NEVER_RETURNS 2 /* exit, exit_group, rt_sigreturn: an entry without an exit is their way */

struct blob_plan {
	u8 how;	     /* READ_* */
	u8 argument; /* which one points to it */
	u8 length;   /* READ_SOCKADDR: which argument has the length */
	u8 when;     /* WHEN_* */
};

struct wanted_syscall {
	u32 wanted;	     /* 0, 1, NEVER_RETURNS */
	u32 replaces_memory; /* execve: on success the caller's memory is the new program's */
	struct blob_plan blob[BLOBS];
};

struct syscall_event {
	u64 timestamp; /* nanoseconds, monotonic, at entry */
	u64 pid_tgid;
	u64 duration; /* nanoseconds */
	s64 result;
	u64 argument[6];
	char comm[COMM_BYTES];
	u32 number;
	u32 entered; /* 0: the entry was not seen, only number and result are known */
	s32 length[BLOBS]; /* bytes of each blob; negative: the errno of reading it */
	char blob[BLOBS][BLOB_BYTES];
};

struct failure_key {
	u32 tgid;
	u32 number;
	s32 error;
	u32 unused;
	char key[KEY_BYTES]; /* the start of the first blob: a destination, a path */
};

struct failure_count {
	u64 count;
	char comm[COMM_BYTES];
};

struct call_key {
	char key[KEY_BYTES]; /* the start of the first blob */
};

/* Buckets of durations: for each power of two of nanoseconds, LATENCY_STEPS equal steps. */
#define LATENCY_STEPS 4
#define LATENCIES (64 * LATENCY_STEPS)
#define LONGEST LATENCIES /* index of the longest duration itself */

struct registers {
#if defined(__x86_64__)
	u64 r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, number, ip, cs;
#elif defined(__aarch64__)
	u64 regs[31], sp, pc, pstate, orig_x0;
	u32 number;
#else
#error "This architecture's system call arguments are not known here."
#endif
};

BPF_TABLE("array", u32, struct plan_head, plan, 1);
BPF_TABLE("array", u32, struct wanted_syscall, wanted, SYSCALLS);
BPF_TABLE("percpu_array", u32, u64, by_syscall, SYSCALLS);
BPF_TABLE("percpu_hash", s64, u64, by_result, 512);
BPF_TABLE("percpu_hash", struct failure_key, struct failure_count, failures, 2048);
BPF_TABLE("percpu_hash", struct call_key, u64, by_key, 2048);
BPF_TABLE("percpu_array", u32, u64, latency, LATENCIES + 1);
BPF_TABLE("hash", u64, struct syscall_event, in_flight, 8192);
BPF_TABLE("percpu_array", u32, struct syscall_event, scratch, 1);
BPF_TABLE("percpu_array", u32, struct failure_key, failure_scratch, 1);
BPF_TABLE("percpu_array", u32, struct call_key, key_scratch, 1);
BPF_TABLE("percpu_array", u32, struct cursor, cursors, MAX_SLICES + 1);
BPF_TABLE("array", u32, struct syscall_event, sample, 1); /* sized when it is loaded */

/* Changes nothing: the compiler loses a bound that it has proved, and the verifier wants to see one. */
#define bound_to_127(value) asm volatile("%0 &= 127" : "+r"(value))

struct raw_arguments {
	u64 argument[2];
};

/* -4095 to -1 is an errno (MAX_ERRNO), anything else a value. */
static __always_inline int is_error(s64 result)
{
	return result < 0 && result >= -4095;
}

/* Copies the registers of a call; 0 for a 32-bit caller, whose numbers mean other calls. */
static __always_inline int read_registers(struct registers *regs, u64 address)
{
	bpf_probe_read_kernel(regs, sizeof(*regs), (void *)address);
#if defined(__x86_64__)
	return regs->cs == 0x33; /* __USER_CS */
#elif defined(__aarch64__)
	return !(regs->pstate & 0x10); /* PSR_MODE32_BIT */
#endif
}

/* The arguments, by the calling convention of system calls. */
static __always_inline void take_arguments(struct syscall_event *event, struct registers *regs)
{
#if defined(__x86_64__)
	event->argument[0] = regs->di;
	event->argument[1] = regs->si;
	event->argument[2] = regs->dx;
	event->argument[3] = regs->r10;
	event->argument[4] = regs->r8;
	event->argument[5] = regs->r9;
#elif defined(__aarch64__)
	event->argument[0] = regs->regs[0];
	event->argument[1] = regs->regs[1];
	event->argument[2] = regs->regs[2];
	event->argument[3] = regs->regs[3];
	event->argument[4] = regs->regs[4];
	event->argument[5] = regs->regs[5];
#endif
}

/* An argument chosen by data: a loop over constants, as the verifier wants it. */
static __always_inline u64 argument_of(struct syscall_event *event, u32 which)
{
	u64 value = 0;
	int i;

#pragma unroll
	for (i = 0; i < 6; i++)
		if (i == which)
			value = event->argument[i];
	return value;
}

/* AF_UNIX: what follows the path's end is not of the address. 0 for an abstract one, whose bytes all count. */
static __always_inline int read_socket_path(struct syscall_event *event, int i, u64 length, u64 address)
{
	s32 read;

	length -= 1; /* without the family's two bytes, with one for the end that the helper writes */
	bound_to_127(length);
	read = bpf_probe_read_user_str(event->blob[i] + 2, length, (void *)(address + 2));
	if (read <= 1)
		return 0;
	bpf_probe_read_user(event->blob[i], 2, (void *)address);
	event->length[i] = read + 2;
	return 1;
}

static __always_inline void read_sockaddr(struct syscall_event *event, int i, struct blob_plan *blob, u64 address)
{
	u64 length = argument_of(event, blob->length);
	u16 family = 0;

	if (blob->when == WHEN_RETURNED) { /* the argument is a pointer to the length */
		u32 filled = 0;

		bpf_probe_read_user(&filled, sizeof(filled), (void *)length);
		length = filled;
	}
	if (!bpf_probe_read_user(&family, sizeof(family), (void *)address) && family == 2 && length > 8)
		length = 8; /* AF_INET: what follows the address is padding, not of the address */
	if (length > ADDRESS_BYTES)
		length = ADDRESS_BYTES;
	if (family == 1 && length > 3 && read_socket_path(event, i, length, address))
		return;
	bound_to_127(length);
	event->length[i] = bpf_probe_read_user(event->blob[i], length, (void *)address);
	if (!event->length[i])
		event->length[i] = length;
}

/*
 * Reads what arguments point to. What was not paged in at entry is there at exit, for the kernel has read it; but after
 * an exec the caller's memory is another program's, and what the kernel was to fill in it has not after a failure.
 */
static __always_inline void read_blobs(struct syscall_event *event, struct wanted_syscall *syscall, u32 when)
{
	int failed = when == WHEN_RETURNED && is_error(event->result);
	int replaced = when == WHEN_RETURNED && !failed && syscall->replaces_memory;
	int i;

#pragma unroll
	for (i = 0; i < BLOBS; i++) {
		struct blob_plan *blob = &syscall->blob[i];
		u64 address;

		if (blob->how == READ_NOTHING)
			continue;
		if (blob->when == WHEN_RETURNED ? when != WHEN_RETURNED || failed
						: when == WHEN_RETURNED && (event->length[i] >= 0 || replaced))
			continue;
		address = argument_of(event, blob->argument);
		if (!address)
			continue;
		if (blob->how == READ_STRING)
			event->length[i] = bpf_probe_read_user_str(event->blob[i], BLOB_BYTES, (void *)address);
		else
			read_sockaddr(event, i, blob, address);
	}
}

static __always_inline void keep(struct plan_head *head, struct syscall_event *event, int failed)
{
	u32 slice = slice_of(head, event->timestamp + event->duration), last = BURST;
	struct cursor *cursor = cursors.lookup(&slice), *burst = cursors.lookup(&last);
	s32 slot;

	add_total(TOTAL_CAPTURED);
	if (!cursor || !burst)
		return;
	slot = slot_of(head, cursor, burst, slice, failed, event->duration);
	if (slot >= 0)
		sample.update((u32 *)&slot, event);
}

/* What a call was about: the start of the first thing that its arguments point to, zeros after it. */
static __always_inline void take_key(char *key, struct syscall_event *event)
{
	u32 length = event->length[0];

	__builtin_memset(key, 0, KEY_BYTES);
	if (event->length[0] <= 0)
		return;
	if (length > KEY_BYTES - 1)
		length = KEY_BYTES - 1;
	bound_to_127(length);
	bpf_probe_read_kernel(key, length, event->blob[0]);
}

static __always_inline void count_key(struct syscall_event *event, struct wanted_syscall *syscall)
{
	struct call_key *key;
	u64 first = 0, *count;
	u32 zero = 0;

	key = key_scratch.lookup(&zero);
	if (!key || !syscall || syscall->blob[0].how == READ_NOTHING)
		return;
	take_key(key->key, event);
	count = by_key.lookup(key);
	if (!count) {
		by_key.update(key, &first);
		count = by_key.lookup(key);
	}
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		add_total(TOTAL_OTHER_KEY);
}

static __always_inline void count_latency(u64 duration)
{
	u32 power = 0, step, index, longest = LONGEST;
	u64 *count, rest = duration;

#pragma unroll
	for (step = 32; step; step >>= 1) {
		if (rest >> step) {
			power += step;
			rest >>= step;
		}
	}
	index = power * LATENCY_STEPS;
	if (power >= 2)
		index += (duration >> (power - 2)) & (LATENCY_STEPS - 1);
	count = latency.lookup(&index);
	if (count)
		__sync_fetch_and_add(count, 1);
	count = latency.lookup(&longest);
	if (count && *count < duration)
		*count = duration;
}

static __always_inline void count_failure(struct syscall_event *event, u32 tgid)
{
	struct failure_count first = {}, *count;
	struct failure_key *key;
	u32 zero = 0;

	key = failure_scratch.lookup(&zero);
	if (!key)
		return;
	key->tgid = tgid;
	key->number = event->number;
	key->error = -event->result;
	take_key(key->key, event);
	count = failures.lookup(key);
	if (!count) {
		__builtin_memcpy(first.comm, event->comm, COMM_BYTES);
		failures.update(key, &first);
		count = failures.lookup(key);
	}
	if (count)
		__sync_fetch_and_add(&count->count, 1);
	else
		add_total(TOTAL_OTHER_FAILURE);
}

static __always_inline void count_result(s64 result)
{
	s64 error = is_error(result) ? -result : 0;
	u64 zero = 0, *count = by_result.lookup(&error);

	if (!count) {
		by_result.update(&error, &zero);
		count = by_result.lookup(&error);
	}
	if (count)
		__sync_fetch_and_add(count, 1);
}

static __always_inline void count_syscall(u32 number)
{
	u64 *count = by_syscall.lookup(&number);

	if (count)
		__sync_fetch_and_add(count, 1);
}

/* Whether a call can be judged only when it has returned. */
static __always_inline int counts_at_exit(struct plan_head *head)
{
	return (head->flags & (AT_EXIT | ERRORS_ONLY)) || head->least;
}

static __always_inline int is_wanted_result(struct plan_head *head, s64 result, u64 duration)
{
	return duration >= head->least && (!(head->flags & ERRORS_ONLY) || is_error(result));
}

int on_enter(struct raw_arguments *ctx)
{
	struct caller caller = {};
	struct registers regs = {};
	u32 zero = 0, number = ctx->argument[1];
	struct wanted_syscall *syscall = wanted.lookup(&number);
	struct plan_head *head = plan.lookup(&zero);
	struct syscall_event *event;

	if (!syscall || !syscall->wanted || !head || !passes(head, &caller))
		return 0;
	event = scratch.lookup(&zero);
	if (!event)
		return 0;
	if (!read_registers(&regs, ctx->argument[0])) {
		add_total(TOTAL_COMPAT);
		return 0;
	}
	take_arguments(event, &regs);
	if (counts_at_exit(head)) {
		if (is_own(caller.pid_tgid, caller.shown)) {
			if (!(head->flags & AT_EXIT))
				add_total(TOTAL_OWN);
			return 0;
		}
	} else {
		if (!count_event(&caller))
			return 0;
		count_syscall(number);
	}
	event->timestamp = bpf_ktime_get_ns();
	event->pid_tgid = caller.shown;
	event->duration = 0;
	event->result = 0;
	event->number = number;
	event->entered = 1;
	event->length[0] = 0;
	event->length[1] = 0;
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	read_blobs(event, syscall, WHEN_ENTERED);
	if (syscall->wanted == NEVER_RETURNS)
		keep(head, event, 0);
	else if (in_flight.update(&caller.pid_tgid, event))
		add_total(TOTAL_NOT_PAIRED);
	return 0;
}

/* A return whose entry was not seen: blocked since before the trace, or the first return of a new child. */
static __always_inline void count_lone_return(struct plan_head *head, u64 registers, s64 result)
{
	struct caller caller = {};
	u32 zero = 0, number;
	struct syscall_event *event;
	struct wanted_syscall *syscall;
	struct registers regs = {};

	if (!read_registers(&regs, registers))
		return;
	number = regs.number;
	syscall = wanted.lookup(&number);
	event = scratch.lookup(&zero);
	if (!syscall || !syscall->wanted || !event || !passes(head, &caller))
		return;
	/* How long it took is not known, so it cannot be said to have taken long enough. */
	if (!is_wanted_result(head, result, 0))
		return;
	if (!count_event(&caller))
		return;
	count_syscall(number);
	count_result(result);
	event->timestamp = bpf_ktime_get_ns();
	event->pid_tgid = caller.shown;
	event->duration = 0;
	event->result = result;
	event->number = number;
	event->entered = 0;
	event->length[0] = 0;
	event->length[1] = 0;
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	if (is_error(result)) {
		add_total(TOTAL_ERRORS);
		count_process(caller.shown >> 32, 0, 1);
		count_failure(event, caller.shown >> 32);
	}
	keep(head, event, is_error(result));
}

int on_exit(struct raw_arguments *ctx)
{
	u64 pid_tgid = bpf_get_current_pid_tgid();
	struct syscall_event *event = in_flight.lookup(&pid_tgid);
	u32 zero = 0, tgid, number;
	struct plan_head *head = plan.lookup(&zero);
	struct wanted_syscall *syscall;
	s64 result = ctx->argument[1];

	if (!head)
		return 0;
	if (!event) {
		if (head->flags & AT_EXIT)
			count_lone_return(head, ctx->argument[0], result);
		return 0;
	}
	if (!is_wanted_result(head, result, bpf_ktime_get_ns() - event->timestamp)) {
		in_flight.delete(&pid_tgid);
		return 0;
	}
	number = event->number;
	tgid = event->pid_tgid >> 32;
	event->duration = bpf_ktime_get_ns() - event->timestamp;
	event->result = result;
	syscall = wanted.lookup(&number);
	if (syscall)
		read_blobs(event, syscall, WHEN_RETURNED);
	if (counts_at_exit(head)) {
		add_total(TOTAL_EVENTS);
		count_process(tgid, 1, 0);
		count_syscall(number);
	}
	add_total(TOTAL_RETURNS);
	count_result(result);
	count_key(event, syscall);
	count_latency(event->duration);
	if (is_error(result)) {
		add_total(TOTAL_ERRORS);
		count_process(tgid, 0, 1);
		count_failure(event, tgid);
	}
	keep(head, event, is_error(result));
	in_flight.delete(&pid_tgid);
	return 0;
}
