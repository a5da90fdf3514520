/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What names of the kubelet's log folders say: /var/log/pods/<namespace>_<pod>_<uid>/<container>/<restarts>.log, made before
 * the pod's sandbox, and /var/log/containers/<pod>_<namespace>_<container>-<id>.log, a symlink to the former, made after the
 * container's start (kubelet: kuberuntime/helpers.go, BuildPodLogsDirectory; kuberuntime/legacy.go, logSymlink, which cuts
 * names above 255 bytes: those end in no id, and say nothing). Kubernetes' names hold no '_', so there is one way to read
 * them; what is not such a name is refused. Pure; slices point into the arguments.
 */
#ifndef CRIER_LOG_NAME_H
#define CRIER_LOG_NAME_H

#include "crier/base/cleanup.h"
#include "crier/base/str.h"

struct crier_log_pod {
	struct crier_slice namespace_, name, uid;
};

/** A folder's name below /var/log/pods. @return 0 or -EBADMSG */
int crier_log_pod_parse(struct crier_slice name, struct crier_log_pod *ret_pod) crier_must_check;

struct crier_log_link {
	struct crier_log_pod pod; /* uid: from the link's text */
	struct crier_slice container, id;
	uint64_t restarts;
};

/**
 * A link's name below /var/log/containers and its text. The text is not followed; its last three components are read.
 * @return 0; -EBADMSG (either is no such name), -EEXIST (they speak of different containers)
 */
int crier_log_link_parse(struct crier_slice name, struct crier_slice text,
			 struct crier_log_link *ret_link) crier_must_check;

#endif
