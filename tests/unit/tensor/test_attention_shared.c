/* Attention to shared and own keys against plain attention to copies of both. */
#include "op_bench.h"

enum { SERIES = 2, PATHS = 11, ROWS = SERIES * PATHS, SHARED = 37, OWN = 5, HEADS = 3, D = 16, WIDTH = HEADS * D };

static void fill(fi_node *x, unsigned seed)
{
    for (size_t i = 0; i < x->size; i++) {
        seed = seed * 1664525u + 1013904223u;
        x->value[i] = (float)(seed >> 8) / (1 << 23) - 1;
    }
}

static fi_node *kept_input(size_t b, size_t n, size_t width)
{
    fi_node *x = fi_input(g, 3, (size_t[]){b, n, width});
    fi_keep(g, x);
    return x;
}

/* Row r of `to` [ROWS, SHARED + n, WIDTH]: the keys of its series, then n of its own. */
static void join(fi_node *to, const fi_node *shared, const fi_node *own, size_t n)
{
    for (size_t r = 0; r < ROWS; r++) {
        float *at = to->value + r * (SHARED + n) * WIDTH;
        memcpy(at, shared->value + r / PATHS * SHARED * WIDTH, SHARED * WIDTH * sizeof *at);
        memcpy(at + SHARED * WIDTH, own->value + r * OWN * WIDTH, n * WIDTH * sizeof *at);
    }
}

TEST(shared_and_own_keys_are_one_softmax)
{
    size_t n_own = 3;
    fi_node *q = kept_input(ROWS, 1, WIDTH), *k = kept_input(SERIES, SHARED, WIDTH),
            *v = kept_input(SERIES, SHARED, WIDTH);
    fi_node *own_k = kept_input(ROWS, OWN, WIDTH), *own_v = kept_input(ROWS, OWN, WIDTH);
    fi_node *mask = fi_input(g, 2, (size_t[]){SERIES, SHARED});
    fi_node *all_k = kept_input(ROWS, SHARED + n_own, WIDTH), *all_v = kept_input(ROWS, SHARED + n_own, WIDTH);
    fi_node *all_mask = fi_input(g, 2, (size_t[]){ROWS, SHARED + n_own});
    const fi_attention settings = {.heads = HEADS, .scale = 0.5f};
    fi_node *y = fi_attend_shared(g, q, k, v, mask, own_k, own_v, HEADS, 0.5f, &n_own);
    fi_node *plain = fi_attend(g, q, all_k, all_v, all_mask, NULL, &settings);
    fi_keep(g, y);
    fi_keep(g, plain);
    plan(NULL);
    fi_node *const random[] = {q, k, v, own_k, own_v};
    for (unsigned i = 0; i < 5; i++) fill(random[i], i + 1);
    join(all_k, k, own_k, n_own);
    join(all_v, v, own_v, n_own);
    for (size_t unseen = 0; unseen < 3; unseen++) { /* of the first series: none, every third, all */
        for (size_t i = 0; i < mask->size; i++)
            mask->value[i] = i >= SHARED || unseen == 0 || (unseen == 1 && i % 3 != 0);
        for (size_t r = 0; r < ROWS; r++)
            for (size_t j = 0; j < SHARED + n_own; j++)
                all_mask->value[r * (SHARED + n_own) + j] = j >= SHARED ? 1 : mask->value[r / PATHS * SHARED + j];
        fi_forward(g);
        for (size_t i = 0; i < y->size; i++) CHECK_NEAR(y->value[i], plain->value[i], 2e-6);
    }
}

TEST(shared_attention_refuses_what_does_not_fit)
{
    static const size_t n_own = 1;
    fi_node *q = kept_input(3, 1, 8), *k = kept_input(2, 4, 8), *own = kept_input(3, 4, 8);
    CHECK(!fi_attend_shared(g, q, k, k, NULL, own, own, 2, 1, &n_own)); /* three paths of two series */
    check_refused("shared attention of 2 heads: queries [3, 1, 8] meet keys [2, 4, 8]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {in_inference(shared_and_own_keys_are_one_softmax),
                                       in_inference(shared_attention_refuses_what_does_not_fit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
