// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Keeps the set of thread groups that belong to the diagnosis itself, so that what it causes is counted apart.
 *
 * Attached to sched/sched_process_fork and sched/sched_process_exit. A child of a member becomes a member; a member
 * that exits leaves. A thread's id may be entered as well: no thread group has that number while the thread lives,
 * and its exit removes it.
 */
BPF_TABLE("hash", u32, u8, own, 4096);
BPF_TABLE("array", u32, u32, plan, 1); /* where `child_pid` starts in the fork tracepoint's record */
BPF_TABLE("percpu_array", u32, u64, scratch, 1);

int on_fork(void *ctx)
{
	u32 parent = bpf_get_current_pid_tgid() >> 32;
	u32 zero = 0, child = 0, *offset = plan.lookup(&zero);
	u64 *record = scratch.lookup(&zero);
	u8 member = 1;

	if (!offset || !record || !own.lookup(&parent))
		return 1;
	/* By way of a map value the context becomes a number, to which the verifier lets data be added. */
	*record = (u64)ctx;
	bpf_probe_read_kernel(&child, sizeof(child), (void *)(*record + *offset));
	own.update(&child, &member);
	return 1; /* 0 would take the event away from every other user of this tracepoint */
}

int on_exit(void *ctx)
{
	u32 tid = bpf_get_current_pid_tgid();

	own.delete(&tid);
	return 1;
}
