/* SPDX-License-Identifier: Apache-2.0 */
/* The path parser: every form of path that runtimes and kubelets make, and what is no such form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "crier/cgroup.h"

#define ID		"3f9c2d4e5a6b7c8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f"
#define ID2		"aaaabbbbccccddddeeeeffff0000111122223333444455556666777788889999"
#define ID3		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define POD		"11111111-2222-3333-4444-555555555555"
#define POD_		"11111111_2222_3333_4444_555555555555"
#define POD2		"abcdef01-2345-6789-abcd-ef0123456789"
#define POD2_		"abcdef01_2345_6789_abcd_ef0123456789"
#define STATIC_POD	"0a1b2c3d4e5f60718293a4b5c6d7e8f9"
#define BURSTABLE_SLICE "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" POD_ ".slice"
#define KIND_SLICES	"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice"

#define OTHER	   CRIER_CGROUP_KIND_OTHER
#define KUBEPODS   CRIER_CGROUP_KIND_KUBEPODS
#define QOS	   CRIER_CGROUP_KIND_QOS
#define A_POD	   CRIER_CGROUP_KIND_POD
#define CONTAINER  CRIER_CGROUP_KIND_CONTAINER
#define NESTED	   CRIER_CGROUP_KIND_NESTED
#define UNKNOWN	   CRIER_QOS_UNKNOWN
#define GUARANTEED CRIER_QOS_GUARANTEED
#define BURSTABLE  CRIER_QOS_BURSTABLE
#define BESTEFFORT CRIER_QOS_BEST_EFFORT

struct path_case {
	const char *name, *path;
	enum crier_cgroup_kind kind;
	const char *id, *uid; /* NULL = absent */
	enum crier_qos qos;
	const char *runtime, *driver;
	const char *inside; /* what follows the container's directory; NULL = no container */
};

/* clang-format off */
static const struct path_case cases[] = {
	/* cgroupfs driver, containerd and cri-dockerd */
	{"root", "/", OTHER, NULL, NULL, UNKNOWN, NULL, NULL, NULL},
	{"empty", "", OTHER, NULL, NULL, UNKNOWN, NULL, NULL, NULL},
	{"kubepods", "/kubepods", KUBEPODS, NULL, NULL, UNKNOWN, NULL, "cgroupfs", NULL},
	{"burstable", "/kubepods/burstable", QOS, NULL, NULL, BURSTABLE, NULL, "cgroupfs", NULL},
	{"besteffort", "/kubepods/besteffort", QOS, NULL, NULL, BESTEFFORT, NULL, "cgroupfs", NULL},
	{"pod burstable", "/kubepods/burstable/pod" POD, A_POD, NULL, POD, BURSTABLE, NULL, "cgroupfs", NULL},
	{"pod guaranteed", "/kubepods/pod" POD, A_POD, NULL, POD, GUARANTEED, NULL, "cgroupfs", NULL},
	{"container burstable", "/kubepods/burstable/pod" POD "/" ID, CONTAINER, ID, POD, BURSTABLE, NULL, "cgroupfs", ""},
	{"container besteffort", "/kubepods/besteffort/pod" POD "/" ID, CONTAINER, ID, POD, BESTEFFORT, NULL, "cgroupfs", ""},
	{"container guaranteed", "/kubepods/pod" POD "/" ID, CONTAINER, ID, POD, GUARANTEED, NULL, "cgroupfs", ""},
	{"static pod", "/kubepods/burstable/pod" STATIC_POD "/" ID, CONTAINER, ID, STATIC_POD, BURSTABLE, NULL, "cgroupfs", ""},
	{"cri-o cgroupfs", "/kubepods/burstable/pod" POD "/crio-" ID, CONTAINER, ID, POD, BURSTABLE, "cri-o", "cgroupfs", ""},
	{"cri-o conmon cgroupfs", "/kubepods/burstable/pod" POD "/crio-conmon-" ID, OTHER, NULL, POD, BURSTABLE, NULL, "cgroupfs", NULL},

	/* systemd driver */
	{"kubepods slice", "/kubepods.slice", KUBEPODS, NULL, NULL, UNKNOWN, NULL, "systemd", NULL},
	{"burstable slice", "/kubepods.slice/kubepods-burstable.slice", QOS, NULL, NULL, BURSTABLE, NULL, "systemd", NULL},
	{"besteffort slice", "/kubepods.slice/kubepods-besteffort.slice", QOS, NULL, NULL, BESTEFFORT, NULL, "systemd", NULL},
	{"pod slice", BURSTABLE_SLICE, A_POD, NULL, POD, BURSTABLE, NULL, "systemd", NULL},
	{"pod slice guaranteed", "/kubepods.slice/kubepods-pod" POD_ ".slice", A_POD, NULL, POD, GUARANTEED, NULL, "systemd", NULL},
	{"containerd scope", BURSTABLE_SLICE "/cri-containerd-" ID ".scope", CONTAINER, ID, POD, BURSTABLE, "containerd", "systemd", ""},
	{"cri-o scope", BURSTABLE_SLICE "/crio-" ID ".scope", CONTAINER, ID, POD, BURSTABLE, "cri-o", "systemd", ""},
	{"docker scope in pod", BURSTABLE_SLICE "/docker-" ID ".scope", CONTAINER, ID, POD, BURSTABLE, "docker", "systemd", ""},
	{"guaranteed scope", "/kubepods.slice/kubepods-pod" POD_ ".slice/cri-containerd-" ID ".scope", CONTAINER, ID, POD, GUARANTEED, "containerd", "systemd", ""},
	{"static pod slice", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" STATIC_POD ".slice/cri-containerd-" ID ".scope", CONTAINER, ID, STATIC_POD, BURSTABLE, "containerd", "systemd", ""},
	{"cri-o conmon scope", BURSTABLE_SLICE "/crio-conmon-" ID ".scope", OTHER, NULL, POD, BURSTABLE, NULL, "systemd", NULL},

	/* the kubelet says systemd, the runtime takes the name as one directory */
	{"mismatched", "/kubepods-burstable-pod" POD_ ".slice:cri-containerd:" ID, CONTAINER, ID, POD, BURSTABLE, "containerd", "cgroupfs", ""},
	{"mismatched guaranteed", "/kubepods-pod" POD_ ".slice:cri-containerd:" ID, CONTAINER, ID, POD, GUARANTEED, "containerd", "cgroupfs", ""},
	{"mismatched, relative to the caller", "/user/shell-1/kubepods-besteffort-pod" POD_ ".slice:cri-containerd:" ID, CONTAINER, ID, POD, BESTEFFORT, "containerd", "cgroupfs", ""},
	{"mismatched below the caller's hex", "/process/0123456789abcdef0123456789abcdef/kubepods-burstable-pod" POD_ ".slice:cri-containerd:" ID, CONTAINER, ID, POD, BURSTABLE, "containerd", "cgroupfs", ""},
	{"mismatched cri-o", "/kubepods-burstable-pod" POD_ ".slice:crio:" ID, CONTAINER, ID, POD, BURSTABLE, "cri-o", "cgroupfs", ""},
	{"mismatched custom root", "/kubelet-kubepods-burstable-pod" POD_ ".slice:cri-containerd:" ID, CONTAINER, ID, POD, BURSTABLE, "containerd", "cgroupfs", ""},
	{"mismatched no pod", "/system.slice:docker:" ID, CONTAINER, ID, NULL, UNKNOWN, "docker", "cgroupfs", ""},
	{"mismatched below kind's node", "/docker/" ID2 "/kubelet-kubepods-besteffort-pod" POD_ ".slice:cri-containerd:" ID, CONTAINER, ID, POD, BESTEFFORT, "containerd", "cgroupfs", ""},
	{"mismatched nested", "/kubepods-burstable-pod" POD_ ".slice:cri-containerd:" ID "/sub", NESTED, ID, POD, BURSTABLE, "containerd", "cgroupfs", "/sub"},

	/* docker, podman, nerdctl, containerd without pods */
	{"docker directory", "/docker", OTHER, NULL, NULL, UNKNOWN, NULL, NULL, NULL},
	{"docker", "/docker/" ID, CONTAINER, ID, NULL, UNKNOWN, "docker", "cgroupfs", ""},
	{"docker systemd", "/system.slice/docker-" ID ".scope", CONTAINER, ID, NULL, UNKNOWN, "docker", "systemd", ""},
	{"docker buildkit", "/docker/buildkit/abcdefghijklmnopqrstuvwxy", OTHER, NULL, NULL, UNKNOWN, NULL, NULL, NULL},
	{"docker service", "/system.slice/docker.service", OTHER, NULL, NULL, UNKNOWN, NULL, NULL, NULL},
	{"podman", "/machine.slice/libpod-" ID ".scope", CONTAINER, ID, NULL, UNKNOWN, "podman", "systemd", ""},
	{"podman crun", "/machine.slice/libpod-" ID ".scope/container", NESTED, ID, NULL, UNKNOWN, "podman", "systemd", "/container"},
	{"podman rootless", "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID ".scope/container", NESTED, ID, NULL, UNKNOWN, "podman", "systemd", "/container"},
	{"podman pod", "/machine.slice/machine-libpod_pod_" ID2 ".slice/libpod-" ID ".scope", CONTAINER, ID, NULL, UNKNOWN, "podman", "systemd", ""},
	{"podman cgroupfs", "/libpod_parent/libpod-" ID, CONTAINER, ID, NULL, UNKNOWN, "podman", "cgroupfs", ""},
	{"podman conmon", "/machine.slice/libpod-conmon-" ID ".scope", OTHER, NULL, NULL, UNKNOWN, NULL, NULL, NULL},
	{"nerdctl", "/system.slice/nerdctl-" ID ".scope", CONTAINER, ID, NULL, UNKNOWN, "containerd", "systemd", ""},
	{"pod without cgroup parent", "/k8s.io/" ID, CONTAINER, ID, NULL, UNKNOWN, "containerd", "cgroupfs", ""},
	{"bare id of nobody", "/default/" ID, OTHER, NULL, NULL, UNKNOWN, NULL, NULL, NULL},
	{"bare id at the root", "/" ID, OTHER, NULL, NULL, UNKNOWN, NULL, NULL, NULL},
	{"bare id two below docker", "/docker/x/" ID, OTHER, NULL, NULL, UNKNOWN, NULL, NULL, NULL},

	/* other roots */
	{"k3s", "/k3s/kubepods/besteffort/pod" POD "/" ID, CONTAINER, ID, POD, BESTEFFORT, NULL, "cgroupfs", ""},
	{"kubelet root", "/kubelet/kubepods/burstable/pod" POD "/" ID, CONTAINER, ID, POD, BURSTABLE, NULL, "cgroupfs", ""},
	{"kubelet root slices", KIND_SLICES "/kubelet-kubepods-besteffort-pod" POD_ ".slice/cri-containerd-" ID ".scope", CONTAINER, ID, POD, BESTEFFORT, "containerd", "systemd", ""},
	{"deep root", "/a/b/c/kubepods/pod" POD "/" ID, CONTAINER, ID, POD, GUARANTEED, NULL, "cgroupfs", ""},
	{"two-part root slices", "/my.slice/my-own.slice/my-own-kubepods.slice/my-own-kubepods-pod" POD_ ".slice/crio-" ID ".scope", CONTAINER, ID, POD, GUARANTEED, "cri-o", "systemd", ""},
	{"kind node", "/docker/" ID2 "/kubelet", NESTED, ID2, NULL, UNKNOWN, "docker", "cgroupfs", "/kubelet"},
	{"kind kubepods", "/docker/" ID2 "/kubelet/kubepods", KUBEPODS, NULL, NULL, UNKNOWN, NULL, "cgroupfs", NULL},
	{"kind burstable", "/docker/" ID2 "/kubelet/kubepods/burstable", QOS, NULL, NULL, BURSTABLE, NULL, "cgroupfs", NULL},
	{"kind pod", "/docker/" ID2 "/kubelet/kubepods/burstable/pod" POD, A_POD, NULL, POD, BURSTABLE, NULL, "cgroupfs", NULL},
	{"kind container", "/docker/" ID2 "/kubelet/kubepods/burstable/pod" POD "/" ID, CONTAINER, ID, POD, BURSTABLE, NULL, "cgroupfs", ""},
	{"kind on systemd", "/system.slice/docker-" ID2 ".scope" KIND_SLICES "/kubelet-kubepods-besteffort-pod" POD_ ".slice/cri-containerd-" ID ".scope", CONTAINER, ID, POD, BESTEFFORT, "containerd", "systemd", ""},
	{"kind on podman", "/machine.slice/libpod-" ID2 ".scope/container" KIND_SLICES "/kubelet-kubepods-besteffort-pod" POD_ ".slice/cri-containerd-" ID ".scope", CONTAINER, ID, POD, BESTEFFORT, "containerd", "systemd", ""},
	{"kind node's systemd", "/docker/" ID2 "/system.slice/containerd.service", NESTED, ID2, NULL, UNKNOWN, "docker", "cgroupfs", "/system.slice/containerd.service"},

	/* inside containers */
	{"crun", BURSTABLE_SLICE "/cri-containerd-" ID ".scope/container", NESTED, ID, POD, BURSTABLE, "containerd", "systemd", "/container"},
	{"systemd in a container", "/kubepods/burstable/pod" POD "/" ID "/system.slice/ssh.service", NESTED, ID, POD, BURSTABLE, NULL, "cgroupfs", "/system.slice/ssh.service"},
	{"docker in a pod", "/kubepods/burstable/pod" POD "/" ID "/docker/" ID2, NESTED, ID, POD, BURSTABLE, NULL, "cgroupfs", "/docker/" ID2},
	{"docker scope in a pod's container", BURSTABLE_SLICE "/cri-containerd-" ID ".scope/system.slice/docker-" ID2 ".scope", NESTED, ID, POD, BURSTABLE, "containerd", "systemd", "/system.slice/docker-" ID2 ".scope"},
	{"bare id in a container", "/kubepods/pod" POD "/" ID "/" ID2, NESTED, ID, POD, GUARANTEED, NULL, "cgroupfs", "/" ID2},
	{"kind in a pod", "/kubepods/burstable/pod" POD "/" ID "/docker/" ID2 "/kubelet/kubepods/besteffort/pod" POD2 "/" ID3, NESTED, ID, POD, BURSTABLE, NULL, "cgroupfs", "/docker/" ID2 "/kubelet/kubepods/besteffort/pod" POD2 "/" ID3},
	{"mismatched in a pod", "/kubepods/pod" POD "/" ID "/kubepods-pod" POD2_ ".slice:cri-containerd:" ID2, NESTED, ID, POD, GUARANTEED, NULL, "cgroupfs", "/kubepods-pod" POD2_ ".slice:cri-containerd:" ID2},
	{"docker in docker", "/docker/" ID "/docker/" ID2, NESTED, ID, NULL, UNKNOWN, "docker", "cgroupfs", "/docker/" ID2},
	{"scope in docker", "/docker/" ID "/system.slice/docker-" ID2 ".scope", NESTED, ID, NULL, UNKNOWN, "docker", "cgroupfs", "/system.slice/docker-" ID2 ".scope"},

	/* as a reader with a cgroup namespace of its own sees others */
	{"above the namespace", "/../../../../kubepods/burstable/pod" POD "/" ID, CONTAINER, ID, POD, BURSTABLE, NULL, "cgroupfs", ""},
	{"sibling QoS", "/../../../besteffort/pod" POD "/" ID, CONTAINER, ID, POD, BESTEFFORT, NULL, "cgroupfs", ""},
	{"sibling pod, QoS hidden", "/../../pod" POD "/" ID, CONTAINER, ID, POD, UNKNOWN, NULL, "cgroupfs", ""},
	{"sibling pod slice", "/../../kubepods-burstable-pod" POD_ ".slice/cri-containerd-" ID ".scope", CONTAINER, ID, POD, BURSTABLE, "containerd", "systemd", ""},
	{"sibling container", "/../" ID, OTHER, NULL, NULL, UNKNOWN, NULL, NULL, NULL},
	{"sibling scope", "/../cri-containerd-" ID ".scope", CONTAINER, ID, NULL, UNKNOWN, "containerd", "systemd", ""},
	{"only dots", "/../..", OTHER, NULL, NULL, UNKNOWN, NULL, NULL, NULL},

	/* not quite */
	{"63 digits", "/kubepods/burstable/pod" POD "/3f9c2d4e5a6b7c8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6", OTHER, NULL, POD, BURSTABLE, NULL, "cgroupfs", NULL},
	{"65 digits", "/kubepods/burstable/pod" POD "/" ID "0", OTHER, NULL, POD, BURSTABLE, NULL, "cgroupfs", NULL},
	{"65 digits in a scope", BURSTABLE_SLICE "/cri-containerd-" ID "0.scope", OTHER, NULL, POD, BURSTABLE, NULL, "systemd", NULL},
	{"65 digits mismatched", "/kubepods-pod" POD_ ".slice:cri-containerd:" ID "0", OTHER, NULL, NULL, UNKNOWN, NULL, NULL, NULL},
	{"upper-case id", "/kubepods/burstable/pod" POD "/3F9C2D4E5A6B7C8D9E0F1A2B3C4D5E6F708192A3B4C5D6E7F8091A2B3C4D5E6F", OTHER, NULL, POD, BURSTABLE, NULL, "cgroupfs", NULL},
	{"upper-case uid", "/kubepods/burstable/podABCDEF01-2345-6789-abcd-ef0123456789", OTHER, NULL, NULL, BURSTABLE, NULL, "cgroupfs", NULL},
	{"uid with a dash misplaced", "/kubepods/pod1111111-12222-3333-4444-555555555555", OTHER, NULL, NULL, UNKNOWN, NULL, "cgroupfs", NULL},
	{"id with a g", "/kubepods/pod" POD "/gf9c2d4e5a6b7c8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f", OTHER, NULL, POD, GUARANTEED, NULL, "cgroupfs", NULL},
	{"uid, first dash", "/kubepods/pod11111111x2222-3333-4444-555555555555", OTHER, NULL, NULL, UNKNOWN, NULL, "cgroupfs", NULL},
	{"uid, second dash", "/kubepods/pod11111111-2222x3333-4444-555555555555", OTHER, NULL, NULL, UNKNOWN, NULL, "cgroupfs", NULL},
	{"uid, third dash", "/kubepods/pod11111111-2222-3333x4444-555555555555", OTHER, NULL, NULL, UNKNOWN, NULL, "cgroupfs", NULL},
	{"uid, fourth dash", "/kubepods/pod11111111-2222-3333-4444x555555555555", OTHER, NULL, NULL, UNKNOWN, NULL, "cgroupfs", NULL},
	{"mismatched in docker, no pod", "/docker/" ID "/system.slice:docker:" ID2, NESTED, ID, NULL, UNKNOWN, "docker", "cgroupfs", "/system.slice:docker:" ID2},
	{"uid with underscores in cgroupfs", "/kubepods/pod" POD_, OTHER, NULL, NULL, UNKNOWN, NULL, "cgroupfs", NULL},
	{"uid with dashes in a slice", "/kubepods.slice/kubepods-pod" POD ".slice", OTHER, NULL, NULL, UNKNOWN, NULL, "systemd", NULL},
	{"uid of 31 digits", "/kubepods/pod0a1b2c3d4e5f60718293a4b5c6d7e8f", OTHER, NULL, NULL, UNKNOWN, NULL, "cgroupfs", NULL},
	{"a pod's name as uid", "/kubepods/burstable/podweb-0/" ID, CONTAINER, ID, NULL, BURSTABLE, NULL, "cgroupfs", ""},
	{"no uid", "/kubepods/pod", OTHER, NULL, NULL, UNKNOWN, NULL, "cgroupfs", NULL},
	{"scope without suffix", BURSTABLE_SLICE "/cri-containerd-" ID, OTHER, NULL, POD, BURSTABLE, NULL, "systemd", NULL},
	{"unknown prefix", BURSTABLE_SLICE "/lxc-" ID ".scope", OTHER, NULL, POD, BURSTABLE, NULL, "systemd", NULL},
	{"something before the prefix", BURSTABLE_SLICE "/xcri-containerd-" ID ".scope", OTHER, NULL, POD, BURSTABLE, NULL, "systemd", NULL},
	{"like kubepods", "/mykubepods.slice", OTHER, NULL, NULL, UNKNOWN, NULL, NULL, NULL},
	{"like a pod slice", "/kubepods.slice/xkubepods-pod" POD_ ".slice", OTHER, NULL, NULL, UNKNOWN, NULL, "systemd", NULL},
	{"burstable of the host", "/burstable", OTHER, NULL, NULL, UNKNOWN, NULL, NULL, NULL},
	{"burstable too deep", "/kubepods/x/burstable", OTHER, NULL, NULL, UNKNOWN, NULL, "cgroupfs", NULL},
	{"pod outside kubepods", "/pod" POD "/" ID, CONTAINER, ID, POD, UNKNOWN, NULL, "cgroupfs", ""},
	{"kubepods below a pod", "/kubepods/pod" POD "/kubepods", OTHER, NULL, POD, GUARANTEED, NULL, "cgroupfs", NULL},
	{"pod below a pod", "/kubepods/pod" POD "/pod" POD2, OTHER, NULL, POD, GUARANTEED, NULL, "cgroupfs", NULL},
	{"id below something in a pod", "/kubepods/pod" POD "/x/" ID, CONTAINER, ID, POD, GUARANTEED, NULL, "cgroupfs", ""},
	{"dots inside", "/kubepods/pod" POD "/../pod" POD2 "/" ID, OTHER, NULL, NULL, UNKNOWN, NULL, NULL, NULL},
	{"dots at the end", "/kubepods/pod" POD "/..", OTHER, NULL, NULL, UNKNOWN, NULL, NULL, NULL},
	{"dots in a container", "/kubepods/pod" POD "/" ID "/..", OTHER, NULL, NULL, UNKNOWN, NULL, NULL, NULL},
	{"dots deep in a container", "/kubepods/pod" POD "/" ID "/x/../..", OTHER, NULL, NULL, UNKNOWN, NULL, NULL, NULL},
	{"empty components", "//kubepods///burstable//pod" POD "//" ID "//", CONTAINER, ID, POD, BURSTABLE, NULL, "cgroupfs", "//"},
	{"trailing slash", "/kubepods/burstable/", QOS, NULL, NULL, BURSTABLE, NULL, "cgroupfs", NULL},
	{"no leading slash", "kubepods-burstable-pod" POD_ ".slice:cri-containerd:" ID, CONTAINER, ID, POD, BURSTABLE, "containerd", "cgroupfs", ""},
	{"host service", "/system.slice/sshd.service", OTHER, NULL, NULL, UNKNOWN, NULL, NULL, NULL},
	{"init scope", "/init.scope", OTHER, NULL, NULL, UNKNOWN, NULL, NULL, NULL},
	{"other bytes", "/\xff\xfe/\n/kubepods", KUBEPODS, NULL, NULL, UNKNOWN, NULL, "cgroupfs", NULL},
};
/* clang-format on */

static bool text_is(const char *text, const char *expected)
{
	return expected ? text && strcmp(text, expected) == 0 : text == NULL;
}

static bool slice_is(struct crier_slice slice, const char *expected)
{
	return expected ? slice.ptr && crier_slice_equal(slice, crier_slice_of(expected)) : slice.ptr == NULL;
}

static void check(const struct path_case *c, const char *path)
{
	struct crier_cgroup_facts facts;
	size_t len = strlen(path);

	crier_cgroup_parse((struct crier_slice){path, len}, &facts);

	size_t depth = c->inside ? len - strlen(c->inside) : 0;
	bool right = facts.kind == c->kind && slice_is(facts.container_id, c->id) &&
		     slice_is(facts.pod_uid, c->uid) && facts.qos == c->qos &&
		     text_is(facts.runtime, c->runtime) && text_is(facts.driver, c->driver) &&
		     facts.container_depth == depth;

	if (!right)
		fail_msg("%s: %s\n  kind %d id %.*s uid %.*s qos %d runtime %s driver %s depth %zu", c->name,
			 path, facts.kind, (int)facts.container_id.len, facts.container_id.ptr,
			 (int)facts.pod_uid.len, facts.pod_uid.ptr, facts.qos,
			 facts.runtime ? facts.runtime : "-", facts.driver ? facts.driver : "-",
			 facts.container_depth);
}

static void test_forms(void **state)
{
	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(cases); i++)
		check(&cases[i], cases[i].path);
}

/* An exact copy on the heap, so that asan sees a read past the end. */
static void test_reads_within_bounds(void **state)
{
	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(cases); i++)
		for (size_t len = 0; len <= strlen(cases[i].path); len++) {
			_cleanup_free_ char *copy = malloc(len ? len : 1);
			struct crier_cgroup_facts facts;

			assert_non_null(copy);
			memcpy(copy, cases[i].path, len);
			crier_cgroup_parse((struct crier_slice){copy, len}, &facts);
			assert_true(facts.kind < CRIER_CGROUP_KIND_COUNT);
			assert_true(facts.container_depth <= len);
		}
}

static void test_longest_path(void **state)
{
	static const char tail[] = "/kubepods/burstable/pod" POD "/" ID;
	char path[CRIER_CGROUP_PATH_MAX + 1];
	struct crier_cgroup_facts facts;

	(void)state;
	for (size_t i = 0; i < sizeof(path); i++)
		path[i] = i % 200 == 0 ? '/' : 'x';
	memcpy(path + CRIER_CGROUP_PATH_MAX - (sizeof(tail) - 1), tail, sizeof(tail) - 1);
	crier_cgroup_parse((struct crier_slice){path, CRIER_CGROUP_PATH_MAX}, &facts);
	assert_int_equal(facts.kind, CONTAINER);
	assert_int_equal(facts.container_depth, CRIER_CGROUP_PATH_MAX);
	path[CRIER_CGROUP_PATH_MAX] = '/';
	crier_cgroup_parse((struct crier_slice){path, CRIER_CGROUP_PATH_MAX + 1}, &facts);
	assert_int_equal(facts.kind, OTHER);
	assert_null(facts.container_id.ptr);
}

/* A NUL is a byte like others: no component ends there. */
static void test_nul_bytes(void **state)
{
	static const char path[] = "/kubepods\0/pod" POD "/" ID;
	struct crier_cgroup_facts facts;

	(void)state;
	crier_cgroup_parse((struct crier_slice){path, sizeof(path) - 1}, &facts);
	assert_int_equal(facts.kind, CONTAINER);
	assert_int_equal(facts.qos, UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_reads_within_bounds),
		cmocka_unit_test(test_longest_path),
		cmocka_unit_test(test_nul_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
