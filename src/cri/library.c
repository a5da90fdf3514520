/* SPDX-License-Identifier: Apache-2.0 */
/* What concerns the libraries as a whole: versions, and where gRPC's own log goes. */
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
