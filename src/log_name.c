/* SPDX-License-Identifier: Apache-2.0 */
#include "crier/log_name.h"

#include <errno.h>

#define LABEL_MAX     63 /* RFC 1123, as k8s.io/apimachinery's validation takes it */
#define SUBDOMAIN_MAX 253
#define UID_MAX	      63

static bool is_alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Lower-case letters and digits, '-' within; `dots` join several. */
static bool is_name(struct crier_slice text, size_t max, bool dots)
{
	char before = '.';

	if (text.len == 0 || text.len > max)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (c == '.' ? !dots || !is_alphanumeric(before)
			     : !is_alphanumeric(c) && (c != '-' || before == '.'))
			return false;
		before = c;
	}
	return is_alphanumeric(before);
}

static bool is_id(struct crier_slice text, bool dashes)
{
	for (size_t i = 0; i < text.len; i++)
		if (!is_alphanumeric(text.ptr[i]) && !(dashes && text.ptr[i] == '-'))
			return false;
	return text.len > 0;
}

/* What stands before the last `separator` goes to *ret_piece's left: "a-b-c" is "a-b" and "c". */
static bool split_last(struct crier_slice *text, char separator, struct crier_slice *ret_piece)
{
	const char *at = text->len ? memrchr(text->ptr, separator, text->len) : NULL;

	if (!at)
		return false;
	*ret_piece = (struct crier_slice){at + 1, (size_t)(text->ptr + text->len - at) - 1};
	text->len = (size_t)(at - text->ptr);
	return true;
}

int crier_log_pod_parse(struct crier_slice name, struct crier_log_pod *ret_pod)
{
	struct crier_log_pod pod;

	if (!split_last(&name, '_', &pod.uid) || !split_last(&name, '_', &pod.name))
		return -EBADMSG;
	pod.namespace_ = name;
	if (!is_name(pod.namespace_, LABEL_MAX, false) || !is_name(pod.name, SUBDOMAIN_MAX, true) ||
	    pod.uid.len > UID_MAX || !is_id(pod.uid, true))
		return -EBADMSG;
	*ret_pod = pod;
	return 0;
}

static bool cut_suffix(struct crier_slice *text, struct crier_slice suffix)
{
	if (!crier_slice_ends(*text, suffix))
		return false;
	text->len -= suffix.len;
	return true;
}

static bool parse_name(struct crier_slice name, struct crier_log_link *link)
{
	if (!cut_suffix(&name, CRIER_SLICE(".log")) || !split_last(&name, '-', &link->id) ||
	    !split_last(&name, '_', &link->container) || !split_last(&name, '_', &link->pod.namespace_))
		return false;
	link->pod.name = name;
	return is_id(link->id, false) && is_name(link->container, LABEL_MAX, false) &&
	       is_name(link->pod.namespace_, LABEL_MAX, false) &&
	       is_name(link->pod.name, SUBDOMAIN_MAX, true);
}

int crier_log_link_parse(struct crier_slice name, struct crier_slice text, struct crier_log_link *ret_link)
{
	struct crier_log_link link = {.restarts = 0};
	struct crier_slice file, container, folder;
	struct crier_log_pod pod;

	if (!parse_name(name, &link) || !split_last(&text, '/', &file) ||
	    !split_last(&text, '/', &container) || !cut_suffix(&file, CRIER_SLICE(".log")) ||
	    crier_parse_u64(file, &link.restarts) < 0)
		return -EBADMSG;
	if (!split_last(&text, '/', &folder)) /* a relative link may begin with it */
		folder = text;
	if (crier_log_pod_parse(folder, &pod) < 0)
		return -EBADMSG;
	if (!crier_slice_equal(pod.namespace_, link.pod.namespace_) ||
	    !crier_slice_equal(pod.name, link.pod.name) || !crier_slice_equal(container, link.container))
		return -EEXIST;
	link.pod.uid = pod.uid;
	*ret_link = link;
	return 0;
}
