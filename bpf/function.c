// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Kernel functions: entries alone (kprobe), or entries paired with returns (kretprobe).
 *
 * Attached by fentry and fexit where the kernel has them, else by kprobe and kretprobe. What is
 * read of a call is data: step by step from an argument along pointers to values.
 *
 * A call is known by where it is on its stack. No two calls that are under way share that, however deep they recurse,
 * whichever interrupt calls the function again, and wherever the thread moves; only a call that never returned, or whose
 * return was lost, can leave an entry where another call begins.
 */
#define KEY_BYTES 64
#include "pairing.h"

#define VALUES 32
#define STEPS 64
#define TEXTS 2
#define TEXT_BYTES 384
#define NAME_BYTES 128 /* of one component of a path, with its end */
#define PATH_STEPS 24
#define KEY_PARTS 8

#define NESTED 4 /* a thread, and three kinds of interrupts */

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
#define RESULT_ALLOCATION 5 /* a pointer, and that there is none is a failure */

/* Keys of `by_result` that are no errno. */
#define NO_POINTER -1
#define FALSE -2
#define TRUE -3

/*
 * One step on the way to a value: from an argument, or from where the last step came, to what is some bytes further.
 * A value behind two pointers takes three steps.
 */
struct step {
	u8 start;   /* which word of a call, from its first argument on */
	u8 size;    /* bytes to read; 0: nothing is read, the place itself is the value */
	u8 into;    /* which value this is; each step before the last writes to NO_VALUE */
	u8 cut;     /* bits above the value, where nothing is read: of a smaller argument they may be anything */
	s32 offset; /* bytes; negative for the struct around what is pointed at */
};

#define START_RESULT 6
#define START_PLACE 7 /* where the last step came */
#define NO_VALUE (VALUES - 1)

struct text_plan {
	u8 how;	   /* READ_* */
	u8 when;   /* WHEN_* */
	u8 place;  /* which value says where it is */
	u8 length; /* bytes, of READ_*_BYTES */
};

/*
 * Where a program finds things, as offsets in its context: the registers for a kprobe, an array of arguments for fentry.
 * So one program serves both, and no architecture's calling convention is in here.
 */
struct context_layout {
	u32 argument[6];
	u32 returned;
	u32 stack; /* where the stack pointer is; NO_STACK: the context itself is on the stack, at a place of its own */
	u32 above; /* by how many bytes the stack pointer is higher when a call returns than when it began */
	u32 unused;
};

#define NO_STACK 0xffffffff

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
	struct context_layout context;
	struct path_layout path;
	u32 arguments;	 /* how many the function has, at most 6 */
	u32 result;	 /* RESULT_* */
	u32 result_size; /* bytes */
	u32 steps;	  /* at the entry */
	u32 key_steps;	  /* so many of them, the first, give all that the key is made of */
	u32 return_steps; /* at the return, behind the others */
	u32 key_parts;	/* 0: calls are not counted by what they are about */
	u32 key[KEY_PARTS]; /* which values that is */
	u32 key_text; /* 1 + the text that names it; 0: none */
	u32 text_is_key; /* its bytes are a part of the key: a string, of which nothing else is known */
	u32 unused;
	struct step step[STEPS];
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
	u64 value[VALUES];
	u64 readable; /* which values could be read, a bit for each */
	struct call_key key; /* what the call is about */
	struct text text[TEXTS];
};

BPF_TABLE("array", u32, struct function_plan, plan, 1);
BPF_TABLE("percpu_array", u32, u32, nesting, 1);
BPF_TABLE("percpu_array", u32, struct function_event, room, NESTED);
BPF_TABLE("hash", u64, struct function_event, in_flight, 1); /* sized when it is loaded */
BPF_TABLE("hash", struct call_key, struct text, labels, 1024);
BPF_TABLE("array", u32, struct function_event, sample, 1); /* sized when it is loaded */

/* Change nothing: the compiler loses a bound that it has proved, and the verifier wants to see one. */
#define bound_to_15(value) asm volatile("%0 &= 15" : "+r"(value))
#define bound_to_255(value) asm volatile("%0 &= 255" : "+r"(value))
#define bound_to_texts(value) asm volatile("%0 &= 1" : "+r"(value))
#define bound_to_words(value) asm volatile("%0 &= 7" : "+r"(value))
#define bound_to_steps(value) asm volatile("%0 &= 63" : "+r"(value))
#define bound_to_values(value) asm volatile("%0 &= 31" : "+r"(value))

/* The compiler reads again what it has in variables, of which the verifier knows more than helps it (see struct text). */
#define forget() asm volatile("" : : : "memory")

/*
 * What cannot be read is 0, and so is all that is behind it. Without branches, or the verifier would follow every way
 * through all of the steps.
 */
static __always_inline void take_step(struct function_event *event, struct step *step)
{
	u64 start = step->start, into = step->into, size = step->size, from, value[2] = {};
	s64 status = 0;

	bound_to_words(start);
	bound_to_values(into);
	bound_to_15(size);
	from = event->call.argument[start] + step->offset;
	if (size)
		status = bpf_probe_read_kernel(value, size, (void *)from); /* zeros, where it fails */
	else
		value[0] = from << step->cut >> step->cut;
	event->call.place = value[0];
	event->value[into] = value[0];
	event->readable |= (((u64)status >> 63) ^ 1) << into;
}

static __always_inline void take_steps(struct function_plan *wanted, struct function_event *event, u32 first, u32 count)
{
	volatile u32 *steps = &event->call.number; /* which only system calls have */
	u32 i;

	*steps = count;
#pragma clang loop unroll(disable)
	for (i = 0; i < STEPS; i++) {
		u64 which = first + i;

		if (i >= *steps)
			break;
		bound_to_steps(which);
		take_step(event, &wanted->step[which]);
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

static __always_inline void read_text(struct function_plan *wanted, struct text_plan *plan,
				      struct function_event *event, struct text *text)
{
	u64 place = plan->place, at, vfsmount = 0, dentry;
	u32 length = plan->length, how = plan->how;
	s32 read = 0;

	text->length = 0;
	bound_to_values(place);
	at = event->value[place];
	if (at < 4096) /* no pointer, or nothing but an offset from none */
		return;
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
		read_text(wanted, plan, event, &event->text[i]);
	}
}

/* A number that texts have in common only if they are the same. */
static __always_inline u64 hash_of(struct text *text)
{
	u64 hash = 0;
	u32 i;

#pragma clang loop unroll(disable)
	for (i = 0; i < TEXT_BYTES / 8; i++) {
		s32 left = text->length - (s32)(i * 8);
		u64 word = ((u64 *)text->bytes)[i];

		if (left <= 0)
			break;
		if (left < 8)
			word <<= 64 - 8 * left; /* what is behind the end is of another text */
		hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL; /* 2^64 by the golden ratio */
		hash ^= hash >> 29;
	}
	return hash;
}

static __always_inline void take_key(struct function_plan *wanted, struct function_event *event)
{
	u64 *part = (u64 *)event->key.key;
	u32 i;

#pragma unroll
	for (i = 0; i < KEY_PARTS; i++) {
		u64 which = wanted->key[i];

		bound_to_values(which);
		part[i] = i < wanted->key_parts ? event->value[which] : 0;
	}
}

static __always_inline void add_text_to_key(struct function_plan *wanted, struct function_event *event)
{
	u64 *part = (u64 *)event->key.key, which = wanted->key_text - 1;

	if (!wanted->text_is_key)
		return;
	bound_to_texts(which);
	part[KEY_PARTS - 1] ^= hash_of(&event->text[which]);
}

/* Whether a key has no name yet, and needs one. */
static __always_inline int is_nameless(struct function_plan *wanted, struct function_event *event)
{
	return wanted->key_text && !labels.lookup(&event->key);
}

static __always_inline void count_about(struct function_plan *wanted, struct function_event *event)
{
	u64 which = wanted->key_text - 1;

	if (!wanted->key_parts && !wanted->text_is_key)
		return;
	bound_to_texts(which);
	if (is_nameless(wanted, event))
		labels.update(&event->key, &event->text[which]);
	count_key(&event->key);
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

static __always_inline int is_pointer(struct function_plan *wanted)
{
	return wanted->result == RESULT_POINTER || wanted->result == RESULT_ALLOCATION;
}

static __always_inline int has_failed(struct function_plan *wanted, s64 result)
{
	if (wanted->result == RESULT_ALLOCATION && !result)
		return 1;
	return (wanted->result == RESULT_ERRNO || is_pointer(wanted)) && is_error(result);
}

static __always_inline s64 result_key(struct function_plan *wanted, s64 result)
{
	if (is_pointer(wanted) && !result)
		return NO_POINTER;
	if (has_failed(wanted, result))
		return -result;
	if (wanted->result == RESULT_BOOL)
		return result ? TRUE : FALSE;
	return 0;
}

static __always_inline void begin(struct function_event *event, struct caller *caller)
{
	event->call.timestamp = bpf_ktime_get_ns();
	event->call.pid_tgid = caller->shown;
	event->call.thread = caller->pid_tgid;
	event->call.duration = 0;
	event->call.result = 0;
	event->call.number = 0;
	event->call.entered = 1;
	bpf_get_current_comm(event->call.comm, sizeof(event->call.comm));
	__builtin_memset(event->value, 0, sizeof(event->value));
	event->readable = 0;
	event->text[0].length = 0;
	event->text[1].length = 0;
}

/* What an entry adds, where returns are not watched. */
static __always_inline void count_entry(struct function_plan *wanted, struct function_event *event, s32 slot)
{
	count_about(wanted, event);
	if (slot >= 0)
		sample.update((u32 *)&slot, event);
}

static __always_inline void await_return(struct function_event *event, u64 frame)
{
	if (in_flight.lookup(&frame))
		add_total(TOTAL_NOT_RETURNED);
	if (in_flight.update(&frame, event))
		add_total(TOTAL_NOT_PAIRED);
}

/* A return whose entry was not kept: of our own process tree, `in_flight` was full, or the kernel skipped the entry. */
static __always_inline void count_lone_return(struct function_plan *wanted, s64 result)
{
	int failed = has_failed(wanted, result);
	struct caller caller = {};

	/* How long it took is not known, so it cannot be said to have taken long enough. */
	if (!passes(&wanted->head, &caller) || !is_wanted_result(&wanted->head, failed, 0) || !count_event(&caller) ||
	    (wanted->head.flags & COUNT_ONLY))
		return;
	if (wanted->result)
		count_result(result_key(wanted, result));
	if (failed) {
		add_total(TOTAL_ERRORS);
		count_process(caller.shown >> 32, 0, 1);
	}
}

static __always_inline void count_failed(struct function_event *event)
{
	struct failure_key failure = {};

	__builtin_memcpy(failure.key, event->key.key, KEY_BYTES);
	count_failure(&failure, &event->call);
}

/* Reads what there is to read at the return; 0 for a call that is not wanted. */
static __always_inline int complete(struct function_plan *wanted, struct function_event *event)
{
	event->call.duration = bpf_ktime_get_ns() - event->call.timestamp;
	if (!is_wanted_result(&wanted->head, has_failed(wanted, event->call.result), event->call.duration))
		return 0;
	if (wanted->head.flags & COUNT_ONLY)
		return 1;
	take_steps(wanted, event, wanted->steps, wanted->return_steps);
	read_texts(wanted, event, WHEN_RETURNED);
	return 1;
}

static __always_inline void count_return(struct function_plan *wanted, struct function_event *event)
{
	s64 result = event->call.result;
	int failed = has_failed(wanted, result);
	u32 tgid = event->call.pid_tgid >> 32;
	s32 slot;

	add_total(TOTAL_EVENTS);
	count_process(tgid, 1, 0);
	if (wanted->head.flags & COUNT_ONLY)
		return;
	add_total(TOTAL_RETURNS);
	count_latency(event->call.duration);
	take_key(wanted, event); /* again: a part of it may have been read at the return */
	add_text_to_key(wanted, event);
	count_about(wanted, event);
	if (wanted->result)
		count_result(result_key(wanted, result));
	if (failed) {
		add_total(TOTAL_ERRORS);
		count_process(tgid, 0, 1);
		count_failed(event);
	}
	slot = slot_of_call(&wanted->head, &event->call, failed);
	if (slot >= 0)
		sample.update((u32 *)&slot, event);
}

static __always_inline void leave(struct function_plan *wanted, u64 returned, u64 frame)
{
	struct function_event *event = in_flight.lookup(&frame);

	/* What another process left here never returned; a thread may have become its leader by exec. */
	if (event && event->call.thread >> 32 != bpf_get_current_pid_tgid() >> 32) {
		add_total(TOTAL_NOT_RETURNED);
		in_flight.delete(&frame);
		event = 0;
	}
	if (!event) {
		count_lone_return(wanted, result_of(wanted, returned));
		return;
	}
	*(volatile s64 *)&event->call.result = result_of(wanted, returned);
	forget();
	if (complete(wanted, event)) {
		forget();
		count_return(wanted, event);
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

static __always_inline u64 word_at(u64 address)
{
	u64 word = 0;

	bpf_probe_read_kernel(&word, sizeof(word), (void *)address);
	return word;
}

static __always_inline void enter(struct function_plan *wanted, u64 address, struct caller *caller, u32 level)
{
	struct function_event *event = room.lookup(&level);
	u64 frame = address;
	s32 slot = 0; /* until it has returned, a call has to have all */
	u32 i;

	if (!event)
		return;
	begin(event, caller);
#pragma unroll
	for (i = 0; i < 6; i++)
		event->call.argument[i] = i < wanted->arguments ? word_at(address + wanted->context.argument[i]) : 0;
	if (wanted->context.stack != NO_STACK)
		frame = word_at(address + wanted->context.stack);
	if (wanted->head.flags & COUNT_ONLY) {
		await_return(event, frame); /* for its duration, by which it is judged */
		return;
	}
	if (!(wanted->head.flags & AT_EXIT))
		slot = slot_of_call(&wanted->head, &event->call, 0);
	take_steps(wanted, event, 0, slot < 0 ? wanted->key_steps : wanted->steps);
	take_key(wanted, event);
	if (slot >= 0 || wanted->text_is_key || is_nameless(wanted, event))
		read_texts(wanted, event, WHEN_ENTERED);
	add_text_to_key(wanted, event);
	if (wanted->head.flags & AT_EXIT)
		await_return(event, frame);
	else
		count_entry(wanted, event, slot);
}

int on_entry(void *ctx)
{
	u32 zero = 0, *level = nesting.lookup(&zero);
	struct function_plan *wanted = plan.lookup(&zero);
	struct caller caller = {};

	if (!wanted || !level || counts_returns_alone(&wanted->head) || !passes(&wanted->head, &caller))
		return 0;
	if (wanted->head.flags & AT_EXIT) {
		if (is_own(caller.pid_tgid, caller.shown))
			return 0; /* its return is counted, apart */
	} else if (!count_event(&caller) || (wanted->head.flags & COUNT_ONLY)) {
		return 0;
	}
	/* Before 5.12 an interrupt may run this very program again while it runs. */
	*level += 1;
	enter(wanted, address_of(ctx), &caller, *level - 1);
	*level -= 1;
	return 0; /* all that fentry may; and no other user sees the event that a kprobe of a perf event makes */
}

int on_return(void *ctx)
{
	u32 zero = 0;
	struct function_plan *wanted = plan.lookup(&zero);
	u64 address = address_of(ctx), frame = address;

	if (!wanted || (wanted->head.flags & STOPPED))
		return 0;
	if (wanted->context.stack != NO_STACK)
		frame = word_at(address + wanted->context.stack) - wanted->context.above;
	leave(wanted, word_at(address + wanted->context.returned), frame);
	return 0;
}
