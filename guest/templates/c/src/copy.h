/*
 * Copies what is new or changed in one folder to another one.
 *
 * A file counts as unchanged when the target has one of the same size and the same time of last
 * change; each copy gets both from its original. Nothing is deleted, symbolic links are neither
 * followed nor copied, and what is in the target only is left alone. A copy is written under
 * another name in the folder where it belongs, flushed to the disk and then renamed, so that a
 * name never stands for half a file, and a run that was interrupted is completed by the next one.
 *
 * Nothing here knows the sync manager, so that it can be tested natively: see test/copy_test.c.
 */
#ifndef COPY_H
#define COPY_H

#include <stdbool.h>
#include <stdint.h>

/* The name of a copy that is not complete. In the source it is left out. */
#define COPY_PART_NAME ".{{name}}.part"

/* There is a report after so many bytes of a file. */
#define COPY_CHUNK_BYTES ((size_t)1 << 20)

enum copy_problem_kind {
    /* Something failed; `error` says what. */
    COPY_FAILED,
    /* The file changed while it was copied; the next run will find it at rest. */
    COPY_CHANGED,
    /* Something that must not be replaced has the name in the target. */
    COPY_IN_THE_WAY,
    /* A symbolic link or a device, which is not copied. Not a failure. */
    COPY_SKIPPED,
};

/* What was not copied, and why. */
struct copy_problem {
    enum copy_problem_kind kind;
    /* Below the source and the target; empty for these folders themselves. */
    const char *path;
    /* What did not work, for people. */
    const char *what;
    /* The number that the system gave, as in errno; 0: none. */
    int error;
};

/* Who is told. Texts are valid during the call only. */
struct copy_watcher {
    /* Handed to the functions. */
    void *context;
    /*
     * Called before anything is done about a file or a folder, and after each chunk of a large
     * file. `total` is the number of bytes to copy, or 0 while that is being found out, and
     * `done` is how many of them are done. Returns whether to go on; if not, nothing more is
     * copied, and the file that is being copied leaves nothing behind.
     */
    bool (*report)(void *context, const char *path, uint64_t done, uint64_t total);
    /* Called for whatever is not copied. The others are. */
    void (*problem)(void *context, const struct copy_problem *problem);
};

/* What was done. */
struct copy_result {
    /* Whether `report` ended it. */
    bool stopped;
    /* How many files were copied, and the bytes in them. */
    uint64_t files;
    uint64_t bytes;
    /* How many problems there were that are failures. */
    uint64_t failures;
};

/* Copies the content of the folder `source` to the folder `target`. Both must be there. */
struct copy_result copy_folder(const char *source, const char *target,
                               const struct copy_watcher *watcher);

#endif
