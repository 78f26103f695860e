/* L-BFGS on functions whose minima are known, and on functions that fight back. */
#include "base/alloc.h"
#include "check.h"
#include "math/lbfgs.h"

static fi_lbfgs_result minimise(fi_objective_fn f, size_t n, double *x, size_t max_iterations)
{
    fi_lbfgs_options options = fi_lbfgs_stan;
    fi_lbfgs_result result;
    options.max_iterations = max_iterations;
    CHECK_INT(fi_lbfgs_minimise(f, NULL, n, x, &options, &result, NULL), FTL_OK);
    return result;
}

static bool rosenbrock(void *user, const double *x, double *f, double *g)
{
    (void)user;
    double a = 1 - x[0], b = x[1] - x[0] * x[0];
    *f = a * a + 100 * b * b;
    g[0] = -2 * a - 400 * x[0] * b;
    g[1] = 200 * b;
    return true;
}

TEST(rosenbrocks_valley_is_followed_to_its_end)
{
    double x[2] = {-1.2, 1};
    fi_lbfgs_result r = minimise(rosenbrock, 2, x, 10000);
    CHECK(r.stop != FI_LBFGS_MAX_ITERATIONS && r.stop != FI_LBFGS_LINE_SEARCH);
    CHECK_NEAR(x[0], 1, 1e-4); /* the stop leaves f about 2e-9 above its minimum, the valley's curvature is 0.4 */
    CHECK_NEAR(x[1], 1, 2e-4);
    CHECK(r.iterations < 100 && r.evaluations >= r.iterations);
    CHECK_NEAR(r.f, 0, 5e-9);
}

enum { WIDE = 50 };

/* Curvatures from 1 to 1e4. */
static bool bowl(void *user, const double *x, double *f, double *g)
{
    (void)user;
    *f = 0;
    for (size_t i = 0; i < WIDE; i++) {
        double c = pow(1e4, (double)i / (WIDE - 1)), e = x[i] - (double)i;
        *f += 0.5 * c * e * e;
        g[i] = c * e;
    }
    return true;
}

TEST(an_ill_conditioned_bowl_is_minimised_in_50_dimensions)
{
    double x[WIDE] = {0};
    minimise(bowl, WIDE, x, 10000);
    for (size_t i = 0; i < WIDE; i++) CHECK_NEAR(x[i], (double)i, 1e-3); /* least curvature 1 */
}

TEST(the_iteration_limit_is_kept)
{
    double x[WIDE] = {0}, g[WIDE], f;
    fi_lbfgs_result r = minimise(bowl, WIDE, x, 7);
    CHECK_INT(r.stop, FI_LBFGS_MAX_ITERATIONS);
    CHECK_INT(r.iterations, 7);
    bowl(NULL, x, &f, g);
    CHECK_NEAR(r.f, f, 0); /* x is the point that result speaks of */
}

/* -ln x + x, defined right of 0 only. */
static bool barrier(void *user, const double *x, double *f, double *g)
{
    (void)user;
    *f = x[0] - log(x[0]);
    g[0] = 1 - 1 / x[0];
    return x[0] > 0;
}

TEST(a_search_steps_back_from_where_the_function_is_not_defined)
{
    double x[1] = {500};
    minimise(barrier, 1, x, 10000);
    CHECK_NEAR(x[0], 1, 1e-4);
}

TEST(a_start_outside_the_domain_is_reported)
{
    double x[1] = {-1};
    fi_lbfgs_result r = minimise(barrier, 1, x, 10000);
    CHECK_INT(r.stop, FI_LBFGS_BAD_START);
    CHECK_INT(r.iterations, 0);
    CHECK_NEAR(x[0], -1, 0);
}

/* A gradient that points the wrong way: no step helps. */
static bool liar(void *user, const double *x, double *f, double *g)
{
    (void)user;
    *f = x[0] * x[0];
    g[0] = -2 * x[0];
    return true;
}

TEST(a_wrong_gradient_ends_in_a_failed_line_search_not_in_a_hang)
{
    double x[1] = {3};
    fi_lbfgs_result r = minimise(liar, 1, x, 10000);
    CHECK_INT(r.stop, FI_LBFGS_LINE_SEARCH);
    CHECK_NEAR(x[0], 3, 0);
}

/* Falls for ever. */
static bool abyss(void *user, const double *x, double *f, double *g)
{
    (void)user;
    *f = -x[0];
    g[0] = -1;
    return isfinite(x[0]);
}

TEST(a_function_without_minimum_ends_in_a_failed_line_search)
{
    double x[1] = {0};
    CHECK_INT(minimise(abyss, 1, x, 10000).stop, FI_LBFGS_LINE_SEARCH);
}

TEST(lack_of_memory_is_reported_and_nothing_leaks)
{
    fi_lbfgs_result r;
    double x[2] = {-1.2, 1};
    ftl_status st = FTL_ENOMEM;
    for (long n = 0; st == FTL_ENOMEM; n++) {
        fi_alloc_fail_after(n);
        st = fi_lbfgs_minimise(rosenbrock, NULL, 2, x, &fi_lbfgs_stan, &r, NULL);
        fi_alloc_fail_after(-1);
        CHECK(n < 10 && (st == FTL_OK || x[0] == -1.2));
    }
    CHECK_INT(st, FTL_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rosenbrocks_valley_is_followed_to_its_end),
        cmocka_unit_test(an_ill_conditioned_bowl_is_minimised_in_50_dimensions),
        cmocka_unit_test(the_iteration_limit_is_kept),
        cmocka_unit_test(a_search_steps_back_from_where_the_function_is_not_defined),
        cmocka_unit_test(a_start_outside_the_domain_is_reported),
        cmocka_unit_test(a_wrong_gradient_ends_in_a_failed_line_search_not_in_a_hang),
        cmocka_unit_test(a_function_without_minimum_ends_in_a_failed_line_search),
        cmocka_unit_test(lack_of_memory_is_reported_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
