/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading below a directory that is anybody's. The tree of each test has an outside with canaries (a file and a FIFO);
 * inotify tells whether anybody opened them. Everything is tried twice: with openat2, and in a child whose seccomp filter
 * refuses it.
 */
#include "test.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "crier/base/below.h"

#define MIB (1024 * 1024)

static char top[] = "/tmp/crier-below-XXXXXX";
static bool no_openat2;

/* ---- the tree ---- */

static const char *at(const char *name)
{
	static char paths[4][300];
	static unsigned next;
	char *path = paths[next++ % CRIER_ARRAY_SIZE(paths)];

	snprintf(path, sizeof(paths[0]), "%s/%s", top, name);
	return path;
}

static void write_file(const char *name, const char *text, mode_t mode)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static int setup(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(top));
	assert_int_equal(chmod(top, 0755), 0);
	static const char *const folders[] = {
		"outside",  "host",	    "host/run",		"host/run/ctd",	    "host/run/ctd/abc",
		"host/var", "host/var/log", "host/var/log/all", "host/run/ctd/dir", "host/empty",
	};

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(folders); i++)
		assert_int_equal(mkdir(at(folders[i]), 0755), 0);
	write_file("outside/secret", "secret", 0644);
	assert_int_equal(mkfifo(at("outside/fifo"), 0666), 0);
	write_file("host/run/ctd/abc/config.json", "{}", 0644);
	write_file("host/run/ctd/abc/closed", "{}", 0);
	write_file("host/run/ctd/abc/empty", "", 0644);
	assert_int_equal(mkfifo(at("host/run/ctd/abc/fifo"), 0666), 0);
	assert_int_equal(symlink("/run", at("host/var/run")), 0); /* absolute: the host's /run, not ours */
	assert_int_equal(symlink("loop", at("host/run/ctd/loop")), 0);
	assert_int_equal(symlink("../loop2/x", at("host/run/ctd/abc/loop2")), 0);
	assert_int_equal(symlink("abc", at("host/run/ctd/alias")), 0);
	assert_int_equal(symlink("config.json", at("host/run/ctd/abc/alias.json")), 0);
	assert_int_equal(symlink("../../../../outside/secret", at("host/run/ctd/abc/up.json")), 0);
	assert_int_equal(symlink("../../../../outside/fifo", at("host/run/ctd/abc/upfifo")), 0);
	assert_int_equal(symlink(at("outside"), at("host/run/ctd/away")), 0);
	assert_int_equal(symlink("/proc/self/root", at("host/run/ctd/magic")), 0);
	return 0;
}

static int teardown(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", top);
	return system(command);
}

/* ---- the canaries ---- */

static int canaries(void)
{
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	assert_true(fd >= 0);
	assert_true(inotify_add_watch(fd, at("outside"), IN_OPEN | IN_ACCESS) >= 0);
	assert_true(inotify_add_watch(fd, at("outside/secret"), IN_OPEN | IN_ACCESS) >= 0);
	assert_true(inotify_add_watch(fd, at("outside/fifo"), IN_OPEN | IN_ACCESS) >= 0);
	return fd;
}

static void assert_silent(int fd)
{
	char events[4096];

	assert_int_equal(read(fd, events, sizeof(events)), -1);
	assert_int_equal(errno, EAGAIN);
	close(fd);
}

/* ---- calls ---- */

static int load(const char *dir, const char *name)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 99;
	int r = crier_below_load(at("host"), dir, name, MIB, &text, &len);

	assert_true((r == 0) == (text != NULL));
	assert_true((r == 0) == (len != 99));
	return r;
}

static int link_of(const char *dir, const char *name, char *buf, size_t cap)
{
	size_t len = 0;
	int r = crier_below_link(at("host"), dir, name, buf, cap, &len);

	if (r == 0)
		buf[len] = '\0';
	return r;
}

static int find(const char *dir, const char *suffix, char *buf, size_t cap)
{
	size_t len = 0;
	int r = crier_below_find(at("host"), dir, crier_slice_of(suffix), buf, cap - 1, &len);

	buf[r == 0 ? len : 0] = '\0';
	return r;
}

/* ---- tests; each runs with and without openat2 ---- */

static void test_file(void **state)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	(void)state;
	assert_int_equal(crier_below_load(at("host"), "/run/ctd", "abc/config.json", MIB, &text, &len), 0);
	assert_int_equal(len, 2);
	assert_string_equal(text, "{}");
	assert_int_equal(load("/run/ctd", "abc/empty"), 0);
	assert_int_equal(load("/run//ctd/", "abc//config.json"), 0);
	assert_int_equal(load("/run/ctd", "abc/none"), -ENOENT);
	assert_int_equal(load("/run/none", "abc/config.json"), -ENOENT);
	assert_int_equal(load("/run/ctd", "abc/config.json/x"), -ENOTDIR);
}

static void test_nothing_outside(void **state)
{
	static const char *const names[] = {
		"abc/up.json",	     "abc/upfifo",     "away/secret", "away/fifo", "../../../outside/secret",
		"alias/config.json", "abc/alias.json", "loop",	      "loop/x",	   "abc/loop2",
		"magic/etc/passwd",
	};
	int watch = canaries();

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(names); i++) {
		int r = load("/run/ctd", names[i]);

		if (r != -ELOOP && r != -EXDEV)
			fail_msg("%s: %d", names[i], r);
	}
	/* the directory itself: ".." and links end at the host's root, where there is no "outside" */
	assert_int_equal(load("/run/ctd/../../../outside", "secret"), no_openat2 ? -EXDEV : -ENOENT);
	assert_int_equal(load("/run/ctd/away", "secret"), no_openat2 ? -ELOOP : -ENOENT);
	assert_int_equal(load("/run/ctd/loop", "x"), -ELOOP);
	assert_silent(watch);
}

static void test_directory_over_links(void **state)
{
	(void)state;
	/* /var/run -> /run is the host's; without openat2 such a folder is to be named as it is */
	assert_int_equal(load("/var/run/ctd", "abc/config.json"), no_openat2 ? -ELOOP : 0);
	assert_int_equal(load("/run/ctd/alias", "config.json"), no_openat2 ? -ELOOP : 0);
}

static void test_only_regular_files(void **state)
{
	int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	size_t len;

	(void)state;
	assert_true(inotify_add_watch(watch, at("host/run/ctd/abc/fifo"), IN_OPEN) >= 0);
	assert_int_equal(load("/run/ctd", "abc/fifo"), -EINVAL); /* nor does it block, nor is it opened */
	assert_silent(watch);
	assert_int_equal(load("/run/ctd", "dir"), -EINVAL);
	assert_int_equal(load("/run/ctd", "."), -EINVAL);
	assert_int_equal(crier_below_load("/", "/dev", "zero", MIB, &text, &len), -EINVAL);
}

/* Sparse: there are no 100 MiB to be read. */
static void test_size(void **state)
{
	int fd = open(at("host/run/ctd/abc/huge.json"), O_WRONLY | O_CREAT, 0644);

	(void)state;
	assert_int_equal(ftruncate(fd, 100L * MIB), 0);
	assert_int_equal(load("/run/ctd", "abc/huge.json"), -EFBIG);
	assert_int_equal(ftruncate(fd, MIB + 1), 0);
	assert_int_equal(load("/run/ctd", "abc/huge.json"), -EFBIG);
	assert_int_equal(ftruncate(fd, MIB), 0);
	assert_int_equal(load("/run/ctd", "abc/huge.json"), 0);
	close(fd);
}

static void test_unreadable(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0) { /* root's rights read it; those of nobody do not */
		if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
			_exit(2);
		_exit(load("/run/ctd", "abc/closed") != -EACCES);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void test_link(void **state)
{
	char buf[128];
	int watch = canaries();

	(void)state;
	assert_int_equal(link_of("/run/ctd", "abc/up.json", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "../../../../outside/secret");
	assert_int_equal(link_of("/run/ctd", "loop", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "loop");
	assert_int_equal(link_of("/run/ctd", "abc/config.json", buf, sizeof(buf)), -EINVAL);
	assert_int_equal(link_of("/run/ctd", "away/secret", buf, sizeof(buf)), -ELOOP);
	assert_int_equal(link_of("/run/ctd", "abc/up.json", buf, 26), -ENAMETOOLONG);
	assert_int_equal(link_of("/run/ctd", "none", buf, sizeof(buf)), -ENOENT);
	assert_silent(watch);
}

static void test_find(void **state)
{
	char buf[256];

	(void)state;
	write_file("host/var/log/all/cart_shop_app-1234.log", "", 0644);
	write_file("host/var/log/all/-1234.log", "", 0644); /* counts as well */
	assert_int_equal(find("/var/log/all", "-1234.log", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "cart_shop_app-1234.log");
	assert_int_equal(find("/var/log/all", "-9.log", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "");
	assert_int_equal(find("/empty", "-9.log", buf, sizeof(buf)), 0);
	assert_int_equal(find("/var/none", "-9.log", buf, sizeof(buf)), -ENOENT);
	assert_int_equal(find("/run/ctd/abc/fifo", "-9.log", buf, sizeof(buf)), -ENOTDIR);
	assert_int_equal(find("/var/log/all", "-1234.log", buf, 10), -ENAMETOOLONG);
	assert_int_equal(symlink("nowhere", at("host/var/log/all/other_shop_app-1234.log")), 0);
	assert_int_equal(find("/var/log/all", "-1234.log", buf, sizeof(buf)), -ENOTUNIQ);
	assert_int_equal(unlink(at("host/var/log/all/other_shop_app-1234.log")), 0);
}

static void test_find_is_bounded(void **state)
{
	char name[64], buf[256];

	(void)state;
	for (int i = 0; i < CRIER_BELOW_ENTRIES_MAX; i++) {
		snprintf(name, sizeof(name), "host/empty/%d.log", i);
		assert_int_equal(symlink("x", at(name)), 0);
	}
	assert_int_equal(find("/empty", "-77.log", buf, sizeof(buf)), -E2BIG); /* "." and ".." count too */
	for (int i = 0; i < CRIER_BELOW_ENTRIES_MAX; i++) {
		snprintf(name, sizeof(name), "host/empty/%d.log", i);
		assert_int_equal(unlink(at(name)), 0);
	}
}

static void test_kernel_file(void **state)
{
	char buf[64], path[320];
	size_t len = 0;

	(void)state;
	assert_int_equal(crier_below_read_kernel("/", "/proc/self/stat", buf, sizeof(buf), &len), 0);
	assert_int_equal(len, sizeof(buf));
	assert_int_equal(crier_below_read_kernel("/", "/proc/none", buf, sizeof(buf), &len), -ENOENT);
	assert_int_equal(crier_below_read_kernel("/", "/proc", buf, sizeof(buf), &len), -EINVAL);
	snprintf(path, sizeof(path), "%s/run/ctd/abc/config.json", at("host"));
	assert_int_equal(crier_below_read_kernel(at("host"), path, buf, sizeof(buf), &len), 0);
	assert_int_equal(len, 2);
	if (no_openat2)
		return;
	snprintf(path, sizeof(path), "%s/run/ctd/away/secret", at("host"));
	assert_int_equal(crier_below_read_kernel(at("host"), path, buf, sizeof(buf), &len), -ENOENT);
	assert_int_equal(crier_below_read_kernel("/", "/proc/self/root/etc/passwd", buf, sizeof(buf), &len),
			 -ELOOP);
}

static void test_split(void **state)
{
	static const struct {
		const char *root, *path, *top, *below;
	} rows[] = {
		{"/", "/proc/1", "/", "/proc/1"},
		{"/host", "/host/proc/1", "/host", "/proc/1"},
		{"/host/", "/host/proc", "/host/", "/proc"},
		{"/host", "/hostile/x", "/", "/hostile/x"},
		{"/host", "/host", "/host", ""},
		{"/host", "/sys/fs", "/", "/sys/fs"},
	};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		const char *below;

		assert_string_equal(crier_below_split(rows[i].root, rows[i].path, &below), rows[i].top);
		assert_string_equal(below, rows[i].below);
	}
}

static void refuse_openat2(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {CRIER_ARRAY_SIZE(filter), filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		_exit(3);
	no_openat2 = true;
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_file),
	cmocka_unit_test(test_nothing_outside),
	cmocka_unit_test(test_directory_over_links),
	cmocka_unit_test(test_only_regular_files),
	cmocka_unit_test(test_size),
	cmocka_unit_test(test_unreadable),
	cmocka_unit_test(test_link),
	cmocka_unit_test(test_find),
	cmocka_unit_test(test_find_is_bounded),
	cmocka_unit_test(test_kernel_file),
	cmocka_unit_test(test_split),
};

/* The other half of the tests: this program's child does them all without openat2. */
static void test_without_openat2(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		refuse_openat2();
		_exit(cmocka_run_group_tests_name("without openat2", tests, NULL, NULL));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest again[] = {cmocka_unit_test(test_without_openat2)};
	int failed;

	if (setup(NULL) < 0)
		return 1;
	failed = cmocka_run_group_tests_name("with openat2", tests, NULL, NULL);
	failed += cmocka_run_group_tests_name("a seccomp profile that refuses it", again, NULL, NULL);
	return teardown(NULL) || failed;
}
