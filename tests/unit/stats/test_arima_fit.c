/*
 * Fits against R 4.2.2's arima() (optim.control = list(reltol = 1e-14, ndeps = 1e-5)). R's prior of differenced models is
 * not quite diffuse, which moves its log likelihoods by a few 1e-3.
 */
#include "base/alloc.h"
#include "check.h"
#include "series_data.h"
#include "stats/arima_fit.h"

typedef struct want {
    fi_arima_order order;
    double coef[4], beta[2], sigma2, loglik;
} want;

static fi_arima_fit fitted;
static double beta[3];

static ftl_status try_fit(const double *y, size_t n, const double *x, const fi_arima_order *order,
                          fi_arima_method method)
{
    fi_arima_problem problem;
    double squares;
    ftl_status st = fi_arima_problem_init(&problem, y, n, x, x ? 1 : 0, order, false, NULL);
    if (!st) st = fi_arima_fit_order(&problem, order, method, &fitted, NULL);
    if (!st) st = fi_arima_regression(&problem, &fitted, beta, &squares);
    fi_arima_problem_release(&problem);
    return st;
}

static void check_fit(const double *y, size_t n, const double *x, const want *w)
{
    CHECK_INT(try_fit(y, n, x, &w->order, FI_ARIMA_CSS_ML), FTL_OK);
    for (size_t i = 0; i < fi_arima_n_coef(&w->order); i++) CHECK_NEAR(fitted.coef[i], w->coef[i], 1e-4);
    for (size_t i = 0; i < 2; i++)
        if (w->beta[i] != 0) CHECK_CLOSE(beta[i], w->beta[i], 1e-6);
    CHECK_CLOSE(fitted.sigma2 / w->sigma2, 1, 1e-4);
    CHECK_NEAR(fitted.loglik, w->loglik, 4e-3);
}

TEST(nonseasonal_fits_are_those_of_r)
{
    static const want lhs[] = {
        {{1, 0, 0, 0, 0, 0, 1, true}, {0.5739243879}, {2.4132856104}, 0.1974895516, -29.37916239},
        {{2, 0, 0, 0, 0, 0, 1, true}, {0.6964921456, -0.2127921920}, {2.4045085174}, 0.1880620055, -28.25187668},
        {{3, 0, 0, 0, 0, 0, 1, true},
         {0.64480133301, -0.06338201871, -0.21979636408},
         {2.39311936341},
         0.1786603207,
         -27.09241106},
        {{1, 0, 1, 0, 0, 0, 1, true}, {0.4522001414, 0.1981691819}, {2.4100766651}, 0.1923121362, -28.7620332},
    };
    for (size_t i = 0; i < sizeof lhs / sizeof *lhs; i++) check_fit(lh, 48, NULL, &lhs[i]);
}

TEST(seasonal_fits_are_those_of_r)
{
    double logs[144];
    for (size_t t = 0; t < 144; t++) logs[t] = log(air_passengers[t]);
    check_fit(logs, 144, NULL,
              &(want){{0, 1, 1, 0, 1, 1, 12, false}, {-0.4018280850, -0.5569454147}, {0}, 0.001348034704, 244.6995306});
    check_fit(air_passengers, 144, NULL,
              &(want){{2, 1, 1, 0, 1, 0, 12, false},
                      {0.5959803783, 0.2142743011, -0.9818766966},
                      {0},
                      129.3124586,
                      -504.9238526});
    check_fit(us_acc_deaths, 72, NULL,
              &(want){{0, 1, 1, 0, 1, 1, 12, false}, {-0.4302680703, -0.5527912906}, {0}, 99346.89136, -425.4399936});
}

TEST(regressors_and_drift_are_those_of_r)
{ /* arima(LakeHuron, c(2,0,0), xreg = time(LakeHuron) - 1920); c(1,1,1) with a drift */
    double year[98];
    for (size_t t = 0; t < 98; t++) year[t] = (double)t + 1875 - 1920;
    check_fit(lake_huron, 98, year,
              &(want){{2, 0, 0, 0, 0, 0, 1, true},
                      {1.00481764289, -0.29130128256},
                      {-0.02156813609, 579.09941124734},
                      0.4566183486,
                      -101.1982672});
    check_fit(lake_huron, 98, NULL,
              &(want){{1, 1, 1, 0, 0, 0, 1, true}, {-0.3105335896, 0.4977101205}, {0}, 0.535808668, -107.3992264});
    CHECK_NEAR(beta[0], -0.0020293840, 1e-5);
}

TEST(fits_with_gaps_are_those_of_r)
{
    check_fit(presidents, 120, NULL,
              &(want){{3, 0, 0, 0, 0, 0, 4, true},
                      {0.7495945753, 0.2522329104, -0.1890342437},
                      {56.2167467285},
                      81.11812817,
                      -414.0819304});
    check_fit(presidents, 120, NULL,
              &(want){{1, 1, 1, 0, 0, 0, 4, false}, {-0.7629533485, 0.5858867637}, {0}, 85.82448197, -413.269117});
}

TEST(conditional_squares_are_those_of_r)
{ /* arima(lh, c(3,0,1), method = "CSS") */
    const fi_arima_order order = {3, 0, 1, 0, 0, 0, 1, true};
    const double coef[4] = {-0.038610402, 0.418366197, -0.382468281, 0.762167639};
    CHECK_INT(try_fit(lh, 48, NULL, &order, FI_ARIMA_CSS), FTL_OK);
    for (size_t i = 0; i < 4; i++) CHECK_NEAR(fitted.coef[i], coef[i], 1e-5);
    CHECK_NEAR(fitted.sigma2, 0.183262706, 1e-9);
    CHECK(isnan(fitted.loglik));
}

TEST(units_of_series_and_regressors_do_not_matter)
{
    const fi_arima_order order = {1, 0, 1, 0, 0, 0, 1, true};
    double y[98], x[98];
    for (size_t t = 0; t < 98; t++) x[t] = (double)t;
    CHECK_INT(try_fit(lake_huron, 98, x, &order, FI_ARIMA_CSS_ML), FTL_OK);
    fi_arima_fit usual = fitted;
    double slope = beta[0];
    for (size_t t = 0; t < 98; t++) {
        y[t] = 1e150 * lake_huron[t];
        x[t] = 1e6 + 1e-3 * (double)t;
    }
    CHECK_INT(try_fit(y, 98, x, &order, FI_ARIMA_CSS_ML), FTL_OK);
    for (size_t i = 0; i < 2; i++) CHECK_NEAR(fitted.coef[i], usual.coef[i], 1e-5);
    CHECK_CLOSE(beta[0] / 1e153 / slope, 1, 1e-5);
    CHECK_CLOSE(fitted.loglik, usual.loglik - 98 * log(1e150), 1e-9);
}

TEST(roots_are_judged_as_those_of_the_product)
{
    const fi_arima_order order = {1, 0, 1, 1, 0, 0, 12, false};
    const double good[3] = {0.9, -0.9, 0.85}, ar[3] = {0.995, 0, 0}, ma[3] = {0, -0.995, 0}, seasonal[3] = {0, 0, 0.9};
    CHECK(fi_arima_roots_beyond(&order, good, 1.01));
    CHECK(!fi_arima_roots_beyond(&order, ar, 1.01));
    CHECK(!fi_arima_roots_beyond(&order, ma, 1.01));
    CHECK(!fi_arima_roots_beyond(&order, seasonal, 1.01)); /* 0.9^(-1/12) = 1.0088 */
}

TEST(what_cannot_be_fitted_says_so_and_leaks_nothing)
{
    const double flat[8] = {2, 2, 2, 2, 2, 2, 2, 2}, few[3] = {1, 4, 2};
    const fi_arima_order order = {1, 1, 1, 0, 0, 0, 1, true}, long_season = {0, 0, 0, 1, 1, 1, 40, false};
    CHECK_INT(try_fit(flat, 8, NULL, &order, FI_ARIMA_CSS_ML), FTL_ENUMERIC);
    CHECK_INT(try_fit(few, 3, NULL, &order, FI_ARIMA_CSS_ML), FTL_ENUMERIC);
    CHECK_INT(try_fit(lh, 48, NULL, &long_season, FI_ARIMA_CSS_ML), FTL_ENUMERIC);
    ftl_status st = FTL_ENOMEM;
    for (long n = 0; st == FTL_ENOMEM && n < 100; n++) {
        fi_alloc_fail_after(n);
        st = try_fit(presidents, 120, NULL, &order, FI_ARIMA_CSS_ML);
        fi_alloc_fail_after(-1);
    }
    CHECK_INT(st, FTL_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nonseasonal_fits_are_those_of_r),
        cmocka_unit_test(seasonal_fits_are_those_of_r),
        cmocka_unit_test(regressors_and_drift_are_those_of_r),
        cmocka_unit_test(fits_with_gaps_are_those_of_r),
        cmocka_unit_test(conditional_squares_are_those_of_r),
        cmocka_unit_test(units_of_series_and_regressors_do_not_matter),
        cmocka_unit_test(roots_are_judged_as_those_of_the_product),
        cmocka_unit_test(what_cannot_be_fitted_says_so_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
