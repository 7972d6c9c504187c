/*
 * Copies new and changed files from one folder to another.
 *
 * A file is unchanged if the target has one of equal size and modification time; each copy gets
 * the time of its original. Nothing is deleted, symbolic links are neither followed nor copied,
 * and entries that exist only in the target are kept. A copy is written under another name in its
 * folder, flushed to the disk and then renamed, so that a name never refers to an incomplete file,
 * and the next run completes an interrupted one.
 *
 * This file is independent of the sync manager, so that it can be tested natively: see
 * test/copy_test.c.
 */
#ifndef COPY_H
#define COPY_H

#include <stdbool.h>
#include <stdint.h>

/* The name of an incomplete copy. In the source, files of this name are ignored. */
#define COPY_PART_NAME ".{{name}}.part"

/* The number of bytes of a file between two reports. */
#define COPY_CHUNK_BYTES ((size_t)1 << 20)

enum copy_problem_kind {
    /* A failure; `error` has the reason. */
    COPY_FAILED,
    /* The file changed during its copy. The next run copies it. */
    COPY_CHANGED,
    /* The target has an entry of this name that must not be replaced. */
    COPY_IN_THE_WAY,
    /* A symbolic link or a device, which is not copied. Not a failure. */
    COPY_SKIPPED,
};

/* An entry that was not copied, and the reason. */
struct copy_problem {
    enum copy_problem_kind kind;
    /* Relative to the source and the target; empty for these folders themselves. */
    const char *path;
    /* The failed operation, for the user. */
    const char *what;
    /* The system's error number, as in errno; 0: none. */
    int error;
};

/* The receiver of reports. Texts are valid during the call only. */
struct copy_watcher {
    /* Passed to the functions. */
    void *context;
    /*
     * Called before anything is done about a file or a folder, and after each chunk of a large
     * file. `total` is the number of bytes to copy, or 0 while that is being found out, and
     * `done` is how many of them are done. Returns whether to go on; if not, nothing more is
     * copied, and the file that is being copied leaves nothing behind.
     */
    bool (*report)(void *context, const char *path, uint64_t done, uint64_t total);
    /* Called for each entry that is not copied. The others are copied. */
    void (*problem)(void *context, const struct copy_problem *problem);
};

/* The result. */
struct copy_result {
    /* Whether `report` cancelled the copying. */
    bool stopped;
    /* The number of copied files and of their bytes. */
    uint64_t files;
    uint64_t bytes;
    /* The number of problems that are failures. */
    uint64_t failures;
};

/* Copies the content of the folder `source` to the folder `target`. Both must exist. */
struct copy_result copy_folder(const char *source, const char *target,
                               const struct copy_watcher *watcher);

#endif
