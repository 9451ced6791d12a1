/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Which trees of processes a thread group belongs to: the diagnosis itself, and those that requests follow. Kept up to
 * date by trees.c, asked by every other program.
 *
 * A key is a thread group by the kernel's ids or, with IN_NAMESPACE, by those of the PID namespace that is diagnosed:
 * a process in a container does not know its number outside. A value has a bit for each tree.
 */

#define IN_NAMESPACE (1ULL << 32)
#define TREE_OWN 1ULL /* the diagnosis itself; the other bits are given to requests */

BPF_TABLE("hash", u64, u64, trees, 16384);

static __always_inline u64 trees_of(u64 pid_tgid, u64 shown)
{
	u64 key = pid_tgid >> 32, *member;

	member = trees.lookup(&key);
	if (member)
		return *member;
	if (shown == pid_tgid)
		return 0;
	key = IN_NAMESPACE | shown >> 32;
	member = trees.lookup(&key);
	return member ? *member : 0;
}

static __always_inline int is_own(u64 pid_tgid, u64 shown)
{
	return (trees_of(pid_tgid, shown) & TREE_OWN) != 0;
}
