/* SPDX-License-Identifier: Apache-2.0 */
/* Runtimes' own files of a container: what is kept of them, what is believed, what is refused. */
#include "test.h"

#include <jansson.h>
#include <stdio.h>

#include "crier/bundle.h"

#define ID	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SANDBOX "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define UID	"11111111-2222-3333-4444-555555555555"

/* An OCI config as containerd 1.6 writes it, what is secret in it included. */
#define OCI(annotations)                                                                                                                                          \
	"{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"sh\",\"-c\",\"}{\\\"][\"],\"env\":[\"TOKEN=sesame\"],\"rlimits\":[{\"hard\":18446744073709551615}]}," \
	"\"annotations\":{" annotations "},\"linux\":{\"cgroupsPath\":\"/kubepods/pod1/" ID "\"}}"
#define DOCKER(labels)                                                                                       \
	"{\"State\":{\"Pid\":17},\"ID\":\"" ID                                                               \
	"\",\"Config\":{\"Env\":[\"TOKEN=sesame\"],\"Labels\":{" labels "}},"                                \
	"\"LogPath\":\"/x\"}"
#define LABELS                                                                                               \
	"\"io.kubernetes.container.name\":\"app\",\"io.kubernetes.pod.name\":\"cart-1\","                    \
	"\"io.kubernetes.pod.namespace\":\"shop\",\"io.kubernetes.pod.uid\":\"" UID "\""
#define CONTAINERD                                                                                           \
	"\"io.kubernetes.cri.container-name\":\"app\",\"io.kubernetes.cri.container-type\":\"container\","   \
	"\"io.kubernetes.cri.image-name\":\"registry.example/cart:1\","                                      \
	"\"io.kubernetes.cri.sandbox-id\":\"" SANDBOX "\",\"io.kubernetes.cri.sandbox-name\":\"cart-1\","    \
	"\"io.kubernetes.cri.sandbox-namespace\":\"shop\",\"io.kubernetes.cri.sandbox-uid\":\"" UID "\""
#define CRIO                                                                                                       \
	LABELS ",\"io.kubernetes.cri-o.ContainerType\":\"container\",\"io.kubernetes.cri-o.SandboxID\":\"" SANDBOX \
	       "\",\"io.kubernetes.cri-o.Image\":\"sha256:1234\",\"io.kubernetes.container.restartCount\":\"4\","  \
	       "\"io.kubernetes.pod.terminationGracePeriod\":\"30\",\"io.kubernetes.cri-o.Annotations\":\"{}\""

struct expected {
	const char *sandbox_id, *name, *pod, *namespace_, *uid, *image, *type;
	uint64_t restarts, grace;
};

#define NONE CRIER_UNKNOWN_U64

static const struct {
	const char *what;
	enum crier_bundle_form form;
	const char *text;
	int result;
	struct expected expected;
} rows[] = {
	{"containerd",
	 CRIER_BUNDLE_CONTAINERD,
	 OCI(CONTAINERD),
	 0,
	 {SANDBOX, "app", "cart-1", "shop", UID, "registry.example/cart:1", "", NONE, NONE}},
	{"containerd, sandbox",
	 CRIER_BUNDLE_CONTAINERD,
	 OCI("\"io.kubernetes.cri.container-type\":\"sandbox\",\"io.kubernetes.cri.sandbox-id\":\"" ID
	     "\",\"io.kubernetes.cri.sandbox-name\":\"cart-1\",\"io.kubernetes.cri.sandbox-namespace\":\"shop\","
	     "\"io.kubernetes.cri.sandbox-uid\":\"" UID "\""),
	 0,
	 {ID, "", "cart-1", "shop", UID, "", "sandbox", NONE, NONE}},
	{"CRI-O",
	 CRIER_BUNDLE_CRIO,
	 OCI(CRIO),
	 0,
	 {SANDBOX, "app", "cart-1", "shop", UID, "sha256:1234", "", 4, 30}},
	{"CRI-O, an image with a name",
	 CRIER_BUNDLE_CRIO,
	 OCI(CRIO ",\"io.kubernetes.cri-o.ImageName\":\"registry.example/cart:1\""),
	 0,
	 {SANDBOX, "app", "cart-1", "shop", UID, "registry.example/cart:1", "", 4, 30}},
	{"CRI-O, an image without",
	 CRIER_BUNDLE_CRIO,
	 OCI(CRIO ",\"io.kubernetes.cri-o.ImageName\":\"\""),
	 0,
	 {SANDBOX, "app", "cart-1", "shop", UID, "sha256:1234", "", 4, 30}},
	{"CRI-O, sandbox: a user's annotations say no restarts",
	 CRIER_BUNDLE_CRIO,
	 OCI("\"io.kubernetes.container.restartCount\":\"9\",\"io.kubernetes.pod.terminationGracePeriod\":\"9\","
	     "\"io.kubernetes.container.name\":\"POD\",\"io.kubernetes.cri-o.ContainerType\":\"sandbox\","
	     "\"io.kubernetes.cri-o.SandboxID\":\"" ID "\",\"io.kubernetes.pod.name\":\"cart-1\","
	     "\"io.kubernetes.pod.namespace\":\"shop\",\"io.kubernetes.pod.uid\":\"" UID "\""),
	 0,
	 {ID, "", "cart-1", "shop", UID, "", "sandbox", NONE, NONE}},
	{"docker",
	 CRIER_BUNDLE_DOCKER,
	 DOCKER(LABELS ",\"io.kubernetes.docker.type\":\"container\",\"io.kubernetes.sandbox.id\":\"" SANDBOX
		       "\",\"annotation.io.kubernetes.container.restartCount\":\"2\""),
	 0,
	 {SANDBOX, "app", "cart-1", "shop", UID, "", "", 2, NONE}},
	{"docker, sandbox",
	 CRIER_BUNDLE_DOCKER,
	 DOCKER("\"io.kubernetes.container.name\":\"POD\",\"io.kubernetes.docker.type\":\"podsandbox\","
		"\"io.kubernetes.pod.name\":\"cart-1\",\"io.kubernetes.pod.namespace\":\"shop\","
		"\"io.kubernetes.pod.uid\":\"" UID "\""),
	 0,
	 {ID, "", "cart-1", "shop", UID, "", "sandbox", NONE, NONE}},
	{"docker's words in an OCI config are nobody's",
	 CRIER_BUNDLE_CONTAINERD,
	 OCI(LABELS),
	 0,
	 {"", "", "", "", "", "", "", NONE, NONE}},
	{"containerd's words in CRI-O's bundle are the user's",
	 CRIER_BUNDLE_CRIO,
	 OCI(CRIO ",\"io.kubernetes.cri.sandbox-name\":\"bank\",\"io.kubernetes.cri-o.KubeName\":\"bank\","
		  "\"io.kubernetes.cri.container-type\":\"sandbox\""),
	 0,
	 {SANDBOX, "app", "cart-1", "shop", UID, "sha256:1234", "", 4, 30}},
	{"CRI-O's words in containerd's bundle too",
	 CRIER_BUNDLE_CONTAINERD,
	 OCI(CONTAINERD
	     ",\"io.kubernetes.cri-o.ContainerType\":\"sandbox\",\"io.kubernetes.pod.name\":\"bank\""),
	 0,
	 {SANDBOX, "app", "cart-1", "shop", UID, "registry.example/cart:1", "", NONE, NONE}},
	{"no annotations at all",
	 CRIER_BUNDLE_CONTAINERD,
	 "{\"ociVersion\":\"1.0.2\"}",
	 0,
	 {"", "", "", "", "", "", "", NONE, NONE}},
	{"annotations of another kind",
	 CRIER_BUNDLE_CONTAINERD,
	 "{\"annotations\":[1]}",
	 0,
	 {"", "", "", "", "", "", "", NONE, NONE}},
	{"a value of another kind",
	 CRIER_BUNDLE_CONTAINERD,
	 OCI("\"io.kubernetes.cri.sandbox-name\":7,\"io.kubernetes.cri.container-name\":{\"a\":1}"),
	 0,
	 {"", "", "", "", "", "", "", NONE, NONE}},
	{"a number that is none",
	 CRIER_BUNDLE_CRIO,
	 OCI("\"io.kubernetes.container.restartCount\":\"4x\""),
	 0,
	 {"", "", "", "", "", "", "", NONE, NONE}},
	{"a sandbox of another id",
	 CRIER_BUNDLE_CONTAINERD,
	 OCI("\"io.kubernetes.cri.container-type\":\"sandbox\",\"io.kubernetes.cri.sandbox-id\":\"" SANDBOX
	     "\""),
	 -EEXIST,
	 {0}},
	{"a container that is its own sandbox",
	 CRIER_BUNDLE_CRIO,
	 OCI("\"io.kubernetes.cri-o.ContainerType\":\"container\",\"io.kubernetes.cri-o.SandboxID\":\"" ID
	     "\""),
	 -EEXIST,
	 {0}},
	{"in a deeper place",
	 CRIER_BUNDLE_CONTAINERD,
	 "{\"process\":{\"annotations\":{" CONTAINERD "}}}",
	 0,
	 {"", "", "", "", "", "", "", NONE, NONE}},
	{"as a value",
	 CRIER_BUNDLE_CONTAINERD,
	 "{\"a\":\"annotations\",\"b\":{" CONTAINERD "}, \"c\":[\"annotations\", {" CONTAINERD "}]}",
	 0,
	 {"", "", "", "", "", "", "", NONE, NONE}},
	{"with blanks, last, behind brackets in strings",
	 CRIER_BUNDLE_CRIO,
	 "\n { \"a\" : [ \"}\\\\\" , \"\\\"{\" ] ,\r\n\t\"annotations\" : { " CRIO " } } \n",
	 0,
	 {SANDBOX, "app", "cart-1", "shop", UID, "sha256:1234", "", 4, 30}},
	{"null",
	 CRIER_BUNDLE_CONTAINERD,
	 "{\"annotations\":null}",
	 0,
	 {"", "", "", "", "", "", "", NONE, NONE}},
	{"docker without labels",
	 CRIER_BUNDLE_DOCKER,
	 "{\"Config\":{\"Labels\":null},\"Labels\":{" LABELS "}}",
	 0,
	 {"", "", "", "", "", "", "", NONE, NONE}},
	{"escapes and NUL",
	 CRIER_BUNDLE_CONTAINERD,
	 OCI("\"io.kubernetes.cri.sandbox-name\":\"a\\\"b\\nc\\u00e9\""),
	 0,
	 {"", "", "a\"b\nc\xc3\xa9", "", "", "", "", NONE, NONE}},
};

static void assert_text(const char *what, struct crier_slice found, const char *expected)
{
	if (!crier_slice_equal(found, crier_slice_of(expected)))
		fail_msg("%s: '%.*s', not '%s'", what, (int)found.len, found.ptr ? found.ptr : "", expected);
}

static void test_forms(void **state)
{
	static struct crier_meta_message message;
	const struct crier_meta_container *meta = &message.container;

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		const struct expected *expected = &rows[i].expected;
		char kept[4096];
		size_t len = 0;
		json_t *store = NULL;
		int r = crier_bundle_keep(rows[i].form, rows[i].text, strlen(rows[i].text), kept,
					  sizeof(kept), &len);

		assert_int_equal(r, 0);
		assert_null(memmem(kept, len, "sesame", 6));
		crier_meta_clear(&message);
		r = crier_bundle_parse(rows[i].form, kept, len, CRIER_SLICE(ID), &message.container, &store);
		if (r != rows[i].result)
			fail_msg("%s: %d", rows[i].what, r);
		assert_int_equal(r == 0, store != NULL);
		if (r < 0)
			continue;
		assert_text(rows[i].what, meta->id, ID);
		assert_text(rows[i].what, meta->sandbox_id, expected->sandbox_id);
		assert_text(rows[i].what, meta->name, expected->name);
		assert_text(rows[i].what, meta->pod_name, expected->pod);
		assert_text(rows[i].what, meta->pod_namespace, expected->namespace_);
		assert_text(rows[i].what, meta->pod_uid, expected->uid);
		assert_text(rows[i].what, meta->image, expected->image);
		assert_text(rows[i].what, meta->type, expected->type);
		assert_true(meta->restart_count == expected->restarts);
		assert_true(meta->grace_period_s == expected->grace);
		json_decref(store);
	}
}

static int keep(const char *text, size_t len)
{
	static char kept[64 * 1024];
	size_t size;

	return crier_bundle_keep(CRIER_BUNDLE_CONTAINERD, text, len, kept, sizeof(kept), &size);
}

static void test_malformed(void **state)
{
	static const char *const texts[] = {
		"",
		"{",
		"[]",
		"null",
		"\"x\"",
		"{}{}",
		"{\"annotations\":{}",
		"{\"annotations\":{}}}",
		"{\"annotations\":{\"a\":1,}}",
		"{\"annotations",
		"{\"a\":\"\\\"}",
		"{\"annotations\":{},\"annotations\":{}}",
		"{\"annotations\":{}}x",
		"x{}",
		"]",
		"{\"annotations\":{\"io.kubernetes.cri.sandbox-name\":\"a\xff\"}}",
		"{\"annotations\":{\"io.kubernetes.cri.sandbox-name\":\"\xed\xa0\x80\"}}",
		"{\"annotations\":{\"io.kubernetes.cri.sandbox-name\":\"a\",\"io.kubernetes.cri.sandbox-name\":\"b\"}}",
		"{\"annotations\":{\"a\\u0000b\":\"c\"}}",
	};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(texts); i++)
		if (keep(texts[i], strlen(texts[i])) != -EBADMSG)
			fail_msg("%s: %d", texts[i], keep(texts[i], strlen(texts[i])));
	assert_int_equal(keep("{\"a\":1\0}", 8), -EBADMSG);
}

/* {"a":[[[…]]]} with so many levels, the object's own included. */
static int nest(size_t levels)
{
	static char text[64 * 1024];
	size_t len = (size_t)snprintf(text, sizeof(text), "{\"a\":");

	memset(text + len, '[', levels - 1);
	memset(text + len + levels - 1, ']', levels - 1);
	text[len + 2 * (levels - 1)] = '}';
	return keep(text, len + 2 * (levels - 1) + 1);
}

static int many(size_t values)
{
	_cleanup_free_ char *text = malloc(2 * values + 16);
	size_t len = 6;

	memcpy(text, "{\"a\":[", len);
	for (size_t i = 0; i + 1 < values; i++, len += 2)
		memcpy(text + len, "1,", 2);
	memcpy(text + len, "1]}", 3);
	return keep(text, len + 3);
}

static void test_bounds(void **state)
{
	(void)state;
	assert_int_equal(nest(CRIER_BUNDLE_DEPTH_MAX), 0);
	assert_int_equal(nest(CRIER_BUNDLE_DEPTH_MAX + 1), -E2BIG);
	assert_int_equal(nest(30000), -E2BIG);
	/* an object, an array, and a comma before each further value */
	assert_int_equal(many(CRIER_BUNDLE_VALUES_MAX - 1), 0);
	assert_int_equal(many(CRIER_BUNDLE_VALUES_MAX), -E2BIG);
	/* brackets and commas in strings are text, also behind an escaped quote */
	static const char quoted[] = "{\"a\":\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}";

	assert_int_equal(keep(quoted, sizeof(quoted) - 1), 0);
}

/* 16 KiB of a name: cut between characters, never refused for its length. */
static void test_long_values(void **state)
{
	static struct crier_meta_message message;
	static char text[40 * 1024], kept[64 * 1024];
	int len = snprintf(text, sizeof(text), "{\"annotations\":{\"io.kubernetes.cri.sandbox-name\":\"");
	size_t size = (size_t)len, kept_len;
	json_t *store;

	(void)state;
	for (int i = 0; i < 8 * 1024; i++, size += 2)
		memcpy(text + size, "\xc3\xa9", 2);
	size += (size_t)snprintf(text + size, sizeof(text) - size, "\"}}");
	assert_int_equal(
		crier_bundle_keep(CRIER_BUNDLE_CONTAINERD, text, size, kept, sizeof(kept), &kept_len), 0);
	crier_meta_clear(&message);
	assert_int_equal(crier_bundle_parse(CRIER_BUNDLE_CONTAINERD, kept, kept_len, CRIER_SLICE(ID),
					    &message.container, &store),
			 0);
	assert_int_equal(message.container.pod_name.len, CRIER_META_STRING_MAX);
	json_decref(store);
	/* what is kept has a bound as well */
	assert_int_equal(crier_bundle_keep(CRIER_BUNDLE_CONTAINERD, text, size, kept, 4096, &kept_len),
			 -EFBIG);
}

static void test_nul_in_a_value(void **state)
{
	static const char text[] = "{\"annotations\":{\"io.kubernetes.cri.sandbox-name\":\"a\\u0000b\"}}";
	static struct crier_meta_message message;
	char kept[256];
	size_t len;
	json_t *store;

	(void)state;
	assert_int_equal(
		crier_bundle_keep(CRIER_BUNDLE_CONTAINERD, text, sizeof(text) - 1, kept, sizeof(kept), &len),
		0);
	crier_meta_clear(&message);
	assert_int_equal(crier_bundle_parse(CRIER_BUNDLE_CONTAINERD, kept, len, CRIER_SLICE(ID),
					    &message.container, &store),
			 0);
	assert_int_equal(message.container.pod_name.len, 3);
	assert_memory_equal(message.container.pod_name.ptr, "a\0b", 3);
	json_decref(store);
}

static void test_what_was_not_kept_by_us(void **state)
{
	static struct crier_meta_message message;
	json_t *store = NULL;

	(void)state;
	crier_meta_clear(&message);
	assert_int_equal(
		crier_bundle_parse(CRIER_BUNDLE_CRIO, "[1]", 3, CRIER_SLICE(ID), &message.container, &store),
		-EBADMSG);
	assert_null(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),	       cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_bounds),	       cmocka_unit_test(test_long_values),
		cmocka_unit_test(test_nul_in_a_value), cmocka_unit_test(test_what_was_not_kept_by_us),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
