/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What concerns the libraries as a whole: versions, gRPC's log, gRPC's threads.
 *
 * gRPC 1.51 starts these threads beside crier's own, all of them in grpc_init() or with the first channel:
 *   default-executor, resolver-executor   closures that may block; they sleep
 *   grpc_global_timer (1-2)               iomgr's timers; wakes twice a second whatever happens
 *   timer_manager                         EventEngine's timers; wakes once a second
 *   event_engine (as many as processors, 2 to 32)  EventEngine's pool; they sleep
 * The socket is read by whoever waits on the completion queue, that is by crier's thread alone. All of them are
 * started from that thread and so inherit its signal mask, in which everything is blocked; grpc_shutdown_blocking()
 * ends them. With the pool sized to the machine a 64-processor node has 38 threads, with CRIER_GRPC_CPUS 8.
 */
#include "crier/cri.h"

#include <grpc/grpc.h>
#include <grpc/support/log.h>
#include <protobuf-c/protobuf-c.h>
#include <pthread.h>

#include "call.h"
#include "crier/base/log.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char versions[96];

static void write_versions(void)
{
	snprintf(versions, sizeof(versions), "gRPC core %s, protobuf-c %s", grpc_version_string(),
		 protobuf_c_version());
}

const char *crier_cri_library_version(void)
{
	pthread_once(&once, write_versions);
	return versions;
}

/* Never stdout: that is for events. gRPC calls its errors what is everyday life to crier (a runtime restarted). */
static void log_line(gpr_log_func_args *args)
{
	crier_debug("grpc: %s:%d: %s", args->file, args->line, args->message);
}

void crier_cri_library_prepare(void)
{
	gpr_set_log_function(log_line);
	gpr_set_log_verbosity(crier_log_get_level() >= CRIER_LOG_DEBUG ? GPR_LOG_SEVERITY_INFO
								       : GPR_LOG_SEVERITY_ERROR);
}

/*
 * The static library asks these two for the number of processors and the one it runs on, and sizes its thread pool
 * and its per-processor shards by them; a client with at most eight calls at once needs neither. The linker's --wrap
 * (cmake/FindCrierGrpc.cmake) puts them in gpr's place, which a shared library would not notice; both are wrapped, since the second indexes by the first.
 */
#if CRIER_GRPC_STATIC
#define CRIER_GRPC_CPUS 2

unsigned __wrap_gpr_cpu_num_cores(void);
unsigned __wrap_gpr_cpu_current_cpu(void);
unsigned __real_gpr_cpu_num_cores(void);
unsigned __real_gpr_cpu_current_cpu(void);

unsigned __wrap_gpr_cpu_num_cores(void)
{
	return crier_min(__real_gpr_cpu_num_cores(), (unsigned)CRIER_GRPC_CPUS);
}

unsigned __wrap_gpr_cpu_current_cpu(void)
{
	return __real_gpr_cpu_current_cpu() % __wrap_gpr_cpu_num_cores();
}
#endif
