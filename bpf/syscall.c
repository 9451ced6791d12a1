// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * System calls, entry together with exit, from the raw tracepoints sys_enter and sys_exit.
 *
 * The arguments are kept at entry and completed at exit with the result and the duration. Which system calls are
 * wanted, and which of their arguments point to something worth reading, is data (map `wanted`, by number).
 */
#define KEY_BYTES 128
#include "pairing.h"

#define SYSCALLS 1024
#define REGISTERS 64 /* words that are copied at most; a power of two */
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
	struct call call;
	s32 length[BLOBS]; /* bytes of each blob; negative: the errno of reading it */
	char blob[BLOBS][BLOB_BYTES];
};

/* Where the kernel keeps a caller's registers: which of them to copy, and which is what. */
struct call_registers {
	u64 mode;	 /* the bits of a register that tell how the caller runs, */
	u64 wide;	 /* and what they are for a caller of 64 bits */
	u32 start;	 /* in bytes */
	u32 length;	 /* in bytes */
	u32 mode_at;	 /* in words of the copy, as the following */
	u32 number_at;
	u32 argument[6];
};

struct syscall_plan {
	struct plan_head head;
	struct call_registers registers;
};

/* In one value: a per-CPU array of many entries takes milliseconds to make. */
struct syscall_counts {
	u64 count[SYSCALLS];
};

struct scratch {
	struct syscall_event event;
	u64 registers[REGISTERS];
};

BPF_TABLE("array", u32, struct syscall_plan, plan, 1);
BPF_TABLE("array", u32, struct wanted_syscall, wanted, SYSCALLS);
BPF_TABLE("percpu_array", u32, struct syscall_counts, by_syscall, 1);
BPF_TABLE("hash", u64, struct syscall_event, in_flight, 8192);
BPF_TABLE("percpu_array", u32, struct scratch, scratch, 2); /* of entries, and of returns, which may come between */
BPF_TABLE("percpu_array", u32, struct failure_key, failure_scratch, 1);
BPF_TABLE("percpu_array", u32, struct call_key, key_scratch, 1);
BPF_TABLE("array", u32, struct syscall_event, sample, 1); /* sized when it is loaded */

/* Changes nothing: the compiler loses a bound that it has proved, and the verifier wants to see one. */
#define bound_to_127(value) asm volatile("%0 &= 127" : "+r"(value))
#define bound_to_7(value) asm volatile("%0 &= 7" : "+r"(value))

struct raw_arguments {
	u64 argument[2];
};

/* A register of the copy. */
static __always_inline u64 register_at(struct scratch *room, u32 word)
{
	return room->registers[word & (REGISTERS - 1)];
}

/* Copies the registers of a call; 0 for a 32-bit caller, whose numbers mean other calls. */
static __always_inline int read_registers(struct scratch *room, struct call_registers *known, u64 address)
{
	u32 length = known->length;

	if (length > sizeof(room->registers))
		return 0;
	bpf_probe_read_kernel(room->registers, length, (void *)(address + known->start));
	return (register_at(room, known->mode_at) & known->mode) == known->wide;
}

/* The arguments, by the calling convention of system calls. */
static __always_inline void take_arguments(struct scratch *room, struct call_registers *known)
{
	int i;

#pragma unroll
	for (i = 0; i < 6; i++)
		room->event.call.argument[i] = register_at(room, known->argument[i]);
}

/* An argument chosen by data, 0 to 5. */
static __always_inline u64 argument_of(struct syscall_event *event, u64 which)
{
	bound_to_7(which); /* two more are within the event as well */
	return event->call.argument[which];
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
	int failed = when == WHEN_RETURNED && is_error(event->call.result);
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

static __always_inline void keep(struct plan_head *head, struct syscall_event *event)
{
	s32 slot = slot_of_call(head, &event->call, is_error(event->call.result));

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

static __always_inline void count_about(struct syscall_event *event, struct wanted_syscall *syscall)
{
	struct call_key *key;
	u32 zero = 0;

	key = key_scratch.lookup(&zero);
	if (!key || !syscall || syscall->blob[0].how == READ_NOTHING)
		return;
	take_key(key->key, event);
	count_key(key);
}

static __always_inline void count_failed(struct syscall_event *event)
{
	struct failure_key *key;
	u32 zero = 0;

	key = failure_scratch.lookup(&zero);
	if (!key)
		return;
	take_key(key->key, event);
	count_failure(key, &event->call);
}

static __always_inline void count_syscall(u32 number)
{
	u32 zero = 0;
	struct syscall_counts *counts = by_syscall.lookup(&zero);

	if (counts && number < SYSCALLS)
		__sync_fetch_and_add(&counts->count[number], 1);
}

static __always_inline void begin(struct syscall_event *event, struct caller *caller, u32 number, u32 entered)
{
	event->call.timestamp = bpf_ktime_get_ns();
	event->call.pid_tgid = caller->shown;
	event->call.thread = caller->pid_tgid;
	event->call.duration = 0;
	event->call.result = 0;
	event->call.number = number;
	event->call.entered = entered;
	event->length[0] = 0;
	event->length[1] = 0;
	bpf_get_current_comm(event->call.comm, sizeof(event->call.comm));
}

int on_enter(struct raw_arguments *ctx)
{
	struct caller caller = {};
	u32 zero = 0, number = ctx->argument[1];
	u64 frame = ctx->argument[0];
	struct wanted_syscall *syscall = wanted.lookup(&number);
	struct syscall_plan *wish = plan.lookup(&zero);
	struct plan_head *head = &wish->head;
	struct syscall_event *event;
	struct scratch *room;

	if (!syscall || !syscall->wanted || !wish || counts_returns_alone(head) || !passes(head, &caller))
		return 0;
	room = scratch.lookup(&zero);
	if (!room)
		return 0;
	if (!read_registers(room, &wish->registers, frame)) {
		add_total(TOTAL_COMPAT);
		return 0;
	}
	event = &room->event;
	take_arguments(room, &wish->registers);
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
		if (head->flags & COUNT_ONLY)
			return 0;
	}
	begin(event, &caller, number, 1);
	if (!(head->flags & COUNT_ONLY))
		read_blobs(event, syscall, WHEN_ENTERED);
	if (syscall->wanted == NEVER_RETURNS)
		keep(head, event);
	else if (in_flight.update(&frame, event))
		add_total(TOTAL_NOT_PAIRED);
	return 0;
}

/* What a return adds, once it is known to be wanted. */
static __always_inline void count_return(struct syscall_event *event)
{
	s64 error = 0;

	if (is_error(event->call.result)) {
		error = -event->call.result;
		add_total(TOTAL_ERRORS);
		count_process(event->call.pid_tgid >> 32, 0, 1);
		count_failed(event);
	}
	count_result(error);
}

/* A return whose entry was not seen: blocked since before the trace, or the first return of a new child. */
static __always_inline void count_lone_return(struct syscall_plan *wish, u64 registers, s64 result)
{
	struct caller caller = {};
	u32 second = 1, number;
	struct plan_head *head = &wish->head;
	struct syscall_event *event;
	struct wanted_syscall *syscall;
	struct scratch *room = scratch.lookup(&second);

	if (!room || !read_registers(room, &wish->registers, registers))
		return;
	event = &room->event;
	number = register_at(room, wish->registers.number_at);
	syscall = wanted.lookup(&number);
	if (!syscall || !syscall->wanted || !passes(head, &caller))
		return;
	/* How long it took is not known, so it cannot be said to have taken long enough. */
	if (!is_wanted_result(head, is_error(result), 0))
		return;
	if (!count_event(&caller))
		return;
	count_syscall(number);
	if (head->flags & COUNT_ONLY)
		return;
	begin(event, &caller, number, 0);
	event->call.result = result;
	count_return(event);
	keep(head, event);
}

/*
 * Whether an entry is that of the call which returns now: a thread that died in a call leaves its entry, and its stack to
 * another thread. An exec by a thread that is not the leader returns as the leader.
 */
static __always_inline int is_same_call(struct call *call, u64 pid_tgid, struct wanted_syscall *syscall)
{
	return call->thread == pid_tgid || (syscall->replaces_memory && call->thread >> 32 == pid_tgid >> 32);
}

int on_exit(struct raw_arguments *ctx)
{
	u64 frame = ctx->argument[0]; /* where the kernel keeps the caller's registers: one place for each thread */
	struct syscall_event *event = in_flight.lookup(&frame);
	u32 zero = 0, number;
	struct syscall_plan *wish = plan.lookup(&zero);
	struct plan_head *head = &wish->head;
	struct wanted_syscall *syscall = 0;
	s64 result = ctx->argument[1];

	if (!wish || (head->flags & STOPPED))
		return 0;
	if (event) {
		number = event->call.number;
		syscall = wanted.lookup(&number);
		if (syscall && !is_same_call(&event->call, bpf_get_current_pid_tgid(), syscall)) {
			in_flight.delete(&frame);
			event = 0;
		}
	}
	if (!event || !syscall) {
		if (head->flags & AT_EXIT)
			count_lone_return(wish, frame, result);
		return 0;
	}
	event->call.duration = bpf_ktime_get_ns() - event->call.timestamp;
	if (!is_wanted_result(head, is_error(result), event->call.duration)) {
		in_flight.delete(&frame);
		return 0;
	}
	event->call.result = result;
	if (counts_at_exit(head)) {
		add_total(TOTAL_EVENTS);
		count_process(event->call.pid_tgid >> 32, 1, 0);
		count_syscall(number);
	}
	if (head->flags & COUNT_ONLY) {
		in_flight.delete(&frame);
		return 0;
	}
	read_blobs(event, syscall, WHEN_RETURNED);
	add_total(TOTAL_RETURNS);
	count_return(event);
	count_about(event, syscall);
	count_latency(event->call.duration);
	keep(head, event);
	in_flight.delete(&frame);
	return 0;
}
