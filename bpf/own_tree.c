// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Keeps the set of thread groups that belong to the diagnosis itself, so that what it causes is counted apart.
 *
 * Attached to sched/sched_process_fork and sched/sched_process_exit. A child of a member becomes a member; a member
 * that exits leaves. A thread's id may be entered as well: no thread group has that number while the thread lives,
 * and its exit removes it.
 */
#include "own.h"

struct own_plan {
	u64 ns_device; /* as in struct plan_head */
	u64 ns_inode;
	u64 child;     /* where `child_pid` starts in the fork tracepoint's record */
};

BPF_TABLE("array", u32, struct own_plan, plan, 1);
BPF_TABLE("percpu_array", u32, u64, scratch, 1);

static __always_inline u64 in_namespace(struct own_plan *wanted, u64 pid_tgid)
{
	struct bpf_pidns_info ids = {};

	if (!wanted->ns_inode)
		return pid_tgid;
	if (bpf_get_ns_current_pid_tgid(wanted->ns_device, wanted->ns_inode, &ids, sizeof(ids)))
		return pid_tgid;
	return (u64)ids.tgid << 32 | ids.pid;
}

int on_fork(void *ctx)
{
	u64 pid_tgid = bpf_get_current_pid_tgid(), key;
	volatile u64 *record;
	u32 zero = 0, child = 0;
	struct own_plan *wanted = plan.lookup(&zero);
	u8 member = 1;

	record = scratch.lookup(&zero);
	if (!wanted || !record || !is_own(pid_tgid, in_namespace(wanted, pid_tgid)))
		return 1;
	/*
	 * By way of a map value the context becomes a number, to which the verifier lets data be added. Volatile, or the
	 * compiler takes the short way.
	 */
	*record = (u64)ctx;
	bpf_probe_read_kernel(&child, sizeof(child), (void *)(*record + wanted->child));
	key = child;
	own.update(&key, &member);
	return 1; /* 0 would take the event away from every other user of this tracepoint */
}

int on_exit(void *ctx)
{
	u64 pid_tgid = bpf_get_current_pid_tgid(), key = (u32)pid_tgid;
	u32 zero = 0;
	struct own_plan *wanted = plan.lookup(&zero);

	own.delete(&key);
	if (wanted && wanted->ns_inode) {
		key = IN_NAMESPACE | (u32)in_namespace(wanted, pid_tgid);
		own.delete(&key);
	}
	return 1;
}
