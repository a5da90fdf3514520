/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU budget: what it lets through over a minute, how it rests, that it recovers. */
#include "crier/cpu_budget.h"
#include "test.h"

#define MS 1000000ULL
#define S  1000000000ULL

/* A load that wants all of a CPU, in turns of `turn_ns`, as long as it is let. @return CPU used until `end_ns` */
static uint64_t run(struct crier_cpu_budget *budget, uint64_t *wall_ns, uint64_t *cpu_ns, uint64_t end_ns,
		    uint64_t turn_ns)
{
	uint64_t before = *cpu_ns;

	while (*wall_ns < end_ns) {
		*wall_ns += turn_ns;
		*cpu_ns += turn_ns;
		uint64_t rest_until = crier_cpu_budget_spend(budget, *wall_ns, *cpu_ns);

		assert_true(rest_until == 0 || rest_until > *wall_ns);
		*wall_ns = rest_until > *wall_ns ? rest_until : *wall_ns;
	}
	return *cpu_ns - before;
}

static void test_share_is_kept(void **state)
{
	static const struct {
		double share;
		uint64_t turn_ns;
	} rows[] = {{0.001, 100000}, {0.05, 2 * MS}, {0.25, 8 * MS}, {0.5, 100 * MS}, {0.9, 1 * MS}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct crier_cpu_budget budget;
		uint64_t wall = 1000 * S, cpu = 5 * S;

		crier_cpu_budget_init(&budget, rows[i].share, wall, cpu);
		double used = (double)run(&budget, &wall, &cpu, 1060 * S, rows[i].turn_ns) / 1e9;

		/* a minute's share, and the second saved at its beginning */
		assert_true(used <= 61.5 * rows[i].share + (double)rows[i].turn_ns / 1e9);
		assert_true(used >= 59 * rows[i].share);
	}
}

static void test_no_bound(void **state)
{
	struct crier_cpu_budget budget;
	uint64_t wall = 1000 * S, cpu = 0;

	(void)state;
	crier_cpu_budget_init(&budget, 0, wall, cpu);
	assert_int_equal(run(&budget, &wall, &cpu, 1010 * S, 10 * MS), 10 * S);
}

static void test_recovers_and_saves_no_more_than_a_second(void **state)
{
	struct crier_cpu_budget budget;
	uint64_t wall = 1000 * S, cpu = 0;

	(void)state;
	crier_cpu_budget_init(&budget, 0.5, wall, cpu);
	cpu += 30 * S; /* far over it: the debt is ten seconds' share, the rest that and what saves up 1 ms */
	assert_int_equal(crier_cpu_budget_spend(&budget, wall, cpu), wall + 10 * S + 2 * MS + 1);
	wall += 10 * S + 2 * MS + 1;
	assert_int_equal(crier_cpu_budget_spend(&budget, wall, cpu), 0);
	wall += 3600 * S; /* an hour of nothing */
	assert_int_equal(crier_cpu_budget_spend(&budget, wall, cpu), 0);
	cpu += S / 2; /* a second's share was saved */
	assert_int_equal(crier_cpu_budget_spend(&budget, wall, cpu), 0);
	cpu += 1 * MS; /* and not more */
	assert_int_equal(crier_cpu_budget_spend(&budget, wall, cpu), wall + 4 * MS + 1);
}

/* A turn with nothing to do costs too. The rest before it has to pay for it, or each such turn overdraws the budget again. */
static void test_load_that_is_over_ends_the_rests(void **state)
{
	static const double shares[] = {0.001, 0.005, 0.5};

	(void)state;
	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		struct crier_cpu_budget budget;
		uint64_t wall = 1000 * S, cpu = 0, rests = 0;

		crier_cpu_budget_init(&budget, shares[i], wall, cpu);
		run(&budget, &wall, &cpu, 1020 * S, 5 * MS);
		for (uint64_t turn = 0; turn < 100; turn++) {
			uint64_t idle =
				50000; /* 50 us, each half of a second: a tenth of the smallest share */

			cpu += idle;
			uint64_t rest_until = crier_cpu_budget_spend(&budget, wall += idle, cpu);

			rests += rest_until != 0;
			wall = rest_until ? rest_until : wall + S / 2;
		}
		assert_true(rests <= 1);
	}
}

static void test_another_share(void **state)
{
	struct crier_cpu_budget budget;
	uint64_t wall = 1000 * S, cpu = 0;

	(void)state;
	crier_cpu_budget_init(&budget, 0.001, wall, cpu);
	cpu += 10 * MS;
	assert_true(crier_cpu_budget_spend(&budget, wall, cpu) > wall);
	crier_cpu_budget_set(&budget, 0);
	assert_int_equal(crier_cpu_budget_spend(&budget, wall + 1, cpu + 10 * S), 0);
	crier_cpu_budget_set(&budget, 0.5);
	assert_true(crier_cpu_budget_spend(&budget, wall + 2, cpu + 11 * S) > wall + 2);
}

/* Clocks that stand still or go back earn nothing and cost nothing. */
static void test_odd_clocks(void **state)
{
	struct crier_cpu_budget budget;

	(void)state;
	crier_cpu_budget_init(&budget, 0.5, 10 * S, 5 * S);
	assert_int_equal(crier_cpu_budget_spend(&budget, 9 * S, 4 * S), 0);
	assert_int_equal(budget.left_ns, S / 2);
	assert_int_equal(crier_cpu_budget_spend(&budget, 9 * S, 4 * S), 0);
	assert_int_equal(budget.left_ns, S / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_share_is_kept),
		cmocka_unit_test(test_no_bound),
		cmocka_unit_test(test_recovers_and_saves_no_more_than_a_second),
		cmocka_unit_test(test_load_that_is_over_ends_the_rests),
		cmocka_unit_test(test_another_share),
		cmocka_unit_test(test_odd_clocks),
	};

	return cmocka_run_group_tests_name("cpu_budget", tests, NULL, NULL);
}
