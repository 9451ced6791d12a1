/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What every probe does, whatever it is attached to: filter first, count exactly, keep a bounded sample.
 *
 * Nothing in here depends on the kernel's version or on what is asked for: what a request wants comes as data in
 * the map `plan`, so the same bytecode serves every request. All sizes below are known to
 * plugins/module_utils/ebpf/layout.py, which a test holds against this file.
 */
#include "trees.h"

#define COMM_BYTES 16
#define BLOB_BYTES 160
#define BLOBS 2
#define MAX_SLICES 16
#define CGROUPS 3
#define BURST MAX_SLICES /* index of the cursor for what a slice had no room for */

/* Index into `totals`. */
#define TOTAL_EVENTS 0	      /* passed the filters, not of our own process tree */
#define TOTAL_OWN 1	      /* passed the filters, of our own process tree */
#define TOTAL_CAPTURED 2      /* reached the sampling stage */
#define TOTAL_OTHER_PROCESS 3 /* counted, but `by_process` was full */
#define TOTAL_OTHER_FAILURE 4 /* failed, but `failures` was full */
#define TOTAL_NOT_PAIRED 5    /* entered, but `in_flight` was full */
#define TOTAL_COMPAT 6	      /* 32-bit system calls, whose numbers mean something else */
#define TOTAL_ERRORS 7	      /* returned an error */
#define TOTAL_RETURNS 8	      /* returned after an entry that was seen */
#define TOTAL_OTHER_KEY 9     /* returned, but `by_key` was full */
#define TOTAL_NOT_RETURNED 10 /* entered, and another call began at the same place: it will not return */
#define TOTALS 16

#define FILTER_TGID 1
#define FILTER_UID 2
#define FILTER_COMM 4
#define AT_EXIT 8      /* count returns instead of entries */
#define ERRORS_ONLY 16 /* count only calls that failed */
#define COUNT_ONLY 32  /* keep nothing but counts: set while a trace runs that costs too much */
#define STOPPED 64     /* look at nothing more: set before detaching, which takes the kernel its time */

/* The part of a plan that all ways of attaching share. */
struct plan_head {
	u64 started;   /* nanoseconds, monotonic */
	u64 slice;     /* length of a time slice in nanoseconds */
	u64 comm[2];   /* the comm wanted, after masking */
	u64 mask[2];   /* which bytes of the comm are compared */
	u64 ns_device; /* the PID namespace that is diagnosed, as stat(2) names it; inode 0: all of the host */
	u64 ns_inode;
	u64 least;     /* count only calls that took at least so many nanoseconds */
	u64 trees;     /* count only processes that are in all of these trees */
	u32 flags;     /* the bits above */
	u32 tgid;
	u32 uid;
	u32 slices;    /* at most MAX_SLICES */
	u32 ordinary;  /* sample slots for ordinary events, per CPU and slice */
	u32 erroneous; /* sample slots for events that failed, per CPU and slice */
	u32 burst;     /* sample slots for what a slice has no room for, per CPU: few events, all at once, are kept */
	u32 cpus;      /* possible ones: the slots for bursts follow those of the slices of all of them */
	u32 cgroups;   /* count only processes that are in as many of the map `cgroups`, from the first, or below them */
};

/*
 * Tables that are counted in all the time have an entry for each CPU, so that no two CPUs write to the same one. Tables
 * of the kernel's own kind for that (percpu_hash) take memory for all possible CPUs, and milliseconds to make.
 */
struct process_key {
	u32 tgid;
	u32 cpu;
	char comm[COMM_BYTES];
};

struct process_count {
	u64 count;
	u64 errors;
};

/* How full the sample is, per CPU and slice. */
struct cursor {
	u64 slowest; /* duration in nanoseconds of the event in the slice's slot for the slowest */
	u32 ordinary;
	u32 erroneous;
};

/* Whoever causes an event: by the ids of the kernel, and by those of the namespace that is diagnosed. */
struct caller {
	u64 pid_tgid;
	u64 shown;
};

BPF_CGROUP_ARRAY(cgroups, CGROUPS); /* of the second version */
BPF_TABLE("percpu_array", u32, u64, totals, TOTALS);
BPF_TABLE("hash", struct process_key, struct process_count, by_process, 4096); /* sized when it is loaded */

static __always_inline void add_total(u32 which)
{
	u64 *total = totals.lookup(&which);

	if (total)
		__sync_fetch_and_add(total, 1); /* atomic, for an interrupt may run this very program again */
}

/* Whether returns are counted by themselves, so that entries need not be looked at. */
static __always_inline int counts_returns_alone(struct plan_head *plan)
{
	return (plan->flags & (COUNT_ONLY | AT_EXIT | ERRORS_ONLY)) == (COUNT_ONLY | AT_EXIT) && !plan->least;
}

/* Who runs now; 0 for a process outside of the namespace that is diagnosed. */
static __always_inline int identify(struct plan_head *plan, struct caller *caller)
{
	struct bpf_pidns_info ids = {};

	caller->pid_tgid = bpf_get_current_pid_tgid();
	caller->shown = caller->pid_tgid;
	if (!plan->ns_inode)
		return 1;
	if (bpf_get_ns_current_pid_tgid(plan->ns_device, plan->ns_inode, &ids, sizeof(ids)))
		return 0;
	caller->shown = (u64)ids.tgid << 32 | ids.pid;
	return 1;
}

/* Whether the current process is in every cgroup that is asked for, or below it. */
static __always_inline int is_in_cgroups(struct plan_head *plan)
{
	int i;

#pragma unroll
	for (i = 0; i < CGROUPS; i++)
		if (i < plan->cgroups && cgroups.check_current_task(i) != 1)
			return 0;
	return 1;
}

/* Whether the current process is one that the request is about; fills in who it is. */
static __always_inline int passes(struct plan_head *plan, struct caller *caller)
{
	if ((plan->flags & STOPPED) || !identify(plan, caller))
		return 0;
	if ((plan->flags & FILTER_TGID) && plan->tgid != caller->shown >> 32)
		return 0;
	if ((plan->flags & FILTER_UID) && plan->uid != (u32)bpf_get_current_uid_gid())
		return 0;
	if (plan->flags & FILTER_COMM) {
		u64 comm[2] = {};

		bpf_get_current_comm(comm, sizeof(comm));
		if ((comm[0] & plan->mask[0]) != plan->comm[0] || (comm[1] & plan->mask[1]) != plan->comm[1])
			return 0;
	}
	if (plan->trees && (trees_of(caller->pid_tgid, caller->shown) & plan->trees) != plan->trees)
		return 0;
	return is_in_cgroups(plan);
}

static __always_inline void count_process(u32 tgid, u32 events, u32 errors)
{
	struct process_count first = {}, *count;
	struct process_key key = {};

	key.tgid = tgid;
	key.cpu = bpf_get_smp_processor_id();
	bpf_get_current_comm(key.comm, sizeof(key.comm));
	count = by_process.lookup(&key);
	if (!count) {
		by_process.insert(&key, &first); /* unless an interrupt has meanwhile: what it counted stays */
		count = by_process.lookup(&key);
	}
	if (!count) {
		if (events)
			add_total(TOTAL_OTHER_PROCESS);
		return;
	}
	/* Never add a constant 0: the compiler makes an atomic `or` of it, which kernels before 5.12 refuse to load. */
	if (events)
		__sync_fetch_and_add(&count->count, events);
	if (errors)
		__sync_fetch_and_add(&count->errors, errors);
}

/* Counts an event that passed the filters. 0 for one of our own process tree, which is counted apart. */
static __always_inline int count_event(struct caller *caller)
{
	if (is_own(caller->pid_tgid, caller->shown)) {
		add_total(TOTAL_OWN);
		return 0;
	}
	add_total(TOTAL_EVENTS);
	count_process(caller->shown >> 32, 1, 0);
	return 1;
}

static __always_inline u32 slice_of(struct plan_head *plan, u64 now)
{
	u64 slice = 0;

	if (plan->slice && now > plan->started)
		slice = (now - plan->started) / plan->slice;
	return slice < plan->slices ? slice : plan->slices - 1;
}

/*
 * The slot of the sample that an event may take, or -1 where there is no room for it.
 * The slots of a CPU and slice: `ordinary`, then `erroneous`, then one for the slowest.
 */
static __always_inline s32 slot_of(struct plan_head *plan, struct cursor *cursor, struct cursor *burst, u32 slice,
				   int failed, u64 duration)
{
	u32 per_slice = plan->ordinary + plan->erroneous + 1;
	u32 cpu = bpf_get_smp_processor_id();
	u32 first = (cpu * plan->slices + slice) * per_slice;

	if (failed && cursor->erroneous < plan->erroneous)
		return first + plan->ordinary + cursor->erroneous++;
	if (cursor->ordinary < plan->ordinary)
		return first + cursor->ordinary++;
	if (burst->ordinary < plan->burst)
		return plan->cpus * plan->slices * per_slice + cpu * plan->burst + burst->ordinary++;
	if (duration > cursor->slowest) {
		cursor->slowest = duration;
		return first + plan->ordinary + plan->erroneous;
	}
	return -1;
}
