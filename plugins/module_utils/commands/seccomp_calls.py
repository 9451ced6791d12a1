# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: which system calls a sandboxed command may make, as data.

Those that are in no list are answered ENOSYS. Sources: the manual's pages of section 2, and what diagnosing programs
were seen to call.
"""

from __future__ import annotations

_ALLOWED = (
    "access alarm arch_prctl brk cachestat capget capset chdir clock_getres clock_gettime clock_nanosleep close "
    "close_range copy_file_range dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 "
    "epoll_wait eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64 fchdir fcntl "
    "fdatasync fgetxattr flistxattr flock fork fstat fstatfs fsync ftruncate futex futex_waitv futex_wake "
    "futex_wait futex_requeue get_mempolicy get_robust_list get_thread_area getcpu getcwd getdents getdents64 "
    "getegid geteuid getgid getgroups getitimer getpgid getpgrp getpid getppid getpriority getrandom getresgid "
    "getresuid getrlimit getrusage getsid gettid gettimeofday getuid getxattr inotify_add_watch inotify_init "
    "inotify_init1 inotify_rm_watch ioprio_get kill landlock_add_rule landlock_create_ruleset "
    "landlock_restrict_self lgetxattr listmount listxattr llistxattr lseek lstat madvise membarrier "
    "mincore mlock mlock2 mmap mprotect mremap mseal msync munlock munmap name_to_handle_at nanosleep newfstatat "
    "pause pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll prctl pread64 preadv preadv2 prlimit64 "
    "pselect6 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv restart_syscall riscv_hwprobe "
    "rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait "
    "rt_tgsigqueueinfo s390_runtime_instr sched_get_priority_max sched_get_priority_min sched_getaffinity "
    "sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_yield seccomp select sendfile "
    "set_robust_list set_thread_area set_tid_address setfsgid setfsuid setgid setgroups setitimer setpgid "
    "setregid setresgid setresuid setreuid setrlimit setsid setuid sigaltstack signalfd signalfd4 splice stat "
    "statfs statmount statx sysinfo tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime "
    "timer_settime timerfd_create timerfd_gettime timerfd_settime times tkill ugetrlimit umask uname ustat vfork "
    "vmsplice wait4 waitid waitpid write writev accept accept4 bind connect getpeername getsockname getsockopt "
    "recvfrom recvmmsg recvmsg sendmmsg sendmsg sendto setsockopt shutdown chmod chown creat fallocate fchmod "
    "fchmodat fchmodat2 fchown fchownat lchown link linkat mkdir mkdirat rename renameat renameat2 rmdir symlink "
    "symlinkat truncate unlink unlinkat utime utimensat utimes futimesat"
)
ALLOWED = tuple(_ALLOWED.split())

# Refused where a command has a capability: it reads and writes to its output, and nowhere else.
_WRITING = (
    "chmod chown creat fallocate fchmod fchmodat fchmodat2 fchown fchownat ftruncate lchown link linkat mkdir "
    "mkdirat rename renameat renameat2 rmdir symlink symlinkat truncate unlink unlinkat utime utimensat utimes "
    "futimesat kill tkill rt_sigqueueinfo rt_tgsigqueueinfo"
)
WRITING = tuple(_WRITING.split())

_DENIED = (
    "_sysctl acct add_key adjtimex afs_syscall bpf chroot clock_adjtime clock_settime create_module "
    "delete_module fanotify_init fanotify_mark finit_module fremovexattr fsconfig fsetxattr fsmount fsopen "
    "fspick get_kernel_syms init_module io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit "
    "io_uring_enter io_uring_register io_uring_setup ioperm iopl ioprio_set kcmp kexec_file_load kexec_load "
    "keyctl listen lookup_dcookie lremovexattr lsetxattr mbind memfd_create memfd_secret migrate_pages mknod "
    "mknodat mount mount_setattr move_mount move_pages mq_getsetattr mq_notify mq_open mq_timedreceive "
    "mq_timedsend mq_unlink msgget msgrcv msgsnd nfsservctl open_by_handle_at open_tree open_tree_attr "
    "perf_event_open pidfd_getfd pidfd_open pidfd_send_signal pivot_root process_madvise process_mrelease "
    "process_vm_readv process_vm_writev ptrace query_module quotactl quotactl_fd reboot remap_file_pages "
    "removexattr request_key sched_setaffinity sched_setattr sched_setparam sched_setscheduler semget semop "
    "semtimedop set_mempolicy set_mempolicy_home_node setdomainname sethostname setns "
    "settimeofday setxattr setxattrat shmat shmdt shmget stime swapoff swapon sync syncfs sync_file_range "
    "sysfs umount umount2 unshare uselib userfaultfd vhangup vm86 vm86old vserver"
)
DENIED = tuple(_DENIED.split())

# Their flags lie in memory, where a filter does not see them: libraries then take the older calls.
ANSWERED = {"clone3": "ENOSYS", "openat2": "ENOSYS"}
