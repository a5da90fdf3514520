/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the kubelet's log folders: one reading or none. */
#include "test.h"

#include <stdio.h>

#include "crier/log_name.h"

#define ID  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define UID "11111111-2222-3333-4444-555555555555"
#define N63 "a23456789-123456789-123456789-123456789-123456789-123456789-123"

#define assert_slice(slice, text) assert_true(crier_slice_equal(slice, crier_slice_of(text)))

static void test_pods(void **state)
{
	static const struct {
		const char *name, *namespace_, *pod, *uid; /* namespace NULL: refused */
	} rows[] = {
		{"shop_cart-7d9f8b6c5-x2x4k_" UID, "shop", "cart-7d9f8b6c5-x2x4k", UID},
		{"kube-system_etcd-node1.example.com_0123456789abcdef0123456789abcdef", "kube-system",
		 "etcd-node1.example.com", "0123456789abcdef0123456789abcdef"},
		{"a_b_c", "a", "b", "c"},
		{N63 "_p_u", N63, "p", "u"},
		{N63 "4_p_u", NULL, NULL, NULL}, /* a namespace of 64 */
		{UID, NULL, NULL, NULL},	 /* before 1.14 */
		{"shop_cart", NULL, NULL, NULL},
		{"shop_cart_", NULL, NULL, NULL},
		{"_cart_" UID, NULL, NULL, NULL},
		{"shop__" UID, NULL, NULL, NULL},
		{"more_shop_cart_" UID, NULL, NULL, NULL},
		{"Shop_cart_" UID, NULL, NULL, NULL},
		{"shop_cart\n_" UID, NULL, NULL, NULL},
		{"shop_c\"art_" UID, NULL, NULL, NULL},
		{"shop_c\xff"
		 "art_" UID,
		 NULL, NULL, NULL},
		{"sh.op_cart_" UID, NULL, NULL, NULL},
		{"shop_.cart_" UID, NULL, NULL, NULL},
		{"shop_cart._" UID, NULL, NULL, NULL},
		{"shop_ca..rt_" UID, NULL, NULL, NULL},
		{"shop_ca.-rt_" UID, NULL, NULL, NULL},
		{"shop_ca-.rt_" UID, NULL, NULL, NULL},
		{"-shop_cart_" UID, NULL, NULL, NULL},
		{"shop-_cart_" UID, NULL, NULL, NULL},
		{"shop_cart_../x", NULL, NULL, NULL},
		{"", NULL, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		struct crier_log_pod pod;
		int r = crier_log_pod_parse(crier_slice_of(rows[i].name), &pod);

		if (r != (rows[i].namespace_ ? 0 : -EBADMSG))
			fail_msg("%s: %d", rows[i].name, r);
		if (r < 0)
			continue;
		assert_slice(pod.namespace_, rows[i].namespace_);
		assert_slice(pod.name, rows[i].pod);
		assert_slice(pod.uid, rows[i].uid);
	}
}

#define POD_FOLDER "/var/log/pods/shop_cart-1_" UID

static void test_links(void **state)
{
	static const struct {
		const char *name, *text;
		int result;
		uint64_t restarts;
	} rows[] = {
		{"cart-1_shop_app-" ID ".log", POD_FOLDER "/app/0.log", 0, 0},
		{"cart-1_shop_app-" ID ".log", POD_FOLDER "/app/17.log", 0, 17},
		{"cart-1_shop_app-" ID ".log", "../pods/shop_cart-1_" UID "/app/0.log", 0, 0},
		{"cart-1_shop_app-" ID ".log", "shop_cart-1_" UID "/app/0.log", 0, 0},
		{"cart-1_shop_app-" ID ".log", "/data/logs/pods/shop_cart-1_" UID "/app/0.log", 0, 0},
		/* they speak of different containers */
		{"cart-1_shop_app-" ID ".log", POD_FOLDER "/web/0.log", -EEXIST, 0},
		{"cart-1_bank_app-" ID ".log", POD_FOLDER "/app/0.log", -EEXIST, 0},
		{"cart-2_shop_app-" ID ".log", POD_FOLDER "/app/0.log", -EEXIST, 0},
		/* the text is no log of the kubelet's */
		{"cart-1_shop_app-" ID ".log", "/etc/shadow", -EBADMSG, 0},
		{"cart-1_shop_app-" ID ".log", POD_FOLDER "/app/", -EBADMSG, 0},
		{"cart-1_shop_app-" ID ".log", POD_FOLDER "/app/0", -EBADMSG, 0},
		{"cart-1_shop_app-" ID ".log", POD_FOLDER "/app/x.log", -EBADMSG, 0},
		{"cart-1_shop_app-" ID ".log", POD_FOLDER "/app/-1.log", -EBADMSG, 0},
		{"cart-1_shop_app-" ID ".log", POD_FOLDER "/app/99999999999999999999.log", -EBADMSG, 0},
		{"cart-1_shop_app-" ID ".log", POD_FOLDER "/../app/0.log", -EBADMSG, 0},
		{"cart-1_shop_app-" ID ".log", "/var/log/pods/" UID "/app/0.log", -EBADMSG, 0},
		{"cart-1_shop_app-" ID ".log", "", -EBADMSG, 0},
		/* docker's, without the pod's folder between */
		{"cart-1_shop_app-" ID ".log", "/var/lib/docker/containers/" ID "/" ID "-json.log", -EBADMSG,
		 0},
		/* the name is none of the kubelet's */
		{"cart-1_shop_app-" ID, POD_FOLDER "/app/0.log", -EBADMSG, 0},
		{"cart-1_shop-" ID ".log", POD_FOLDER "/app/0.log", -EBADMSG, 0},
		{"x_cart-1_shop_app-" ID ".log", POD_FOLDER "/app/0.log", -EBADMSG, 0},
		{"cart-1_shop_a.p-" ID ".log", POD_FOLDER "/app/0.log", -EBADMSG, 0},
		{"cart-1_shop_app-.log", POD_FOLDER "/app/0.log", -EBADMSG, 0},
		{"cart 1_shop_app-" ID ".log", POD_FOLDER "/app/0.log", -EBADMSG, 0},
		{".log", POD_FOLDER "/app/0.log", -EBADMSG, 0},
	};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		struct crier_log_link link;
		int r = crier_log_link_parse(crier_slice_of(rows[i].name), crier_slice_of(rows[i].text),
					     &link);

		if (r != rows[i].result)
			fail_msg("%s -> %s: %d", rows[i].name, rows[i].text, r);
		if (r < 0)
			continue;
		assert_slice(link.pod.namespace_, "shop");
		assert_slice(link.pod.name, "cart-1");
		assert_slice(link.pod.uid, UID);
		assert_slice(link.container, "app");
		assert_slice(link.id, ID);
		assert_true(link.restarts == rows[i].restarts);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pods),
		cmocka_unit_test(test_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
