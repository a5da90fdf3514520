/* SPDX-License-Identifier: Apache-2.0 */
/* crier: kernel events of a Kubernetes node, told with the names of their pods. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "crier/cli.h"

/*
 * A descriptor opened later must never become 0, 1 or 2: lines would go into a BPF map's descriptor. What was closed is
 * held by /dev/null, stdout read-only, so that writing there still fails as it should.
 */
static void hold_standard_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY) != fd)
			exit(CRIER_EXIT_REFUSED);
}

int main(int argc, char **argv)
{
	hold_standard_fds();
	signal(SIGPIPE, SIG_IGN); /* a reader that went away is an error of write(2), told as such */
	return crier_cli_main(argc, argv);
}
