/* SPDX-License-Identifier: Apache-2.0
 * old_kernel.c: runs a program, and all that it starts, as on a machine that has neither openat2 nor pidfd_open: the calls fail
 * with ENOSYS, as by a kernel before 5.6 and 5.3, or with EPERM, as by an old container's filter.
 *
 *   old_kernel ENOSYS|EPERM PROGRAM WORD... */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int refuse(unsigned number)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | number),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return -1;
	return syscall(SYS_openat2, -1, "", NULL, (size_t)0) < 0 && errno == (int)number ? 0 : -1;
}

int main(int argc, char **argv)
{
	if (argc < 3 || (strcmp(argv[1], "ENOSYS") != 0 && strcmp(argv[1], "EPERM") != 0)) {
		fprintf(stderr, "usage: old_kernel ENOSYS|EPERM PROGRAM WORD...\n");
		return 2;
	}
	if (refuse(argv[1][1] == 'N' ? ENOSYS : EPERM)) {
		perror("old_kernel: no filter of system calls can be had");
		return 3;
	}
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 127;
}
