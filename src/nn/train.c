#include "nn/train.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "nn/checkpoint.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MAX_DIRECTORY = 4000 }; /* bytes: the names of its files fit into a path of 4096 */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static const char log_header[] = "step,loss,norm,rate,seconds\n";

/* Keeps the rows of the log up to `step`: later ones belong to steps that are made again. */
static ftl_status open_log(const char *directory, uint64_t step, FILE **out, ftl_error *err)
{
    char path[4096], *text = NULL;
    size_t size = 0, end = 0;
    snprintf(path, sizeof path, "%s/log.csv", directory);
    bool goes_on = step && access(path, F_OK) == 0;
    ftl_status st = goes_on ? fi_file_read(path, SIZE_MAX, &text, &size, err) : FTL_OK;
    fi_file *file = NULL;
    if (!st) st = fi_file_create(path, &file, err);
    if (!st && !goes_on) st = fi_file_write(file, log_header, sizeof log_header - 1, err);
    for (const char *line = text, *next; line && !st && (next = memchr(line, '\n', size - (size_t)(line - text)));
         line = next + 1) {
        if (line != text && strtoull(line, NULL, 10) > step) break;
        end = (size_t)(next + 1 - text);
    }
    if (!st && end) st = fi_file_write(file, text, end, err);
    fi_free(text);
    if (st)
        fi_file_discard(file);
    else
        st = fi_file_commit(file, err);
    if (!st && !(*out = fopen(path, "a")))
        st = fi_fail(err, FTL_EIO, "%s: cannot be written: %s", path, strerror(errno));
    return st;
}

static ftl_status write_row(FILE *log, const fi_optim *o, double loss, double rate, double seconds, ftl_error *err)
{
    fi_buf row = {0};
    fi_buf_printf(&row, "%" PRIu64 ",", o->step);
    fi_buf_double(&row, loss);
    fi_buf_char(&row, ',');
    fi_buf_double(&row, o->norm);
    fi_buf_char(&row, ',');
    fi_buf_double(&row, rate);
    fi_buf_printf(&row, ",%.3f\n", seconds);
    ftl_status st = row.failed ? fi_fail_memory(err) : FTL_OK;
    if (!st && (fwrite(row.data, 1, row.size, log) != row.size || fflush(log)))
        st = fi_fail(err, FTL_EIO, "the log of the run cannot be written: %s", strerror(errno));
    fi_buf_release(&row);
    return st;
}

/* Forward and backward of all micro-batches of one step. */
static ftl_status gather(const fi_train_task *task, const fi_train_config *c, uint64_t step, double *loss,
                         ftl_error *err)
{
    *loss = 0;
    for (size_t micro = 0; micro < c->accumulate; micro++) {
        fi_graph *graph;
        fi_node *node;
        ftl_status st = task->batch(task->user, step, micro, &graph, &node, err);
        if (st) return st;
        fi_graph_seed(graph, c->seed, step * c->accumulate + micro);
        fi_forward(graph);
        *loss += (double)*node->value / (double)c->accumulate;
        fi_backward(graph, 1.0f / (float)c->accumulate);
    }
    return isfinite(*loss) ? FTL_OK
                           : fi_fail(err, FTL_ENUMERIC,
                                     "the loss of step %" PRIu64 " is not finite; lower the learning rate", step + 1);
}

ftl_status fi_train(fi_engine *engine, const fi_train_task *task, const fi_train_config *c, float *ema,
                    fi_train_result *result, ftl_error *err)
{
    fi_optim *o = NULL;
    FILE *log = NULL;
    *result = (fi_train_result){0, 0, NAN};
    ftl_status st = fi_optim_new(&c->optim, task->params, &o, err), written;
    if (!st && c->directory && strlen(c->directory) > MAX_DIRECTORY)
        st = fi_fail(err, FTL_EINVAL, "the name of the run's directory is longer than %d bytes", MAX_DIRECTORY);
    if (!st && c->directory && mkdir(c->directory, 0777) && errno != EEXIST)
        st = fi_fail(err, FTL_EIO, "%s: cannot be made: %s", c->directory, strerror(errno));
    if (!st && c->directory) st = fi_checkpoint_read(c->directory, o, task->states, task->n_states, err);
    if (!st && c->directory) st = open_log(c->directory, o->step, &log, err);
    if (st) goto done;
    result->first_step = o->step;
    uint64_t saved = o->step;
    double start = now();
    while (!st && o->step < c->steps) {
        double rate = c->optim.rate * fi_schedule_at(&c->optim.schedule, o->step);
        if (c->progress && !c->progress(c->progress_user, o->step, c->steps)) {
            st = fi_fail(err, FTL_ECANCELLED, "stopped after step %" PRIu64, o->step);
            break;
        }
        st = gather(task, c, o->step, &result->loss, err);
        if (!st) st = fi_optim_step(o, engine, err);
        if (!st && log) st = write_row(log, o, result->loss, rate, now() - start, err);
        if (!st && c->directory && c->checkpoint_every && o->step % c->checkpoint_every == 0) {
            st = fi_checkpoint_write(c->directory, o, task->states, task->n_states, c->keep, err);
            saved = o->step;
        }
    }
    if (c->directory && (!st || st == FTL_ECANCELLED) && saved != o->step) {
        written = fi_checkpoint_write(c->directory, o, task->states, task->n_states, c->keep, st ? NULL : err);
        if (!st) st = written;
    }
    result->steps = o->step;
    if (ema && o->ema) memcpy(ema, o->ema, task->params->size * sizeof *ema);
done:
    if (log) fclose(log);
    fi_optim_free(o);
    return st;
}
