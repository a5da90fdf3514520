/* SPDX-License-Identifier: Apache-2.0 */
/* Signal numbers as x86-64 and arm64 Linux count them (both use include/uapi/asm-generic/signal.h's order). */
#include "crier/event.h"
#include "crier/names.h"

/* The kernel counts real-time signals from 32; C libraries keep two and show SIGRTMIN as 34, as `kill -l` does. */
#define RTMIN 34
#define RTMAX 64

static const char *const names[RTMAX + 1] = {
	[1] = "SIGHUP",	      [2] = "SIGINT",	    [3] = "SIGQUIT",	  [4] = "SIGILL",
	[5] = "SIGTRAP",      [6] = "SIGABRT",	    [7] = "SIGBUS",	  [8] = "SIGFPE",
	[9] = "SIGKILL",      [10] = "SIGUSR1",	    [11] = "SIGSEGV",	  [12] = "SIGUSR2",
	[13] = "SIGPIPE",     [14] = "SIGALRM",	    [15] = "SIGTERM",	  [16] = "SIGSTKFLT",
	[17] = "SIGCHLD",     [18] = "SIGCONT",	    [19] = "SIGSTOP",	  [20] = "SIGTSTP",
	[21] = "SIGTTIN",     [22] = "SIGTTOU",	    [23] = "SIGURG",	  [24] = "SIGXCPU",
	[25] = "SIGXFSZ",     [26] = "SIGVTALRM",   [27] = "SIGPROF",	  [28] = "SIGWINCH",
	[29] = "SIGIO",	      [30] = "SIGPWR",	    [31] = "SIGSYS",	  [32] = "SIGRTMIN-2",
	[33] = "SIGRTMIN-1",  [RTMIN] = "SIGRTMIN", [35] = "SIGRTMIN+1",  [36] = "SIGRTMIN+2",
	[37] = "SIGRTMIN+3",  [38] = "SIGRTMIN+4",  [39] = "SIGRTMIN+5",  [40] = "SIGRTMIN+6",
	[41] = "SIGRTMIN+7",  [42] = "SIGRTMIN+8",  [43] = "SIGRTMIN+9",  [44] = "SIGRTMIN+10",
	[45] = "SIGRTMIN+11", [46] = "SIGRTMIN+12", [47] = "SIGRTMIN+13", [48] = "SIGRTMIN+14",
	[49] = "SIGRTMIN+15", [50] = "SIGRTMIN+16", [51] = "SIGRTMIN+17", [52] = "SIGRTMIN+18",
	[53] = "SIGRTMIN+19", [54] = "SIGRTMIN+20", [55] = "SIGRTMIN+21", [56] = "SIGRTMIN+22",
	[57] = "SIGRTMIN+23", [58] = "SIGRTMIN+24", [59] = "SIGRTMIN+25", [60] = "SIGRTMIN+26",
	[61] = "SIGRTMIN+27", [62] = "SIGRTMIN+28", [63] = "SIGRTMIN+29", [RTMAX] = "SIGRTMIN+30",
};

const char *crier_signal_name(unsigned signal)
{
	return signal <= RTMAX ? names[signal] : NULL;
}
