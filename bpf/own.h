/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Thread groups of the diagnosis itself; kept up to date by own_tree.c, asked by every other program.
 *
 * A key is a thread group by the kernel's ids or, with IN_NAMESPACE, by those of the PID namespace that is diagnosed:
 * a process in a container does not know its number outside.
 */

#define IN_NAMESPACE (1ULL << 32)

BPF_TABLE("hash", u64, u8, own, 4096);

static __always_inline int is_own(u64 pid_tgid, u64 shown)
{
	u64 key = pid_tgid >> 32;

	if (own.lookup(&key))
		return 1;
	if (shown == pid_tgid)
		return 0;
	key = IN_NAMESPACE | shown >> 32;
	return own.lookup(&key) != 0;
}
