/* What the gradient test does not see of the operations on shapes: views, caches, ids beyond a table, what is refused. */
#include "op_bench.h"

TEST(views_show_the_memory_of_their_source)
{
    fi_node *x = matrix(3, 4), *rows = fi_rows(g, x, 1, 2), *flat = fi_reshape(g, rows, 1, (size_t[]){8});
    plan(NULL);
    CHECK(rows->value == x->value + 4);
    CHECK(flat->value == rows->value);
    CHECK_INT(rows->shape[0], 2);
    CHECK_INT(flat->shape[0], 8);
}

TEST(ids_can_be_viewed)
{
    fi_node *ids = fi_input_ids(g, 2, (size_t[]){2, 3}), *row = fi_rows(g, ids, 1, 1);
    fi_node *table = matrix(4, 2), *y = fi_embedding(g, table, row);
    plan(NULL);
    for (int i = 0; i < 6; i++) fi_ids(ids)[i] = i - 2;
    set(table, (float[]){1, 2, 3, 4, 5, 6, 7, 8});
    fi_forward(g);
    CHECK_INT(y->n_dims, 3);
    static const float expected[6] = {3, 4, 5, 6, 7, 8};
    for (int i = 0; i < 6; i++) CHECK_NEAR(y->value[i], expected[i], 0);
}

TEST(ids_beyond_the_table_read_row_0)
{
    fi_node *ids = fi_input_ids(g, 1, (size_t[]){3}), *table = matrix(2, 1), *y = fi_embedding(g, table, ids);
    plan(NULL);
    memcpy(fi_ids(ids), (int32_t[]){-1, 2, INT32_MIN}, 3 * sizeof(int32_t));
    set(table, (float[]){5, 6});
    fi_forward(g);
    for (int i = 0; i < 3; i++) CHECK_NEAR(y->value[i], 5, 0);
}

static float cache[2 * 4 * 3];
static size_t at;
static fi_node *stored, *doubled;

/* Two batches of two rows go into a cache of four; what reads the store sees the whole cache. */
static void run_store(size_t where)
{
    fi_node *x = fi_input(g, 3, (size_t[]){2, 2, 3});
    stored = fi_store(g, x, fi_state(g, cache, 3, (size_t[]){2, 4, 3}), &at);
    doubled = fi_affine(g, stored, 2.0f, 0.0f);
    fi_keep(g, doubled);
    plan(NULL);
    for (size_t i = 0; i < x->size; i++) x->value[i] = (float)(i + 1);
    for (size_t i = 0; i < 24; i++) cache[i] = 0.0f;
    at = where;
    fi_forward(g);
}

TEST(a_store_writes_where_the_number_says_at_run_time)
{
    run_store(1);
    CHECK(stored->value == cache);
    for (size_t i = 0; i < 24; i++) {
        size_t batch = i / 12, row = i / 3 % 4,
               expected = row == 1 || row == 2 ? batch * 6 + (row - 1) * 3 + i % 3 + 1 : 0;
        CHECK_NEAR(cache[i], (double)expected, 0);
        CHECK_NEAR(doubled->value[i], 2.0 * (double)expected, 0);
    }
    at = 2;
    fi_forward(g);
    CHECK_NEAR(cache[2 * 3], 1, 0);
    CHECK_NEAR(cache[1 * 3], 1, 0); /* still there */
}

TEST(a_store_leaves_out_what_does_not_fit)
{
    run_store(3);
    CHECK_NEAR(cache[9], 1, 0);
    CHECK_NEAR(cache[12], 0, 0); /* the next batch's first row */
    CHECK_NEAR(cache[21], 7, 0);
    at = 1000;
    fi_forward(g); /* writes nothing, least of all outside */
}

TEST(large_arrays_are_transposed_by_tiles)
{
    enum { ROWS = 67, COLUMNS = 35 };
    fi_node *x = matrix(ROWS, COLUMNS), *y = fi_transpose(g, x, 1, 0);
    plan(NULL);
    for (size_t i = 0; i < x->size; i++) x->value[i] = (float)i;
    fi_forward(g);
    CHECK_INT(y->shape[0], COLUMNS);
    for (size_t r = 0; r < ROWS; r++)
        for (size_t c = 0; c < COLUMNS; c++) CHECK(y->value[c * ROWS + r] == (float)(r * COLUMNS + c));
}

TEST(nothing_to_do_is_no_node)
{
    fi_node *x = matrix(2, 3);
    CHECK(fi_repeat(g, x, 1) == x);
    CHECK(fi_transpose(g, x, 1, 1) == x);
}

/* ---- what is refused ---- */

TEST(a_reshape_keeps_the_size)
{
    CHECK(!fi_reshape(g, matrix(2, 3), 1, (size_t[]){5}));
    check_refused("reshape: [2, 3]");
}

TEST(rows_lie_inside)
{
    CHECK(!fi_rows(g, matrix(2, 3), 1, SIZE_MAX));
    check_refused("rows: 1");
}

TEST(a_slice_lies_inside)
{
    CHECK(!fi_slice(g, matrix(2, 3), 1, 2, 2));
    check_refused("slice: 2 .. 4 of 3");
}

TEST(a_slice_has_a_dimension)
{
    CHECK(!fi_slice(g, matrix(2, 3), 2, 0, 1));
    check_refused("slice: [2, 3]");
}

TEST(parts_agree_in_the_other_dimensions)
{
    CHECK(!fi_concat(g, (fi_node *[]){matrix(2, 3), matrix(3, 3)}, 2, 1));
    check_refused("concat: [2, 3] and [3, 3]");
}

TEST(parts_are_not_without_number)
{
    fi_node *parts[FI_MAX_INPUTS + 1];
    for (int i = 0; i <= FI_MAX_INPUTS; i++) parts[i] = vector(1);
    CHECK(!fi_concat(g, parts, FI_MAX_INPUTS + 1, 0));
    check_refused("concat: 1 to 8");
}

TEST(a_transposition_has_two_dimensions)
{
    CHECK(!fi_transpose(g, matrix(2, 3), 0, -1));
    check_refused("transpose: [2, 3]");
}

TEST(a_table_is_looked_up_by_ids)
{
    CHECK(!fi_embedding(g, matrix(2, 3), vector(4)));
    check_refused("embedding: [2, 3] and [4]");
}

TEST(a_cache_has_the_batch_of_what_is_stored)
{
    CHECK(!fi_store(g, fi_input(g, 3, (size_t[]){2, 2, 3}), fi_state(g, cache, 3, (size_t[]){1, 8, 3}), &at));
    check_refused("store: [2, 2, 3] and [1, 8, 3]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_inference(views_show_the_memory_of_their_source),
        in_inference(ids_can_be_viewed),
        in_inference(ids_beyond_the_table_read_row_0),
        in_inference(a_store_writes_where_the_number_says_at_run_time),
        in_inference(a_store_leaves_out_what_does_not_fit),
        in_inference(large_arrays_are_transposed_by_tiles),
        in_inference(nothing_to_do_is_no_node),
        in_inference(a_reshape_keeps_the_size),
        in_inference(rows_lie_inside),
        in_inference(a_slice_lies_inside),
        in_inference(a_slice_has_a_dimension),
        in_inference(parts_agree_in_the_other_dimensions),
        in_inference(parts_are_not_without_number),
        in_inference(a_transposition_has_two_dimensions),
        in_inference(a_table_is_looked_up_by_ids),
        in_inference(a_cache_has_the_batch_of_what_is_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
