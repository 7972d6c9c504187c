#define _POSIX_C_SOURCE 200809L

#include "copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file to copy, or a folder to look into; both are kept as stacks. */
struct entry {
    struct entry *next;
    uint64_t size;
    /* Relative to the source and the target; empty for these folders themselves. */
    char path[];
};

struct job {
    const struct copy_watcher *watcher;
    struct copy_result result;
    /* The two folders, open. */
    int source;
    int target;
    /* The entries to compare, and the files to copy. */
    struct entry *folders;
    struct entry *files;
    /* Bytes done, and the total; 0: unknown. */
    uint64_t done;
    uint64_t total;
    unsigned char *chunk;
};

enum outcome { COPIED, NOT_COPIED, STOPPED };

static void push(struct entry **stack, struct entry *entry)
{
    entry->next = *stack;
    *stack = entry;
}

/* The entry that was pushed last, which the caller frees; NULL: the stack is empty. */
static struct entry *pop(struct entry **stack)
{
    struct entry *entry = *stack;
    if (entry != NULL) {
        *stack = entry->next;
    }
    return entry;
}

/* The entry of this name in a folder, which the caller frees; NULL: out of memory. */
static struct entry *new_entry(const char *folder, size_t folder_len, const char *name)
{
    size_t name_len = strlen(name);
    struct entry *entry = malloc(sizeof *entry + folder_len + 1 + name_len + 1);
    if (entry == NULL) {
        return NULL;
    }
    entry->next = NULL;
    entry->size = 0;
    char *end = entry->path;
    if (folder_len > 0) {
        memcpy(end, folder, folder_len);
        end += folder_len;
        *end++ = '/';
    }
    memcpy(end, name, name_len + 1);
    return entry;
}

/* The unfinished copy of a file. It is in the same folder, so that it can be renamed. */
static struct entry *new_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return new_entry(path, slash != NULL ? (size_t)(slash - path) : 0, COPY_PART_NAME);
}

/* Reports the next step. Returns whether to continue. */
static bool report(struct job *job, const char *path)
{
    /* A file may have grown since it was compared. */
    uint64_t done = job->done < job->total ? job->done : job->total;
    bool go_on = job->watcher->report(job->watcher->context, path, done, job->total);
    job->result.stopped = !go_on;
    return go_on;
}

static void problem(struct job *job, enum copy_problem_kind kind, const char *path,
                    const char *what, int error)
{
    struct copy_problem problem = {.kind = kind, .path = path, .what = what, .error = error};
    job->watcher->problem(job->watcher->context, &problem);
    if (kind != COPY_SKIPPED) {
        job->result.failures += 1;
    }
}

/* A problem with the reason in `errno`. */
static void failure(struct job *job, const char *path, const char *what)
{
    problem(job, COPY_FAILED, path, what, errno);
}

static bool same_time(struct timespec one, struct timespec other)
{
    return one.tv_sec == other.tv_sec && one.tv_nsec == other.tv_nsec;
}

/* Whether a copy has the time of its original, within the precision of its file system. */
static bool has_time_of(struct timespec copy, struct timespec original)
{
    static const long steps_ns[] = {1, 100, 1000, 1000000, 10000000, 1000000000};
    for (size_t i = 0; i < sizeof steps_ns / sizeof steps_ns[0]; i++) {
        struct timespec rounded = original;
        rounded.tv_nsec -= rounded.tv_nsec % steps_ns[i];
        if (same_time(copy, rounded)) {
            return true;
        }
    }
    /* FAT stores even seconds only. */
    struct timespec even = {.tv_sec = original.tv_sec - (original.tv_sec & 1)};
    return same_time(copy, even);
}

/* Whether the target lacks a current copy of this file. */
static bool needs_copy(struct job *job, int target, const char *name, const char *path,
                       const struct stat *original)
{
    struct stat copy;
    if (fstatat(target, name, &copy, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) {
            return true;
        }
        failure(job, path, "cannot look at the copy");
        return false;
    }
    if (!S_ISREG(copy.st_mode)) {
        problem(job, COPY_IN_THE_WAY, path, "the target has something of this name that is no file",
                0);
        return false;
    }
    return copy.st_size != original->st_size || !has_time_of(copy.st_mtim, original->st_mtim);
}

/* Creates a folder of this name in the target if it is missing. Returns whether it exists. */
static bool make_folder(struct job *job, int target, const char *name, const char *path)
{
    struct stat there;
    if (fstatat(target, name, &there, AT_SYMLINK_NOFOLLOW) == 0) {
        if (S_ISDIR(there.st_mode)) {
            return true;
        }
        problem(job, COPY_IN_THE_WAY, path,
                "the target has something of this name that is no folder", 0);
        return false;
    }
    if (errno != ENOENT) {
        failure(job, path, "cannot look at the folder in the target");
        return false;
    }
    if (mkdirat(target, name, 0777) != 0) {
        failure(job, path, "cannot make the folder");
        return false;
    }
    return true;
}

/* Decides how to handle an entry of the source. Returns whether to continue. */
static bool compare_entry(struct job *job, int source, int target, const char *folder,
                          const char *name)
{
    struct entry *entry = new_entry(folder, strlen(folder), name);
    if (entry == NULL) {
        failure(job, folder, "cannot look into the folder");
        return true;
    }
    if (!report(job, entry->path)) {
        free(entry);
        return false;
    }
    struct stat original;
    if (fstatat(source, name, &original, AT_SYMLINK_NOFOLLOW) != 0) {
        failure(job, entry->path, "cannot look at it");
    } else if (S_ISDIR(original.st_mode)) {
        if (make_folder(job, target, name, entry->path)) {
            push(&job->folders, entry);
            return true;
        }
    } else if (S_ISREG(original.st_mode)) {
        if (needs_copy(job, target, name, entry->path, &original)) {
            entry->size = (uint64_t)original.st_size;
            push(&job->files, entry);
            return true;
        }
    } else {
        problem(job, COPY_SKIPPED, entry->path, "not copied: neither a file nor a folder", 0);
    }
    free(entry);
    return true;
}

/* Removes the unfinished copy that a killed run may have left in a folder. */
static void remove_leftover(struct job *job, int target, const char *path)
{
    struct stat leftover;
    if (fstatat(target, COPY_PART_NAME, &leftover, AT_SYMLINK_NOFOLLOW) == 0 &&
        unlinkat(target, COPY_PART_NAME, 0) != 0) {
        failure(job, path, "cannot remove the unfinished copy " COPY_PART_NAME);
    }
}

/* Compares the direct entries of a folder. Returns whether to continue. */
static bool compare_folder(struct job *job, const char *path)
{
    const char *here = *path != '\0' ? path : ".";
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int source = openat(job->source, here, flags);
    if (source < 0) {
        failure(job, path, "cannot open the folder");
        return true;
    }
    int target = openat(job->target, here, flags);
    if (target < 0) {
        failure(job, path, "cannot open the folder in the target");
        close(source);
        return true;
    }
    remove_leftover(job, target, path);
    DIR *listing = fdopendir(source);
    if (listing == NULL) {
        failure(job, path, "cannot list the folder");
        close(source);
        close(target);
        return true;
    }
    bool go_on = true;
    while (go_on) {
        errno = 0;
        const struct dirent *found = readdir(listing);
        if (found == NULL) {
            if (errno != 0) {
                failure(job, path, "cannot list all of the folder");
            }
            break;
        }
        const char *name = found->d_name;
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
            strcmp(name, COPY_PART_NAME) != 0) {
            go_on = compare_entry(job, source, target, path, name);
        }
    }
    /* This closes `source`, too. */
    closedir(listing);
    close(target);
    return go_on;
}

/* Reads a chunk, which is shorter only at the end of the file. Returns its length; -1: error. */
static ssize_t read_chunk(int file, unsigned char *chunk)
{
    size_t len = 0;
    while (len < COPY_CHUNK_BYTES) {
        ssize_t got = read(file, chunk + len, COPY_CHUNK_BYTES - len);
        if (got == 0) {
            break;
        }
        if (got > 0) {
            len += (size_t)got;
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return (ssize_t)len;
}

static bool write_all(int file, const unsigned char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t put = write(file, bytes, len);
        if (put > 0) {
            bytes += put;
            len -= (size_t)put;
        } else if (put == 0) {
            errno = EIO;
            return false;
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

/* Copies the content and the time, and flushes both to the disk. */
static enum outcome copy_content(struct job *job, const char *path, int original, int copy)
{
    struct stat before;
    if (fstat(original, &before) != 0) {
        failure(job, path, "cannot look at it");
        return NOT_COPIED;
    }
    if (!S_ISREG(before.st_mode)) {
        problem(job, COPY_CHANGED, path, "it is no longer a file", 0);
        return NOT_COPIED;
    }
    /* Copying a file that grows as fast as it is copied would never end. */
    uint64_t size = (uint64_t)before.st_size;
    uint64_t copied = 0;
    for (;;) {
        ssize_t len = read_chunk(original, job->chunk);
        if (len < 0) {
            failure(job, path, "cannot read it");
            return NOT_COPIED;
        }
        if (!write_all(copy, job->chunk, (size_t)len)) {
            failure(job, path, "cannot write the copy");
            return NOT_COPIED;
        }
        copied += (uint64_t)len;
        job->done += (uint64_t)len;
        if ((size_t)len < COPY_CHUNK_BYTES || copied > size) {
            break;
        }
        if (!report(job, path)) {
            return STOPPED;
        }
    }
    struct stat after;
    if (fstat(original, &after) != 0) {
        failure(job, path, "cannot look at it");
        return NOT_COPIED;
    }
    if (copied != size || after.st_size != before.st_size ||
        !same_time(after.st_mtim, before.st_mtim)) {
        problem(job, COPY_CHANGED, path, "it changed while it was copied", 0);
        return NOT_COPIED;
    }
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, before.st_mtim};
    if (futimens(copy, times) != 0) {
        failure(job, path, "cannot set the time of the copy");
        return NOT_COPIED;
    }
    if (fsync(copy) != 0) {
        failure(job, path, "cannot flush the copy");
        return NOT_COPIED;
    }
    return COPIED;
}

/* Creates the unfinished copy and renames it. Leaves nothing behind on failure. */
static enum outcome replace(struct job *job, const char *path, const char *part, int original)
{
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int copy = openat(job->target, part, flags, 0666);
    if (copy < 0) {
        failure(job, path, "cannot make the copy");
        return NOT_COPIED;
    }
    enum outcome outcome = copy_content(job, path, original, copy);
    if (close(copy) != 0 && outcome == COPIED) {
        failure(job, path, "cannot write the copy");
        outcome = NOT_COPIED;
    }
    /* If a power failure undoes the rename, the next run repeats it. */
    if (outcome == COPIED && renameat(job->target, part, job->target, path) != 0) {
        failure(job, path, "cannot give the copy its name");
        outcome = NOT_COPIED;
    }
    if (outcome != COPIED && unlinkat(job->target, part, 0) != 0) {
        failure(job, path, "cannot remove the unfinished copy " COPY_PART_NAME);
    }
    return outcome;
}

/* Copies one file. Returns whether to continue. */
static bool copy_file(struct job *job, const struct entry *file)
{
    if (!report(job, file->path)) {
        return false;
    }
    uint64_t done = job->done;
    enum outcome outcome = NOT_COPIED;
    struct entry *part = new_part(file->path);
    int original = openat(job->source, file->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (part == NULL) {
        problem(job, COPY_FAILED, file->path, "cannot copy it", ENOMEM);
    } else if (original < 0) {
        failure(job, file->path, "cannot open it");
    } else {
        outcome = replace(job, file->path, part->path, original);
    }
    if (original >= 0) {
        close(original);
    }
    free(part);
    if (outcome == COPIED) {
        job->result.files += 1;
        job->result.bytes += job->done - done;
    }
    /* Counts as done in any case, so that the sum reaches the total. */
    job->done = done + file->size;
    return outcome != STOPPED;
}

/* Compares everything, then copies the files. */
static void compare_and_copy(struct job *job)
{
    struct entry *entry = new_entry("", 0, "");
    if (entry == NULL) {
        failure(job, "", "cannot begin");
        return;
    }
    push(&job->folders, entry);
    bool go_on = report(job, entry->path);
    while (go_on && (entry = pop(&job->folders)) != NULL) {
        go_on = compare_folder(job, entry->path);
        free(entry);
    }
    for (entry = job->files; entry != NULL; entry = entry->next) {
        job->total += entry->size;
    }
    while (go_on && (entry = pop(&job->files)) != NULL) {
        go_on = copy_file(job, entry);
        free(entry);
    }
    /* The files that were not copied. */
    while ((entry = pop(&job->folders)) != NULL || (entry = pop(&job->files)) != NULL) {
        free(entry);
    }
}

struct copy_result copy_folder(const char *source, const char *target,
                               const struct copy_watcher *watcher)
{
    struct job job = {.watcher = watcher, .source = -1, .target = -1};
    job.chunk = malloc(COPY_CHUNK_BYTES);
    if (job.chunk == NULL) {
        failure(&job, "", "cannot begin");
    } else if ((job.source = open(source, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        failure(&job, "", "cannot open the source");
    } else if ((job.target = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        failure(&job, "", "cannot open the target");
    } else {
        compare_and_copy(&job);
    }
    if (job.target >= 0) {
        close(job.target);
    }
    if (job.source >= 0) {
        close(job.source);
    }
    free(job.chunk);
    return job.result;
}
