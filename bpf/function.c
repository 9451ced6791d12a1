// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Kernel functions: entries alone (kprobe), or entries paired with returns (kretprobe).
 *
 * Attached by fentry and fexit where the kernel has them, which miss nothing, else by kprobe and kretprobe. What is
 * read of a call is data: for each field where it starts, which pointers to follow, how many bytes.
 *
 * A call is known by where it is on its stack. No two calls that are under way share that, however deep they recurse,
 * whichever interrupt calls the function again, and wherever the thread moves; only a call that never returned can
 * leave an entry where another call begins.
 */
#define KEY_BYTES 64
#include "pairing.h"

#define FIELDS 32
#define TEXTS 2
#define TEXT_BYTES 384
#define NAME_BYTES 128 /* of one component of a path, with its end */
#define PATH_STEPS 24
#define HOPS 3
#define KEY_PARTS 8

#define START_RESULT 6 /* below: the number of an argument */

#define WHEN_ENTERED 0
#define WHEN_RETURNED 1

/* What a text is. */
#define READ_KERNEL_STRING 1
#define READ_USER_STRING 2
#define READ_KERNEL_BYTES 3
#define READ_USER_BYTES 4
#define READ_PATH 5   /* struct path */
#define READ_DENTRY 6 /* the same without its mount: the path inside its file system */

/* What the result is. */
#define RESULT_NONE 0
#define RESULT_ERRNO 1	 /* -4095 to -1 is an error */
#define RESULT_POINTER 2 /* as well; and there may be none */
#define RESULT_VALUE 3
#define RESULT_BOOL 4

/* Keys of `by_result` that are no errno. */
#define NO_POINTER -1
#define FALSE -2
#define TRUE -3

struct field_plan {
	u8 start; /* the number of an argument, or START_RESULT */
	u8 when;  /* WHEN_* */
	u8 hops;  /* how many pointers to follow */
	u8 size;  /* bytes at the end of the way; 0: what it starts with */
	u32 offset[HOPS + 1];
};

struct text_plan {
	u8 start;
	u8 when;
	u8 hops;
	u8 how; /* READ_* */
	u32 offset[HOPS + 1];
	u32 length; /* of READ_*_BYTES, at most 255 */
};

/* Offsets in bytes. */
struct path_layout {
	u32 path_mnt;
	u32 path_dentry;
	u32 dentry_parent;
	u32 dentry_name;  /* of the pointer to the name */
	u32 vfsmount_root;
	u32 mount_vfsmount; /* where struct mount has its vfsmount */
	u32 mount_parent;
	u32 mount_mountpoint;
};

struct function_plan {
	struct plan_head head;
	struct path_layout path;
	u32 arguments;	 /* how many the function has, at most 6 */
	u32 result;	 /* RESULT_* */
	u32 result_size; /* bytes */
	u32 fields;
	u32 key_parts; /* 0: calls are not counted by what they are about */
	u32 key[KEY_PARTS]; /* which fields that is */
	u32 key_text;  /* 1 + the text that names it; 0: none */
	struct field_plan field[FIELDS];
	struct text_plan text[TEXTS];
};

/*
 * A text that was read, and how far the walk along a path has come. That is kept here and not in variables, because the
 * verifier follows what it knows of a variable through every turn of a loop, and of memory it knows nothing.
 */
struct text {
	u64 mount;
	u64 dentry;
	u32 used;
	s32 length; /* bytes; negative: the errno of reading it */
	char bytes[TEXT_BYTES];
};

struct function_event {
	struct call call;
	u64 value[FIELDS];
	u64 readable; /* which fields could be read, a bit for each */
	struct text text[TEXTS];
};

#if defined(__x86_64__)
struct registers {
	u64 r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, number, ip, cs, flags, sp;
};
#define RETURN_ADDRESS_BYTES 8 /* what a call puts on the stack and a return takes from it */
#elif defined(__aarch64__)
struct registers {
	u64 regs[31], sp, pc, pstate;
};
#define RETURN_ADDRESS_BYTES 0
#else
#error "This architecture's calling convention is not known here."
#endif

BPF_TABLE("array", u32, struct function_plan, plan, 1);
BPF_TABLE("array", u32, struct function_event, blank, 1);
BPF_TABLE("hash", u64, struct function_event, in_flight, 1); /* sized when it is loaded */
BPF_TABLE("hash", struct call_key, struct text, labels, 1024);
BPF_TABLE("array", u32, struct function_event, sample, 1); /* sized when it is loaded */

/* Change nothing: the compiler loses a bound that it has proved, and the verifier wants to see one. */
#define bound_to_15(value) asm volatile("%0 &= 15" : "+r"(value))
#define bound_to_255(value) asm volatile("%0 &= 255" : "+r"(value))
#define bound_to_texts(value) asm volatile("%0 &= 1" : "+r"(value))
#define bound_to_fields(value) asm volatile("%0 &= 31" : "+r"(value))

/* The compiler reads again what it has in variables, of which the verifier knows more than helps it (see struct text). */
#define forget() asm volatile("" : : : "memory")

static __always_inline u64 start_of(struct call *call, u32 which)
{
	u64 value = call->result;
	int i;

#pragma unroll
	for (i = 0; i < 6; i++)
		if (i == which)
			value = call->argument[i];
	return value;
}

/* Follows pointers; 0 where one cannot be read. The end is in `at`. */
static __always_inline int follow(u64 *at, u32 hops, u32 *offset)
{
	u64 address = *at;
	int i;

#pragma unroll
	for (i = 0; i < HOPS; i++) {
		u64 next = 0;

		if (i >= hops)
			break;
		if (bpf_probe_read_kernel(&next, sizeof(next), (void *)(address + offset[i])) || !next)
			return 0;
		address = next;
	}
	*at = address + offset[hops & HOPS];
	return 1;
}

static __always_inline int read_field(struct call *call, struct field_plan *field, u64 *value)
{
	u64 at = start_of(call, field->start), read[2] = {};
	u32 size = field->size;

	if (!size && !field->hops) {
		*value = at;
		return 1;
	}
	if (!at || !follow(&at, field->hops, field->offset))
		return 0;
	bound_to_15(size);
	if (bpf_probe_read_kernel(read, size, (void *)at))
		return 0;
	*value = read[0];
	return 1;
}

static __always_inline void read_fields(struct function_plan *wanted, struct function_event *event, u32 when)
{
	u32 i;

#pragma clang loop unroll(disable)
	for (i = 0; i < FIELDS; i++) {
		struct field_plan *field = &wanted->field[i];
		u64 value = 0;

		if (i >= wanted->fields)
			break;
		if (field->when != when)
			continue;
		if (read_field(&event->call, field, &value)) {
			event->value[i] = value;
			event->readable |= 1ULL << i;
		}
	}
}

/* One step up from a file to the root; 0 at the end. */
static __always_inline int step_up(struct path_layout *layout, struct text *text)
{
	u64 parent = 0, name = 0, root = 0, above = 0, mount = text->mount, dentry = text->dentry;
	u32 place = text->used;
	s32 length;

	if (place > 255)
		return 0;
	bound_to_255(place);
	if (mount) {
		bpf_probe_read_kernel(&root, sizeof(root), (void *)(mount + layout->mount_vfsmount + layout->vfsmount_root));
		if (root == dentry) {
			bpf_probe_read_kernel(&above, sizeof(above), (void *)(mount + layout->mount_parent));
			if (!above || above == mount) {
				text->bytes[place] = '/';
				text->bytes[place + 1] = 0;
				text->used += 2;
				return 0;
			}
			bpf_probe_read_kernel(&dentry, sizeof(dentry), (void *)(mount + layout->mount_mountpoint));
			text->dentry = dentry;
			text->mount = above;
			return 1;
		}
	}
	bpf_probe_read_kernel(&parent, sizeof(parent), (void *)(dentry + layout->dentry_parent));
	bpf_probe_read_kernel(&name, sizeof(name), (void *)(dentry + layout->dentry_name));
	length = bpf_probe_read_kernel_str(text->bytes + place, NAME_BYTES, (void *)name);
	if (length <= 0)
		return 0;
	text->used += length;
	text->dentry = parent;
	return parent && parent != dentry;
}

/* The names from a file up to the root, each with its end; the last is "/" if there was room for all. */
static __always_inline void read_path(struct path_layout *layout, struct text *text, u64 vfsmount, u64 dentry)
{
	u32 i;

	text->mount = vfsmount ? vfsmount - layout->mount_vfsmount : 0;
	text->dentry = dentry;
	text->used = 0;
#pragma clang loop unroll(disable)
	for (i = 0; i < PATH_STEPS; i++)
		if (!step_up(layout, text))
			break;
	text->length = text->used ? text->used : -14; /* EFAULT */
}

static __always_inline void read_text(struct function_plan *wanted, struct text_plan *plan, struct call *call,
				      struct text *text)
{
	u64 at = start_of(call, plan->start), vfsmount = 0, dentry;
	u32 length = plan->length, how = plan->how;
	s32 read = 0;

	text->length = 0;
	if (!at)
		return;
	if (!follow(&at, plan->hops, plan->offset)) {
		text->length = -14; /* EFAULT */
		return;
	}
	if (how == READ_KERNEL_STRING) {
		text->length = bpf_probe_read_kernel_str(text->bytes, TEXT_BYTES, (void *)at);
	} else if (how == READ_USER_STRING) {
		text->length = bpf_probe_read_user_str(text->bytes, TEXT_BYTES, (void *)at);
	} else if (how == READ_KERNEL_BYTES || how == READ_USER_BYTES) {
		bound_to_255(length);
		if (how == READ_KERNEL_BYTES)
			read = bpf_probe_read_kernel(text->bytes, length, (void *)at);
		else
			read = bpf_probe_read_user(text->bytes, length, (void *)at);
		text->length = read ? read : length;
	} else {
		dentry = at;
		if (how == READ_PATH) {
			bpf_probe_read_kernel(&vfsmount, sizeof(vfsmount), (void *)(at + wanted->path.path_mnt));
			bpf_probe_read_kernel(&dentry, sizeof(dentry), (void *)(at + wanted->path.path_dentry));
		}
		if (dentry)
			read_path(&wanted->path, text, vfsmount, dentry);
	}
}

/* Reads texts; what the caller had not paged in when it entered is there when it returns. */
static __always_inline void read_texts(struct function_plan *wanted, struct function_event *event, u32 when)
{
	u32 i;

#pragma clang loop unroll(disable)
	for (i = 0; i < TEXTS; i++) {
		struct text_plan *plan = &wanted->text[i];
		int again = when == WHEN_RETURNED && event->text[i].length < 0 &&
			    (plan->how == READ_USER_STRING || plan->how == READ_USER_BYTES);

		if (!plan->how || (plan->when != when && !again))
			continue;
		read_text(wanted, plan, &event->call, &event->text[i]);
	}
}

/* The key of a call of which the fields have been read. */
static __always_inline void take_key(struct function_plan *wanted, struct function_event *event, u64 *part)
{
	u32 i;

#pragma unroll
	for (i = 0; i < KEY_PARTS; i++) {
		u64 which = wanted->key[i];

		bound_to_fields(which);
		if (i < wanted->key_parts)
			part[i] = event->value[which];
	}
}

/* The key of a call of which nothing has been read. */
static __always_inline void read_key(struct function_plan *wanted, struct call *call, u64 *part)
{
	u32 i;

#pragma unroll
	for (i = 0; i < KEY_PARTS; i++) {
		u64 which = wanted->key[i];

		bound_to_fields(which);
		if (i < wanted->key_parts)
			read_field(call, &wanted->field[which], &part[i]);
	}
}

/* A key that was not there before gets a name, if it needs one: what was read already, or what is read now. */
static __always_inline void name_key(struct function_plan *wanted, struct call_key *key, struct call *call,
				     struct function_event *event)
{
	u64 which = wanted->key_text - 1;
	struct function_event *nothing;
	u32 zero = 0;
	struct text *label;

	if (!wanted->key_text || labels.lookup(key))
		return;
	bound_to_texts(which);
	if (event) {
		labels.update(key, &event->text[which]);
		return;
	}
	nothing = blank.lookup(&zero);
	if (!nothing || labels.update(key, &nothing->text[0]))
		return;
	label = labels.lookup(key);
	if (label)
		read_text(wanted, &wanted->text[which], call, label);
}

static __always_inline s64 result_of(struct function_plan *wanted, u64 returned)
{
	if (wanted->result == RESULT_BOOL)
		return returned & 1;
	if (wanted->result_size == 4)
		return wanted->result == RESULT_ERRNO ? (s64)(s32)returned : (u32)returned;
	if (wanted->result_size == 2)
		return wanted->result == RESULT_ERRNO ? (s64)(s16)returned : (u16)returned;
	if (wanted->result_size == 1)
		return wanted->result == RESULT_ERRNO ? (s64)(s8)returned : (u8)returned;
	return returned;
}

static __always_inline int has_failed(struct function_plan *wanted, s64 result)
{
	return (wanted->result == RESULT_ERRNO || wanted->result == RESULT_POINTER) && is_error(result);
}

static __always_inline s64 result_key(struct function_plan *wanted, s64 result)
{
	if (has_failed(wanted, result))
		return -result;
	if (wanted->result == RESULT_POINTER && !result)
		return NO_POINTER;
	if (wanted->result == RESULT_BOOL)
		return result ? TRUE : FALSE;
	return 0;
}

static __always_inline void begin(struct call *call, struct caller *caller, u32 entered)
{
	call->timestamp = bpf_ktime_get_ns();
	call->pid_tgid = caller->shown;
	call->thread = caller->pid_tgid;
	call->entered = entered;
	bpf_get_current_comm(call->comm, sizeof(call->comm));
}

/* Room in the sample for a call of which nothing was read until now, or 0. */
static __always_inline struct function_event *keep(struct function_plan *wanted, struct call *call, int failed)
{
	s32 slot = slot_of_call(&wanted->head, call, failed);
	struct function_event *event;

	if (slot < 0)
		return 0;
	event = sample.lookup((u32 *)&slot);
	if (!event)
		return 0;
	event->call = *call;
	event->readable = 0;
	event->text[0].length = 0;
	event->text[1].length = 0;
	return event;
}

/* An entry, where returns are not watched. */
static __always_inline void count_entry(struct function_plan *wanted, struct caller *caller, struct call *call)
{
	struct function_event *event;
	struct call_key key = {};

	if (!count_event(caller))
		return;
	begin(call, caller, 1);
	if (wanted->key_parts) {
		read_key(wanted, call, (u64 *)key.key);
		name_key(wanted, &key, call, 0);
		count_key(&key);
	}
	event = keep(wanted, call, 0);
	if (event) {
		read_fields(wanted, event, WHEN_ENTERED);
		read_texts(wanted, event, WHEN_ENTERED);
	}
}

/* An entry that waits for its return. */
static __always_inline void await_return(struct function_plan *wanted, struct caller *caller, struct call *call,
					 u64 frame)
{
	struct function_event *event;
	u32 zero = 0;

	if (is_own(caller->pid_tgid, caller->shown))
		return; /* its return is counted, apart */
	event = blank.lookup(&zero);
	if (!event)
		return;
	if (in_flight.lookup(&frame))
		add_total(TOTAL_NOT_RETURNED);
	if (in_flight.update(&frame, event)) {
		add_total(TOTAL_NOT_PAIRED);
		return;
	}
	event = in_flight.lookup(&frame);
	if (!event)
		return;
	begin(call, caller, 1);
	event->call = *call;
	read_fields(wanted, event, WHEN_ENTERED);
	read_texts(wanted, event, WHEN_ENTERED);
	add_total(TOTAL_ENTRIES);
}

static __always_inline void enter(struct call *call, u64 frame)
{
	struct caller caller = {};
	u32 zero = 0;
	struct function_plan *wanted = plan.lookup(&zero);

	if (!wanted || !passes(&wanted->head, &caller))
		return;
	if (wanted->head.flags & AT_EXIT)
		await_return(wanted, &caller, call, frame);
	else
		count_entry(wanted, &caller, call);
}

/* A return whose entry was not kept: of our own process tree, or `in_flight` was full. */
static __always_inline void count_lone_return(struct function_plan *wanted, s64 result)
{
	struct caller caller = {};
	struct call call = {};

	if (!passes(&wanted->head, &caller))
		return;
	/* How long it took is not known, so it cannot be said to have taken long enough. */
	if (!is_wanted_result(&wanted->head, has_failed(wanted, result), 0) || !count_event(&caller))
		return;
	begin(&call, &caller, 0);
	call.result = result;
	if (wanted->result)
		count_result(result_key(wanted, result));
	if (has_failed(wanted, result)) {
		add_total(TOTAL_ERRORS);
		count_process(caller.shown >> 32, 0, 1);
	}
	keep(wanted, &call, has_failed(wanted, result));
}

static __always_inline void count_failed(struct function_event *event, struct call_key *key)
{
	struct failure_key failure = {};

	__builtin_memcpy(failure.key, key->key, KEY_BYTES);
	count_failure(&failure, &event->call);
}

/* Reads what there is to read at the return; 0 for a call that is not wanted. */
static __always_inline int complete(struct function_plan *wanted, struct function_event *event)
{
	event->call.duration = bpf_ktime_get_ns() - event->call.timestamp;
	if (!is_wanted_result(&wanted->head, has_failed(wanted, event->call.result), event->call.duration))
		return 0;
	read_fields(wanted, event, WHEN_RETURNED);
	read_texts(wanted, event, WHEN_RETURNED);
	return 1;
}

static __always_inline void count_return(struct function_plan *wanted, struct function_event *event)
{
	s64 result = event->call.result;
	int failed = has_failed(wanted, result);
	u32 tgid = event->call.pid_tgid >> 32;
	struct call_key key = {};
	s32 slot;

	add_total(TOTAL_EVENTS);
	add_total(TOTAL_RETURNS);
	count_process(tgid, 1, 0);
	count_latency(event->call.duration);
	if (wanted->key_parts) {
		take_key(wanted, event, (u64 *)key.key);
		name_key(wanted, &key, &event->call, event);
		count_key(&key);
	}
	if (wanted->result)
		count_result(result_key(wanted, result));
	if (failed) {
		add_total(TOTAL_ERRORS);
		count_process(tgid, 0, 1);
		count_failed(event, &key);
	}
	slot = slot_of_call(&wanted->head, &event->call, failed);
	if (slot >= 0)
		sample.update((u32 *)&slot, event);
}

static __always_inline void leave(u64 returned, u64 frame)
{
	u32 zero = 0;
	struct function_plan *wanted = plan.lookup(&zero);
	struct function_event *event;

	if (!wanted)
		return;
	event = in_flight.lookup(&frame);
	if (!event) {
		count_lone_return(wanted, result_of(wanted, returned));
		return;
	}
	/* What another process left here never returned; a thread may have become its leader by exec. */
	if (event->call.thread >> 32 != bpf_get_current_pid_tgid() >> 32) {
		add_total(TOTAL_NOT_RETURNED);
	} else {
		*(volatile s64 *)&event->call.result = result_of(wanted, returned);
		forget();
		if (complete(wanted, event)) {
			forget();
			count_return(wanted, event);
		}
	}
	in_flight.delete(&frame);
}

/* The context as a number, to which the verifier lets data be added. */
static __always_inline u64 address_of(void *ctx)
{
	void *volatile held = ctx;
	u64 address = 0;

	bpf_probe_read_kernel(&address, sizeof(address), (void *)&held);
	return address;
}

/* kprobe */
int on_entry(struct registers *ctx)
{
	struct call call = {};

#if defined(__x86_64__)
	call.argument[0] = ctx->di;
	call.argument[1] = ctx->si;
	call.argument[2] = ctx->dx;
	call.argument[3] = ctx->cx;
	call.argument[4] = ctx->r8;
	call.argument[5] = ctx->r9;
#elif defined(__aarch64__)
	call.argument[0] = ctx->regs[0];
	call.argument[1] = ctx->regs[1];
	call.argument[2] = ctx->regs[2];
	call.argument[3] = ctx->regs[3];
	call.argument[4] = ctx->regs[4];
	call.argument[5] = ctx->regs[5];
#endif
	enter(&call, ctx->sp);
	return 1; /* 0 would take the event away from every other user of this probe */
}

/* kretprobe */
int on_return(struct registers *ctx)
{
#if defined(__x86_64__)
	leave(ctx->ax, ctx->sp - RETURN_ADDRESS_BYTES);
#elif defined(__aarch64__)
	leave(ctx->regs[0], ctx->sp - RETURN_ADDRESS_BYTES);
#endif
	return 1;
}

/* fentry: the context is an array of the arguments */
int on_fentry(void *ctx)
{
	u32 zero = 0, i;
	struct function_plan *wanted = plan.lookup(&zero);
	struct call call = {};
	u64 address = address_of(ctx);

	if (!wanted)
		return 0;
#pragma unroll
	for (i = 0; i < 6; i++)
		if (i < wanted->arguments)
			bpf_probe_read_kernel(&call.argument[i], sizeof(u64), (void *)(address + i * sizeof(u64)));
	enter(&call, address);
	return 0;
}

/* fexit: the same, and behind them what is returned */
int on_fexit(void *ctx)
{
	u32 zero = 0;
	struct function_plan *wanted = plan.lookup(&zero);
	u64 address = address_of(ctx), returned = 0;

	if (!wanted)
		return 0;
	bpf_probe_read_kernel(&returned, sizeof(returned), (void *)(address + wanted->arguments * 8));
	leave(returned, address);
	return 0;
}
