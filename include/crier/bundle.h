/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a runtime's own file of a container says of its pod: containerd's and CRI-O's OCI config.json, docker's
 * config.v2.json. In two steps, so that a container's environment and arguments never leave the look-up: `keep` makes a
 * small JSON object of the keys that are used, `parse` reads that. Pure but for crier_bundle_read (src/bundle_file.c).
 */
#ifndef CRIER_BUNDLE_H
#define CRIER_BUNDLE_H

#include "crier/base/cleanup.h"
#include "crier/base/str.h"
#include "crier/meta.h"

/*
 * Which keys are believed depends on the place, not on what the file holds: CRI-O copies a pod's own annotations beside its
 * own, so that io.kubernetes.cri.* in its bundle are the user's words, and io.kubernetes.cri-o.* those of the pod in
 * containerd's.
 */
enum crier_bundle_form {
	CRIER_BUNDLE_PLAIN, /* no such file: taken as it is */
	CRIER_BUNDLE_CONTAINERD, /* annotations io.kubernetes.cri.*, written over what is passed through from the pod */
	CRIER_BUNDLE_CRIO, /* labels of the kubelet as annotations, written last; io.kubernetes.cri-o.* */
	CRIER_BUNDLE_DOCKER, /* labels as cri-dockerd sets them; an image may bring the same: see src/source.c */
	CRIER_BUNDLE_FORM_COUNT,
};

/* A config.json has 5 to 60 KiB; docker's with a long history some 100. */
#define CRIER_BUNDLE_FILE_MAX (1024 * 1024)
/* Bounds on what jansson is given: its trees take some 100 bytes a value, and recursion for each level. */
#define CRIER_BUNDLE_DEPTH_MAX	32
#define CRIER_BUNDLE_VALUES_MAX 65536

/**
 * Keep what is used of a file's text: one flat JSON object, longer strings cut to CRIER_META_STRING_MAX bytes. What lies
 * outside of the object with the keys is checked for its brackets and quotes only.
 * @return 0; -EBADMSG (no JSON, invalid UTF-8, a key twice), -E2BIG (nested deeper or more values than the bounds),
 *         -EFBIG (what is kept does not fit), -ENOMEM. Some 30 us for 40 KiB
 */
int crier_bundle_keep(enum crier_bundle_form form, const char *text, size_t len, char *buf, size_t cap,
		      size_t *ret_len) crier_must_check;

/**
 * The file `name` below the node's folder `dir`, kept as above; CRIER_BUNDLE_PLAIN: as it is.
 * @return 0; what keep and crier_below_load return: -EFBIG above CRIER_BUNDLE_FILE_MAX (plain: above `cap`), and so on
 */
int crier_bundle_read(const char *host_root, const char *dir, const char *name, enum crier_bundle_form form,
		      char *buf, size_t cap, size_t *ret_len) crier_must_check;

struct json_t;

/**
 * Read what was kept.
 * @param id	     the container's: what contradicts it is refused (a sandbox of another id, a container that is its own)
 * @param ret_meta   was cleared by the caller; only what is told is set. type "sandbox" is the only one told
 * @param ret_store  what the slices point into; the caller's to json_decref
 * @return 0; -EBADMSG (not what `keep` makes), -EEXIST (a contradiction), -ENOMEM
 */
int crier_bundle_parse(enum crier_bundle_form form, const char *kept, size_t len, struct crier_slice id,
		       struct crier_meta_container *ret_meta, struct json_t **ret_store) crier_must_check;

#endif
