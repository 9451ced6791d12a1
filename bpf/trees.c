// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Keeps the map `trees`: a child belongs to the trees of whoever forked it, from before it first runs.
 *
 * Attached to sched/sched_process_fork and, where they are needed, sched_process_exit (the host is a PID namespace) and
 * sched_process_free (more than the diagnosis itself is followed). A thread is entered as well: no
 * thread group has its number while it lives. A group leaves when its leader is freed, not when its leader exits: the
 * other threads may go on, and one of them may exec and become the leader.
 */
#include "trees.h"

struct trees_plan {
	u64 ns_device; /* as in struct plan_head */
	u64 ns_inode;
	u64 child;     /* where `child_pid` starts in the record of sched_process_fork */
	u64 freed;     /* where `pid` starts in the record of sched_process_free */
};

BPF_TABLE("array", u32, struct trees_plan, plan, 1);
BPF_TABLE("array", u32, u64, lost, 1); /* children for which `trees` had no room */
BPF_TABLE("percpu_array", u32, u64, scratch, 1);

static __always_inline u64 in_namespace(struct trees_plan *wanted, u64 pid_tgid)
{
	struct bpf_pidns_info ids = {};

	if (!wanted->ns_inode)
		return pid_tgid;
	if (bpf_get_ns_current_pid_tgid(wanted->ns_device, wanted->ns_inode, &ids, sizeof(ids)))
		return pid_tgid;
	return (u64)ids.tgid << 32 | ids.pid;
}

/*
 * A pid in the record that the context is. By way of a map value the context becomes a number, to which the verifier
 * lets data be added. Volatile, or the compiler takes the short way.
 */
static __always_inline u32 pid_at(void *ctx, u64 offset)
{
	volatile u64 *record;
	u32 zero = 0, pid = 0;

	record = scratch.lookup(&zero);
	if (!record)
		return 0;
	*record = (u64)ctx;
	bpf_probe_read_kernel(&pid, sizeof(pid), (void *)(*record + offset));
	return pid;
}

int on_fork(void *ctx)
{
	u64 pid_tgid = bpf_get_current_pid_tgid(), key, member;
	u32 zero = 0;
	struct trees_plan *wanted = plan.lookup(&zero);

	if (!wanted)
		return 1;
	key = pid_at(ctx, wanted->child);
	member = trees_of(pid_tgid, in_namespace(wanted, pid_tgid));
	if (!member) {
		trees.delete(&key); /* what may be left of an earlier bearer of the number */
	} else if (trees.update(&key, &member)) {
		u64 *count = lost.lookup(&zero);

		if (count)
			__sync_fetch_and_add(count, 1);
	}
	return 1; /* 0 would take the event away from every other user of this tracepoint */
}

/* From here on only the kernel's ids are known of a process, so it goes by them. */
int on_exit(void *ctx)
{
	u64 pid_tgid = bpf_get_current_pid_tgid(), shown, key, member;
	u32 zero = 0;
	struct trees_plan *wanted = plan.lookup(&zero);

	if (!wanted || !wanted->ns_inode)
		return 1;
	shown = in_namespace(wanted, pid_tgid);
	member = trees_of(pid_tgid, shown);
	if (!member || shown == pid_tgid)
		return 1;
	key = pid_tgid >> 32;
	trees.update(&key, &member);
	key = IN_NAMESPACE | shown >> 32;
	trees.delete(&key);
	return 1;
}

int on_free(void *ctx)
{
	u32 zero = 0;
	struct trees_plan *wanted = plan.lookup(&zero);
	u64 key;

	if (!wanted)
		return 1;
	key = pid_at(ctx, wanted->freed);
	trees.delete(&key);
	return 1;
}
