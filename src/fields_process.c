/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of the data blocks of process.*. */
#include "fields.h"
#include "crier/names.h"

const struct crier_field crier_exec_fields[] = {
	TEXT(struct crier_data_exec, filename, "filename", CRIER_TEXT_MAX, "The file as given to execve(2)."),
	FIELD(UINT, struct crier_data_exec, args_count, "args_count",
	      "Number of arguments, the first one included."),
	TEXTS(struct crier_data_exec, args, args_kept, "args", CRIER_ARGS_KEPT,
	      "The arguments with secrets redacted; only when asked for (--process-args)."),
	FIELDS_END,
};

const struct crier_field crier_fork_fields[] = {
	FIELD(UINT, struct crier_data_fork, child_pid, "child_pid",
	      "The new process: as process.pid; its parent is the actor."),
	FIELDS_END,
};

const struct crier_field crier_exit_fields[] = {
	FIELD(INT, struct crier_data_exit, exit_code, "exit_code",
	      "What it exited with; absent for a death by signal."),
	FIELD(UINT, struct crier_data_exit, signal, "signal", "The signal that ended it."),
	FIELD(NAME, struct crier_data_exit, signal_name, "signal_name", "Its name."),
	FIELD(BOOL, struct crier_data_exit, core_dumped, "core_dumped", "A core was dumped."),
	FIELD(BOOL, struct crier_data_exit, oom_killed, "oom_killed", "It was an OOM victim."),
	FIELD(BOOL, struct crier_data_exit, container_init, "container_init",
	      "It was its container's first process."),
	FIELD(UINT, struct crier_data_exit, duration_ms, "duration_ms", "Since it was forked, milliseconds."),
	FIELD(UINT, struct crier_data_exit, user_us, "user_us",
	      "CPU time in user mode, all threads, microseconds."),
	FIELD(UINT, struct crier_data_exit, system_us, "system_us",
	      "CPU time in the kernel, all threads, microseconds."),
	FIELD(UINT, struct crier_data_exit, cpu_us, "cpu_us",
	      "Run time as the scheduler counted, all threads, microseconds."),
	FIELD(UINT, struct crier_data_exit, peak_rss_bytes, "peak_rss_bytes",
	      "The most memory it had resident."),
	FIELD(FLAG, struct crier_data_exit, peak_rss_includes_pre_exec, "peak_rss_includes_pre_exec",
	      "The peak may be of the program before the last exec."),
	FIELDS_END,
};

static const char *const sender_words[] = {"process", "kernel", NULL};

const struct crier_field crier_signal_fields[] = {
	FIELD(UINT, struct crier_data_signal, signal, "signal", "Its number."),
	FIELD(NAME, struct crier_data_signal, signal_name, "signal_name", "Its name."),
	FIELD(INT, struct crier_data_signal, code, "code", "si_code: how it was sent."),
	ENUM(struct crier_data_signal, result, "result", crier_signal_result_names, CRIER_SIGNAL_RESULT_COUNT,
	     "What the kernel did with it. The pid 1 of a container ignores a signal it has no handler for."),
	FIELD(BOOL, struct crier_data_signal, fatal, "fatal", "Its default action ends the target."),
	FIELD(BOOL, struct crier_data_signal, stop, "stop",
	      "A stop signal to a container's init from outside the container."),
	WORD(struct crier_data_signal, sender, "sender", sender_words,
	     "Who sent it; a process is the actor."),
	FIELDS_END,
};
