/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel offers and what this process may do. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/utsname.h>

#include "check.h"
#include "crier/harden.h"

/* Directories looked at for a pod's cgroup to prove ids on. */
#define WALK_MAX 4096

/* First bytes of a small file as text, newline cut. @return 0 or -errno */
static int read_line(const char *path, char *buf, size_t cap)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, cap - 1);
	if (n < 0)
		return -errno;
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return 0;
}

/* "[none] integrity confidentiality": the word in brackets. */
static const char *lockdown_mode(char *buf, size_t cap)
{
	char *open_bracket, *close_bracket;

	if (read_line("/sys/kernel/security/lockdown", buf, cap) < 0)
		return "not known";
	open_bracket = strchr(buf, '[');
	close_bracket = open_bracket ? strchr(open_bracket, ']') : NULL;
	if (!close_bracket)
		return "not known";
	*close_bracket = '\0';
	return open_bracket + 1;
}

/* What keeps kernel programs from running keeps crier from starting only where they are required. */
static enum crier_finding_status without_programs(const struct crier_check *check)
{
	return check->config->ebpf == CRIER_EBPF_REQUIRED ? CRIER_FINDING_FAILED : CRIER_FINDING_DEGRADED;
}

void crier_check_kernel(struct crier_check *check)
{
	struct crier_finding *finding = crier_check_add(check, "kernel");
	const char *btf = check->config->btf ? check->config->btf : "/sys/kernel/btf/vmlinux", *lockdown;
	struct utsname uts = {0};
	char buf[128];
	bool has_btf = access(btf, R_OK) == 0;

	uname(&uts);
	lockdown = lockdown_mode(buf, sizeof(buf));
	crier_finding_say(finding, "%s %s", uts.release, uts.machine);
	crier_finding_say(finding, "BTF %s", has_btf ? "yes" : "no");
	crier_finding_say(finding, "lockdown %s", lockdown);
	if (!has_btf && check->config->ebpf != CRIER_EBPF_OFF)
		crier_finding_worsen(
			finding, without_programs(check),
			"%s: %s; use a kernel with CONFIG_DEBUG_INFO_BTF, or name a BTF file with --btf", btf,
			strerror(errno));
	if (strcmp(lockdown, "confidentiality") == 0)
		crier_finding_worsen(
			finding, without_programs(check),
			"lockdown=confidentiality forbids eBPF to read the kernel; boot with lockdown=integrity");
	finding->facts = json_pack("{s:s,s:s,s:b,s:s}", "release", uts.release, "machine", uts.machine, "btf",
				   has_btf, "lockdown", lockdown);
}

/* ---- cgroups ---- */

struct example {
	char path[CRIER_CGROUP_PATH_MAX];
};

/* Best is the pods' root: it is there on every node that had a pod. Else the first directory below the root. */
static bool take_example(void *ctx, struct crier_slice path, uint64_t id, uint64_t parent_id)
{
	struct example *example = ctx;
	struct crier_cgroup_facts facts;

	(void)id;
	(void)parent_id;
	crier_cgroup_parse(path, &facts);
	if (facts.kind != CRIER_CGROUP_KIND_OTHER || strcmp(example->path, "/") == 0)
		(void)crier_copy_str(example->path, sizeof(example->path), path);
	return facts.kind == CRIER_CGROUP_KIND_OTHER;
}

static void prove_ids(struct crier_check *check, struct crier_finding *finding)
{
	struct example example = {.path = "/"};
	uint64_t inode = 0, id = 0;
	int r;

	if (crier_cgroup_walk(check->layout.primary_root, WALK_MAX, take_example, &example) < 0)
		crier_finding_worsen(finding, CRIER_FINDING_DEGRADED,
				     "%s cannot be walked; mount the host's cgroups there",
				     check->layout.primary_root);
	r = crier_cgroup_prove(&check->layout, crier_slice_of(example.path), &inode, &id);
	if (r == 0)
		crier_finding_say(finding, "id = inode proven on %.200s (%llu = %llu)", example.path,
				  (unsigned long long)id, (unsigned long long)inode);
	else if (r == -ERANGE)
		crier_finding_say(finding, "id is not the inode on %.200s (%llu, %llu)", example.path,
				  (unsigned long long)id, (unsigned long long)inode);
	else
		crier_finding_say(finding, "id = inode not proven on %.200s: %s", example.path, strerror(-r));
	if (r == -ERANGE)
		crier_finding_worsen(
			finding, CRIER_FINDING_FAILED,
			"cgroup ids of events cannot be joined with cgroupfs; mount the real cgroupfs, not an overlay");
	else if (r < 0)
		crier_finding_worsen(finding, CRIER_FINDING_DEGRADED,
				     "the proof needs name_to_handle_at(2) on cgroupfs");
	if (r == 0 || r == -ERANGE)
		json_object_set_new(finding->facts, "proof",
				    json_pack("{s:s,s:I,s:I}", "path", example.path, "id", (json_int_t)id,
					      "inode", (json_int_t)inode));
}

void crier_check_cgroups(struct crier_check *check)
{
	struct crier_finding *finding = crier_check_add(check, "cgroups");
	struct crier_err err = {0};
	const char *driver;

	if (crier_cgroup_detect(check->config->host_root, &check->layout, &err) < 0) {
		crier_finding_say(finding, "%s", err.message);
		crier_finding_worsen(finding, CRIER_FINDING_FAILED,
				     "mount the host's /sys/fs/cgroup, see --host-root");
		return;
	}
	check->has_layout = true;
	driver = check->layout.driver ? check->layout.driver : "not known (no pod yet)";
	crier_finding_say(finding, "%s", crier_cgroup_mode_name(check->layout.mode));
	crier_finding_say(finding, "driver %s", driver);
	finding->facts =
		json_pack("{s:s,s:s*,s:s,s:s,s:b}", "mode", crier_cgroup_mode_name(check->layout.mode),
			  "driver", check->layout.driver, "root", check->layout.primary_root, "memory_root",
			  check->layout.memory_root, "v2_primary", check->layout.primary_is_v2);
	prove_ids(check, finding);
	if (check->layout.is_own_only)
		crier_finding_worsen(
			finding, CRIER_FINDING_DEGRADED,
			"crier's own cgroup namespace and no pod in it: mount the node's /sys/fs/cgroup, see --host-root");
	if (!crier_proc_is_hosts(check->config->host_root))
		crier_finding_worsen(
			finding, CRIER_FINDING_DEGRADED,
			"/proc is not the node's: run with hostPID, or mount it below --host-root");
	if (!check->layout.memory_root[0])
		crier_finding_worsen(
			finding, CRIER_FINDING_DEGRADED,
			"no memory controller is mounted: no limits, no container.memory_pressure; enable it");
}

/* ---- rights ---- */

/* What each capability buys. Any tracing needs the first two; SYS_ADMIN stands for both but is more than crier wants. */
static const struct right {
	cap_value_t value;
	const char *name;
	enum crier_finding_status without;
	const char *buys;
	bool is_for_programs;
} rights[] = {
	{CAP_BPF, "BPF", CRIER_FINDING_DEGRADED, "loading eBPF programs", true},
	{CAP_PERFMON, "PERFMON", CRIER_FINDING_DEGRADED, "attaching them and reading the kernel", true},
	{CAP_SYS_RESOURCE, "SYS_RESOURCE", CRIER_FINDING_OK,
	 "locked memory for maps, on kernels before 5.11 only", false},
	{CAP_DAC_READ_SEARCH, "DAC_READ_SEARCH", CRIER_FINDING_OK,
	 "OCI bundles and logs that are not root's, such as those of pods in user namespaces", false},
	{CAP_SYSLOG, "SYSLOG", CRIER_FINDING_OK,
	 "OOM kills by the kernel's log, where eBPF cannot run and kernel.dmesg_restrict is set", false},
};

static bool is_held(cap_t caps, cap_value_t value)
{
	cap_flag_value_t held = CAP_CLEAR;

	return cap_get_flag(caps, value, CAP_EFFECTIVE, &held) == 0 && held == CAP_SET;
}

void crier_check_rights(struct crier_check *check)
{
	struct crier_finding *finding = crier_check_add(check, "rights");
	cap_t caps = cap_get_proc();
	json_t *held_list = json_array(), *missing_list = json_array();
	bool is_admin;

	if (!caps) {
		crier_finding_say(finding, "capabilities cannot be read: %s", strerror(errno));
		crier_finding_worsen(finding, CRIER_FINDING_DEGRADED, "mount /proc");
	}
	is_admin = caps && is_held(caps, CAP_SYS_ADMIN);
	for (size_t i = 0; caps && i < CRIER_ARRAY_SIZE(rights); i++) {
		const struct right *right = &rights[i];
		bool held = is_held(caps, right->value) || (is_admin && right->is_for_programs);

		crier_finding_say(finding, "%s %s", right->name, held ? "yes" : "no");
		if (held)
			json_array_append_new(held_list, json_string(right->name));
		else
			json_array_append_new(missing_list, json_pack("{s:s,s:s}", "name", right->name,
								      "buys", right->buys));
		if (!held && right->without != CRIER_FINDING_OK && check->config->ebpf != CRIER_EBPF_OFF)
			crier_finding_worsen(finding, without_programs(check), "add CAP_%s for %s",
					     right->name, right->buys);
		else if (!held)
			crier_finding_say(finding, "which buys %s", right->buys);
	}
	finding->facts = json_pack("{s:o,s:o}", "held", held_list, "missing", missing_list);
	cap_free(caps);
}

/* ---- what is given up after the start ---- */

void crier_check_hardening(struct crier_check *check)
{
	struct crier_finding *finding = crier_check_add(check, "hardening");
	unsigned abi = crier_harden_landlock_abi();
	bool seccomp = crier_harden_has_seccomp();

	crier_finding_say(finding,
			  "capabilities dropped but for DAC_READ_SEARCH, and BPF where maps take it");
	crier_finding_say(finding, "no_new_privs");
	crier_finding_say(finding, "seccomp %s", seccomp ? "yes" : "no");
	if (abi)
		crier_finding_say(finding, "Landlock yes (ABI %u)", abi);
	else
		crier_finding_say(finding, "Landlock no");
	if (!check->config->harden)
		crier_finding_worsen(finding, CRIER_FINDING_DEGRADED,
				     "none of it is done: take --no-harden back");
	else if (!seccomp)
		crier_finding_worsen(finding, CRIER_FINDING_DEGRADED,
				     "system calls stay unlimited; use a kernel with CONFIG_SECCOMP_FILTER");
	finding->facts = json_pack("{s:b,s:b,s:i}", "wanted", check->config->harden, "seccomp", seccomp,
				   "landlock_abi", (int)abi);
}

/* ---- pressure stall information ---- */

void crier_check_pressure(struct crier_check *check)
{
	struct crier_finding *finding = crier_check_add(check, "psi");
	char path[512], line[128];
	bool node = read_line("/proc/pressure/memory", line, sizeof(line)) == 0, containers = false;

	if (check->has_layout && check->layout.primary_is_v2) {
		struct example example = {.path = "/"};

		(void)crier_cgroup_walk(check->layout.primary_root, WALK_MAX, take_example, &example);
		snprintf(path, sizeof(path), "%.250s%.200s/memory.pressure", check->layout.primary_root,
			 example.path);
		containers = access(path, R_OK | W_OK) == 0;
	}
	crier_finding_say(finding, "node %s", node ? "yes" : "no");
	crier_finding_say(finding, "containers %s", containers ? "yes" : "no");
	if (!node && !containers)
		crier_finding_worsen(
			finding, CRIER_FINDING_DEGRADED,
			"memory pressure is critical by limit hits only, not by stall; boot with psi=1");
	else if (!containers)
		crier_finding_say(finding, "so critical pressure of containers is told by limit hits");
	finding->facts = json_pack("{s:b,s:b}", "node", node, "containers", containers);
}
