/* ETS: derivatives, numbers of R, selection, predictive distributions, odd series. */
#include "local_methods.h"
#include "series_data.h"

#include "stats/ets.h"

/* R 4.2.2, forecast 8.20: ets(AirPassengers, model, damped): its parameters, states at the start, log likelihood and
 * sigma, and from forecast(h = 25) the means and standard deviations 1, 13 and 25 steps ahead. */
static const struct {
    fi_ets_form form;
    double values[6], season[12], loglik, sigma, mean[3], sd[3];
} of_r[] = {
    {{false, FI_ETS_NONE, FI_ETS_NONE},
     {0.999899807696804, 0, 0, 1, 112.094750851185, 0},
     {0},
     -863.8933775993,
     33.8299342,
     {431.99579264, 431.99579264, 431.99579264},
     {33.82993420, 121.96428152, 169.13340145}},
    {{false, FI_ETS_ADD_DAMPED, FI_ETS_NONE},
     {0.999899475835426, 0.000100015563586359, 0, 0.979999688964894, 118.471909466453, 1.95160849634788},
     {0},
     -863.7960680673,
     34.16995808,
     {432.10657184, 433.27519764, 434.19223436},
     {34.16995808, 123.25750683, 171.00658986}},
    {{false, FI_ETS_ADD, FI_ETS_ADD},
     {0.993480362872374, 0.000191179159524254, 0.000580032514321104, 1, 120.960762545579, 1.39339982901592},
     {-25.2287898470107, -34.3364218104466, -3.82047037350508, -8.0946070079278, -4.23202989396608, 33.5822290602453,
      66.1846393963355, 65.1553960287441, 15.0726618966834, -20.7168716370162, -54.3841662192089, -29.181569592927},
     -765.9358475117,
     18.04707838,
     {437.28627264, 454.32547739, 471.36468214},
     {18.04707838, 64.75569249, 89.88193331}},
    {{false, FI_ETS_NONE, FI_ETS_ADD},
     {0.999899619706658, 0, 0.000100251318452054, 1, 145.083933643626, 0},
     {-23.9297708089991, -35.8384036230587, -1.80599503178572, -8.19979764061126, -2.51960633142259, 33.0625040121633,
      64.4077613089562, 63.4573511850154, 15.2236784398659, -22.2641673927058, -54.0748852160522, -27.5186689013655},
     -767.4295389648,
     18.09443755,
     {435.58899376, 435.58899376, 435.58899376},
     {18.09443755, 65.23488043, 90.46419501}},
    {{true, FI_ETS_NONE, FI_ETS_NONE},
     {0.999899789664489, 0, 0, 1, 110.816010416505, 0},
     {0},
     -833.9501305961,
     0.108682931,
     {431.99579188, 431.99579188, 431.99579188},
     {46.95056884, 175.41974681, 252.31309495}},
    {{true, FI_ETS_ADD_DAMPED, FI_ETS_NONE},
     {0.999899495284674, 0.000100125096452219, 0, 0.979999830096382, 118.430338371364, 1.98225369353771},
     {0},
     -833.4117256319,
     0.1089836876,
     {432.10819623, 433.29394821, 434.22442568},
     {47.09274467, 176.32909090, 254.08928787}},
    {{true, FI_ETS_ADD, FI_ETS_ADD},
     {0.968959707756299, 0.000550425644114662, 0.0127569364222142, 1, 120.577616127258, 4.09282232657},
     {-31.4280255183356, -35.2010972953825, -4.78710830697504, -5.40657460272329, 0.544267844328886, 36.1634764530946,
      62.3900850914009, 58.2275801132103, 18.3438371889485, -20.3083196236479, -48.0824027971992, -30.4557185467196},
     -768.2334100541,
     0.07139223403,
     {434.44223411, 481.93284721, 529.42346031},
     {31.01580165, 124.14662665, 183.92865825}},
    {{true, FI_ETS_NONE, FI_ETS_MUL},
     {0.407252818635288, 0, 0.592661612133222, 1, 143.417667540516, 0},
     {0.946556555796333, 0.987276617092316, 1.0634862360025, 1.04725872981192, 0.952375606565727, 1.08702897474375,
      1.16522338565598, 1.13911808208676, 1.04482964985632, 0.903461944835152, 0.75198882618171, 0.911395391371543},
     -715.6571968978,
     0.050387911,
     {438.46760608, 438.73630202, 439.00516263},
     {22.09346671, 43.31493079, 57.25063915}},
    {{true, FI_ETS_ADD_DAMPED, FI_ETS_MUL},
     {0.709551916208791, 0.0204089193322359, 0.000100468309718653, 0.979999926683986, 120.993935507203,
      1.77054019711165},
     {0.905852372933628, 0.886892287222608, 1.01103008804154, 0.980382073471814, 0.978612760760472, 1.11050018094692,
      1.23179850716711, 1.22030069724042, 1.05920192983827, 0.921659598397272, 0.799322028291066, 0.894447475688874},
     -679.5832162370,
     0.03916728673,
     {441.80184728, 459.01385898, 472.52042811},
     {17.30417963, 54.15422991, 84.43414929}},
};
enum { N_OF_R = sizeof of_r / sizeof *of_r };

typedef struct work {
    double memory[6][144];
    fi_ets_pass pass;
} work;

static fi_ets_pass *pass_over(work *w, const double *y, size_t n, size_t m)
{
    w->pass = (fi_ets_pass){.y = y, .n = n, .m = m, .floor = 0};
    for (size_t t = 0; t < n; t++) w->pass.observed += isnan(y[t]) ? 0 : 1;
    w->pass.level = w->memory[0], w->pass.growth = w->memory[1], w->pass.season = w->memory[2];
    w->pass.f = w->memory[3], w->pass.e = w->memory[4];
    return &w->pass;
}

TEST(derivatives_are_those_of_central_differences)
{ /* every form, with gaps; differences of 1e-6 of values near 1 leave about 1e-8 */
    enum { N = 40, M = 4 };
    double y[N];
    work w;
    for (size_t t = 0; t < N; t++)
        y[t] = t % 11 == 5 ? NAN : 3 + 0.02 * (double)t + 0.5 * sin((double)t * 1.6) + 0.3 * cos((double)(t * t));
    for (size_t i = 0; i < FI_ETS_FORMS; i++) {
        static const fi_ets_trend seasons[] = {FI_ETS_NONE, FI_ETS_ADD, FI_ETS_MUL};
        const fi_ets_form form = {i / 15, (fi_ets_trend)(i / 3 % 5), seasons[i % 3]};
        const bool mul = fi_ets_mul_trend(form), factor = form.season == FI_ETS_MUL;
        double x[6 + M] = {0.3, 0.1, 0.2, 0.9, 3.1, mul ? 1.01 : 0.03, 0.2, -0.1, 0.05, -0.15}, by_x[6 + M],
                     g_season[M];
        if (!form.trend) x[1] = x[5] = 0;
        if (!form.season) x[2] = 0;
        if (!fi_ets_damped(form)) x[3] = 1;
        for (size_t k = 0; k < M; k++) x[6 + k] += factor ? 1 : 0;
        fi_ets_pass *pass = pass_over(&w, y, N, form.season ? M : 1);
        for (size_t k = 0; k < 6 + M; k++) {
            double f[2], keep = x[k], season[M];
            for (int side = 0; side < 2; side++) {
                x[k] = keep + (side ? 1e-6 : -1e-6);
                memcpy(season, x + 6, sizeof season);
                fi_ets_values v = {x[0], x[1], x[2], x[3], x[4], x[5], season};
                CHECK(fi_ets_run(form, pass, &v, &f[side]));
            }
            x[k] = keep;
            by_x[k] = (f[1] - f[0]) / 2e-6;
        }
        double season[M], f;
        memcpy(season, x + 6, sizeof season);
        fi_ets_values v = {x[0], x[1], x[2], x[3], x[4], x[5], season}, start = v, g = {.season = g_season};
        start.season = x + 6;
        CHECK(fi_ets_run(form, pass, &v, &f));
        fi_ets_gradient(form, pass, &start, &g);
        CHECK_CLOSE(g.alpha, by_x[0], 1e-6);
        if (form.trend) CHECK_CLOSE(g.beta, by_x[1], 1e-6);
        if (form.season) CHECK_CLOSE(g.gamma, by_x[2], 1e-6);
        if (fi_ets_damped(form)) CHECK_CLOSE(g.phi, by_x[3], 1e-6);
        CHECK_CLOSE(g.level, by_x[4], 1e-6);
        if (form.trend) CHECK_CLOSE(g.growth, by_x[5], 1e-6);
        for (size_t k = 0; form.season && k < M; k++) CHECK_CLOSE(g_season[k], by_x[6 + k], 1e-6);
    }
}

TEST(likelihoods_and_moments_are_those_of_r_at_its_parameters)
{
    for (size_t i = 0; i < N_OF_R; i++) {
        const double *p = of_r[i].values;
        double season[12], criterion, mean[25], sd[25], memory[60];
        size_t m = of_r[i].form.season ? 12 : 1;
        work w;
        memcpy(season, of_r[i].season, sizeof season);
        fi_ets_values v = {p[0], p[1], p[2], p[3], p[4], p[5], season};
        CHECK(fi_ets_run(of_r[i].form, pass_over(&w, air_passengers, 144, m), &v, &criterion));
        CHECK_NEAR(-0.5 * criterion, of_r[i].loglik, 1e-6);
        fi_ets_moments(of_r[i].form, &v, m, 0, of_r[i].sigma, 25, mean, sd, memory);
        for (size_t k = 0; k < 3; k++) {
            /* R leaves phi out of the first step of damped forms with a multiplicative season; 0.2 % here */
            bool leaves_phi = fi_ets_damped(of_r[i].form) && of_r[i].form.season == FI_ETS_MUL;
            CHECK_CLOSE(mean[12 * k], of_r[i].mean[k], leaves_phi ? 2e-3 : 1e-7);
            CHECK_CLOSE(sd[12 * k], of_r[i].sd[k], leaves_phi ? 1e-2 : 1e-6);
        }
    }
}

TEST(the_fit_is_no_less_likely_than_that_of_r)
{
    fi_ets_fitter *fitter = NULL;
    const fi_history past = {.y = air_passengers, .n = 144, .season = 12, .id = "air_passengers"};
    CHECK_INT(fi_ets_fitter_new(&past, FI_ETS_BOTH, &fitter, NULL), FTL_OK);
    for (size_t i = 0; i < N_OF_R; i++) {
        double season[12];
        fi_ets_fit fit = {.start.season = season};
        CHECK_INT(fi_ets_fit_form(fitter, of_r[i].form, INFINITY, &fit, NULL), FTL_OK);
        CHECK(-0.5 * fit.criterion > of_r[i].loglik - 1e-3);
    }
    fi_ets_fitter_free(fitter);
}

TEST(draws_have_the_moments_of_the_formulas)
{ /* 4,000 draws: the mean within 5 standard errors; the deviation's own error is 1.1 %, 5 of them are allowed */
    enum { DRAWS = 4000 };
    for (size_t i = 0; i < N_OF_R; i++) {
        const double *p = of_r[i].values;
        double season[12], mean[25], sd[25], memory[60], path[25], sum[25] = {0}, squares[25] = {0}, criterion;
        size_t m = of_r[i].form.season ? 12 : 1;
        work w;
        memcpy(season, of_r[i].season, sizeof season);
        fi_ets_values v = {p[0], p[1], p[2], p[3], p[4], p[5], season};
        CHECK(fi_ets_run(of_r[i].form, pass_over(&w, air_passengers, 144, m), &v, &criterion));
        fi_ets_moments(of_r[i].form, &v, m, 0, of_r[i].sigma, 25, mean, sd, memory);
        for (size_t k = 0; k < DRAWS; k++) {
            fi_rng rng;
            fi_rng_init(&rng, 3, 0, k);
            fi_ets_draw(of_r[i].form, &v, m, 0, of_r[i].sigma, 25, &rng, path, memory);
            for (size_t h = 0; h < 25; h++)
                sum[h] += path[h] - mean[h], squares[h] += (path[h] - mean[h]) * (path[h] - mean[h]);
        }
        for (size_t h = 0; h < 25; h += 6) {
            CHECK_NEAR(sum[h] / DRAWS, 0, 5 * sd[h] / sqrt(DRAWS));
            CHECK_NEAR(sqrt(squares[h] / DRAWS) / sd[h], 1, 5 * 0.0112);
        }
    }
}

TEST(the_admissible_region_is_that_of_the_roots)
{ /* decided by R's admissible() at these points */
    static const struct {
        double p[4];
        size_t m;
        fi_ets_trend trend;
        bool admissible;
    } cases[] = {
        {{0.908208, 0.183169, 0.082465, 0.970042}, 4, FI_ETS_ADD_DAMPED, true},
        {{0.061786, 0.012726, 0.165648, 1.000000}, 12, FI_ETS_ADD, true},
        {{0.769841, 0.000000, 0.114550, 1.000000}, 4, FI_ETS_NONE, true},
        {{0.380035, 0.295457, 0.579484, 1.000000}, 7, FI_ETS_ADD, false},
        {{0.125555, 0.000000, 0.233670, 1.000000}, 12, FI_ETS_NONE, true},
        {{0.382388, 0.332559, 0.210204, 1.000000}, 4, FI_ETS_ADD, true},
        {{0.493541, 0.091906, 0.419030, 1.000000}, 7, FI_ETS_ADD, true},
        {{0.723711, 0.297644, 0.226818, 0.916471}, 4, FI_ETS_ADD_DAMPED, true},
        {{0.477230, 0.349482, 0.362139, 1.000000}, 12, FI_ETS_ADD, false},
        {{0.459066, 0.152591, 0.352078, 1.000000}, 12, FI_ETS_ADD, false},
        {{0.777321, 0.746708, 0.096790, 0.928253}, 7, FI_ETS_ADD_DAMPED, false},
        {{0.757087, 0.153456, 0.172740, 0.821905}, 12, FI_ETS_ADD_DAMPED, false},
        {{0.991839, 0.491549, 0.003953, 1.000000}, 12, FI_ETS_ADD, false},
        {{0.856132, 0.335055, 0.054741, 0.961180}, 12, FI_ETS_ADD_DAMPED, false},
        {{0.877058, 0.165934, 0.093203, 0.930410}, 12, FI_ETS_ADD_DAMPED, false},
        {{0.947966, 0.776038, 0.016042, 0.916924}, 12, FI_ETS_ADD_DAMPED, false},
        {{0.953548, 0.774572, 0.036334, 0.848218}, 12, FI_ETS_ADD_DAMPED, false},
        {{0.582205, 0.564834, 0.413408, 0.831761}, 7, FI_ETS_ADD_DAMPED, false},
        {{0.987102, 0.596005, 0.000838, 0.829180}, 7, FI_ETS_ADD_DAMPED, false},
        {{0.688275, 0.452925, 0.206780, 0.885002}, 12, FI_ETS_ADD_DAMPED, false},
        {{0.849552, 0.642809, 0.080129, 0.957347}, 12, FI_ETS_ADD_DAMPED, false},
        {{0.928178, 0.746617, 0.054491, 1.000000}, 12, FI_ETS_ADD, false},
        {{0.962333, 0.682044, 0.020848, 0.843732}, 12, FI_ETS_ADD_DAMPED, false},
        {{0.830246, 0.538457, 0.081454, 1.000000}, 7, FI_ETS_ADD, false},
    };
    double memory[28];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double *p = cases[i].p;
        const fi_ets_values v = {p[0], p[1], p[2], p[3], 0, 0, NULL};
        const fi_ets_form form = {false, cases[i].trend, FI_ETS_ADD};
        CHECK(fi_ets_admissible(form, &v, cases[i].m, memory) == cases[i].admissible);
    }
}

static const double levels[2] = {0.1, 0.9};

TEST(scale_moves_the_forecast_and_shift_that_of_additive_forms)
{
    double tens[144], shifted[144];
    for (size_t t = 0; t < 144; t++) tens[t] = 1024 * air_passengers[t], shifted[t] = air_passengers[t] + 1000;
    const ftl_predict_args args = {.horizon = 13, .levels = levels, .n_levels = 2};
    ftl_forecast *a = forecast("auto-ets:season=12", air_passengers, 144, args),
                 *b = forecast("auto-ets:season=12", tens, 144, args);
    for (size_t h = 0; h < 26; h++)
        CHECK(ftl_forecast_quantiles(b)[h] == 1024 * ftl_forecast_quantiles(a)[h]); /* a power of two: to the bit */
    ftl_forecast_free(a), ftl_forecast_free(b);
    a = forecast("holt-winters:season=12", air_passengers, 144, args),
    b = forecast("holt-winters:season=12", shifted, 144, args);
    for (size_t h = 0; h < 26; h++)
        CHECK_CLOSE(ftl_forecast_quantiles(b)[h] - 1000, ftl_forecast_quantiles(a)[h], 1e-3);
    ftl_forecast_free(a), ftl_forecast_free(b);
}

TEST(short_constant_and_zero_series_have_a_forecast)
{
    double zeros[30] = {0}, fives[30], line[30];
    for (size_t t = 0; t < 30; t++) fives[t] = 5, line[t] = 2.0 * (double)t + 1;
    const ftl_predict_args args = {.horizon = 4, .levels = levels, .n_levels = 2};
    for (size_t n = 3; n <= 30; n += n < 12 ? 1 : 6) {
        ftl_forecast *a = forecast("auto-ets:season=4", zeros, n, args),
                     *b = forecast("auto-ets:season=4", fives, n, args);
        for (size_t k = 0; k < 8; k++) {
            CHECK_NEAR(ftl_forecast_quantiles(a)[k], 0, 1e-9);
            CHECK_NEAR(ftl_forecast_quantiles(b)[k], 5, 1e-9);
        }
        ftl_forecast_free(a), ftl_forecast_free(b);
        a = forecast("auto-ets", line, n, args); /* too short a line may be anything, a long one goes on */
        if (n > 20) CHECK_NEAR(ftl_forecast_point(a)[3], 2.0 * (double)(n + 3) + 1, 1e-3);
        ftl_forecast_free(a);
    }
    check_unfit("auto-ets", zeros, 2, "too few observations");
    check_unfit("holt-winters:season=12", air_passengers, 15, "too few observations");
    check_unfit("holt-winters:season=4,seasonal=multiplicative", zeros, 30, "not positive");
}

TEST(gaps_are_passed_over)
{
    double y[144];
    memcpy(y, air_passengers, sizeof y);
    for (size_t t = 5; t < 140; t += 9) y[t] = NAN;
    const ftl_predict_args args = {.horizon = 12, .levels = levels, .n_levels = 2};
    ftl_forecast *a = forecast("auto-ets:season=12", air_passengers, 144, args),
                 *b = forecast("auto-ets:season=12", y, 144, args);
    for (size_t h = 0; h < 12; h++)
        CHECK_NEAR(ftl_forecast_point(b)[h] / ftl_forecast_point(a)[h], 1, 0.06); /* about the error of a forecast */
    ftl_forecast_free(a), ftl_forecast_free(b);
}

TEST(intervals_cover_what_they_say)
{ /* 400 series of a local level: binomial sd of 80 % in 400 is 2 %, 4 allowed; parameters are estimated: 2 % more */
    uint64_t random = 99;
    size_t inside = 0;
    for (size_t trial = 0; trial < 400; trial++) {
        double y[81], level = 0;
        for (size_t t = 0; t < 81; t++) {
            double sum = -6; /* nearly normal: 12 uniforms */
            for (int i = 0; i < 12; i++) {
                random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
                sum += (double)(random >> 11) * 0x1p-53;
            }
            y[t] = level + sum;
            level += 0.3 * sum;
        }
        ftl_forecast *fc = forecast("ses", y, 80, (ftl_predict_args){.horizon = 1, .levels = levels, .n_levels = 2});
        inside += y[80] >= ftl_forecast_quantiles(fc)[0] && y[80] <= ftl_forecast_quantiles(fc)[1] ? 1 : 0;
        ftl_forecast_free(fc);
    }
    CHECK_NEAR((double)inside / 400, 0.8, 0.1);
}

static void check_model(const char *model, const char *part)
{
    char spec[64];
    ftl_config *config = NULL;
    ftl_series *s = NULL;
    ftl_model *fit = NULL;
    ftl_error err = {FTL_OK, ""};
    snprintf(spec, sizeof spec, "auto-ets:season=12,%s", model);
    CHECK_INT(ftl_series_new("air_passengers", air_passengers, 144, &s, NULL), FTL_OK);
    if (ftl_config_new(spec, &config, &err) || ftl_model_fit(config, s, NULL, &fit, &err)) {
        CHECK_CONTAINS(err.message, part);
    } else {
        char *told = NULL;
        CHECK_INT(ftl_model_explain(fit, &told, NULL), FTL_OK);
        CHECK_CONTAINS(told, part);
        ftl_text_free(told);
    }
    ftl_model_free(fit);
    ftl_series_free(s);
    ftl_config_free(config);
}

TEST(the_form_is_chosen_within_what_is_asked)
{
    check_model("model=ZZZ", "\"form\":\"MAM\"");
    check_model("model=ZNZ", "\"form\":\"MNM\"");
    check_model("model=AZZ,damped=true", "\"form\":\"AAdA\"");
    check_model("model=MMdM", "\"form\":\"MMdM\"");
    check_model("model=MMM,damped=false", "\"form\":\"MMM\"");
    check_model("model=ZZZ,max_season=4", "left out");
    check_model("model=AAM,restricted=false,damped=false", "\"form\":\"AAM\"");
    check_model("model=AAM", "no form is left");
    check_model("model=XYZ", "three letters");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(derivatives_are_those_of_central_differences),
        cmocka_unit_test(likelihoods_and_moments_are_those_of_r_at_its_parameters),
        cmocka_unit_test(the_fit_is_no_less_likely_than_that_of_r),
        cmocka_unit_test(draws_have_the_moments_of_the_formulas),
        cmocka_unit_test(the_admissible_region_is_that_of_the_roots),
        cmocka_unit_test(scale_moves_the_forecast_and_shift_that_of_additive_forms),
        cmocka_unit_test(short_constant_and_zero_series_have_a_forecast),
        cmocka_unit_test(gaps_are_passed_over),
        cmocka_unit_test(intervals_cover_what_they_say),
        cmocka_unit_test(the_form_is_chosen_within_what_is_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
