/* A folder of its own for a test program: made before its tests, removed with all that is in it after them. */
#ifndef TESTS_FOLDER_H
#define TESTS_FOLDER_H

#include "check.h"

static char folder[] = "/tmp/foretell-test-XXXXXX";

/* "FOLDER/name"; good for the next 63 calls. */
static inline const char *inside(const char *name)
{
    static char path[64][512];
    static int turn;
    turn = (turn + 1) % 64;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

/* For cmocka_run_group_tests(tests, make_folder, remove_folder). */
static inline int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}
static inline int remove_folder(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

#endif
