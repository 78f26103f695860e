#include "check.h"

#include "base/rng.h"
#include "chronos/sampling.h"

enum { N = 40 };

static void some_logits(uint64_t seed, float *x)
{
    fi_rng rng;
    fi_rng_init(&rng, seed, 0, 0);
    for (int i = 0; i < N; i++) x[i] = (float)(6 * fi_rng_uniform(&rng) - 3);
}

/* What transformers computes, step by step and in double. */
static void exact_probabilities(const float *logits, const fi_sampling *s, double *p)
{
    bool in[N];
    for (int i = 0; i < N; i++) {
        int above = 0;
        for (int j = 0; j < N; j++) above += j != s->forbidden && logits[j] > logits[i];
        in[i] = i != s->forbidden && above < (int)s->top_k;
    }
    for (int pass = 0; pass < 2; pass++) {
        double total = 0;
        for (int i = 0; i < N; i++) total += p[i] = in[i] ? exp((double)logits[i] / (double)s->temperature) : 0;
        for (int i = 0; i < N; i++) p[i] /= total;
        for (int i = 0; pass == 0 && s->top_p < 1 && i < N; i++) {
            double up_to = 0; /* of it and all less probable ones */
            bool best = true;
            for (int j = 0; j < N; j++) up_to += p[j] <= p[i] ? p[j] : 0, best = best && p[j] <= p[i];
            in[i] = in[i] && (best || up_to > 1 - s->top_p);
        }
    }
}

TEST(tokens_are_drawn_with_their_exact_probabilities)
{
    static const fi_sampling settings[] = {{1, 50, 1, 1},      {1, 10, 1, 1},    {0.7f, 10, 1, -1}, {2.5f, N, 0.8, 1},
                                           {1, N, 0.95, 5},    {1, 12, 0.6, 1},  {1, 1, 1, 1},      {1, N, 1e-9, 1},
                                           {0.05f, 3, 0.9, 0}, {1, N - 1, 1, 3}, {1, N, 1, 3}};
    enum { DRAWS = 20000 };
    for (size_t k = 0; k < sizeof settings / sizeof *settings; k++) {
        float logits[N];
        double p[N], chi = 0;
        int counts[N] = {0}, freedom = -1;
        fi_candidate c[N];
        some_logits(k, logits);
        exact_probabilities(logits, &settings[k], p);
        const size_t n = fi_sampling_candidates(&settings[k], logits, N, c);
        fi_rng rng;
        fi_rng_init(&rng, 1, 2, k);
        for (int i = 0; i < DRAWS; i++) counts[fi_sampling_draw(c, n, fi_rng_uniform(&rng))]++;
        double rest = 0;
        int rest_count = 0;
        for (int i = 0; i < N; i++) {
            if (p[i] == 0) CHECK_INT(counts[i], 0);
            if (p[i] * DRAWS < 10) { /* too rare for a term of its own */
                rest += p[i] * DRAWS;
                rest_count += counts[i];
                continue;
            }
            chi += (counts[i] - p[i] * DRAWS) * (counts[i] - p[i] * DRAWS) / (p[i] * DRAWS);
            freedom++;
        }
        if (rest > 1) chi += (rest_count - rest) * (rest_count - rest) / rest, freedom++;
        CHECK(chi <= freedom + 4 * sqrt(2.0 * freedom + 1)); /* one in some ten thousand by chance; the seed is fixed */
    }
}

TEST(equals_of_the_last_one_stay_and_the_forbidden_takes_no_place)
{
    static const float logits[] = {1, 5, 3, 3, 2, 3, 0};
    fi_candidate c[7];
    fi_sampling s = {1, 2, 1, -1};
    CHECK_INT(fi_sampling_candidates(&s, logits, 7, c), 4); /* 5 and three times 3 */
    CHECK(c[0].token == 1 && c[1].token == 2 && c[2].token == 3 && c[3].token == 5);
    s.forbidden = 1;
    CHECK_INT(fi_sampling_candidates(&s, logits, 7, c), 3);
    s.top_k = 1;
    CHECK_INT(fi_sampling_candidates(&s, logits, 7, c), 3);
    s.top_k = 4;
    CHECK_INT(fi_sampling_candidates(&s, logits, 7, c), 4);
    CHECK_INT(c[3].token, 5);
    s.top_k = 6;
    CHECK_INT(fi_sampling_candidates(&s, logits, 7, c), 6);
    s.top_k = 7;
    CHECK_INT(fi_sampling_candidates(&s, logits, 7, c), 6);
}

TEST(logits_that_are_no_numbers_give_no_distribution)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    fi_candidate c[N];
    const fi_sampling s = {1, 5, 1, 0};
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < N; i++) {
            float logits[N];
            some_logits(3, logits);
            CHECK_INT(fi_sampling_candidates(&s, logits, N, c), 5);
            logits[i] = bad[k];
            CHECK_INT(fi_sampling_candidates(&s, logits, N, c), 0);
        }
    const float one = 2;
    CHECK_INT(fi_sampling_candidates(&s, &one, 1, c), 0); /* nothing but the forbidden one */
}

TEST(draws_reach_both_ends_and_large_logits_do_not_overflow)
{
    static const float logits[] = {3e38f, -3e38f, 3e38f};
    fi_candidate c[3];
    const fi_sampling s = {0.01f, 3, 1, -1};
    const size_t n = fi_sampling_candidates(&s, logits, 3, c);
    CHECK_INT(n, 3);
    CHECK_INT(fi_sampling_draw(c, n, 1e-17), 0);
    CHECK_INT(fi_sampling_draw(c, n, 0.49), 0);
    CHECK_INT(fi_sampling_draw(c, n, 0.51), 2);
    CHECK_INT(fi_sampling_draw(c, n, 1 - 0x1p-53), 2);
    static const float last_is_nothing[] = {1, 1, -100};
    CHECK_INT(fi_sampling_candidates(&s, last_is_nothing, 3, c), 3);
    CHECK_INT(fi_sampling_draw(c, 3, 1), 1); /* rounding may not end on what has no probability */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_drawn_with_their_exact_probabilities),
        cmocka_unit_test(equals_of_the_last_one_stay_and_the_forbidden_takes_no_place),
        cmocka_unit_test(logits_that_are_no_numbers_give_no_distribution),
        cmocka_unit_test(draws_reach_both_ends_and_large_logits_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
