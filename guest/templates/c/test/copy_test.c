/* Tests of src/copy.c on real folders, run by `make check`. */
#define _POSIX_C_SOURCE 200809L

#include "../src/copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHECK(condition)                                                             \
    do {                                                                             \
        if (!(condition)) {                                                          \
            printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);           \
            exit(1);                                                                 \
        }                                                                            \
    } while (0)

/* Every test runs in a separate folder with these two. */
#define SOURCE "source"
#define TARGET "target"

/* The reports of a copy, and the actions to take at certain reports. */
struct watch {
    struct copy_watcher watcher;
    int reports;
    /* The number of the report to stop at, and of the one to change a file at; 0: none. */
    int stop_at;
    int change_at;
    const char *change;
    uint64_t done;
    uint64_t total;
    int problems[COPY_SKIPPED + 1];
    int last_error;
};

static void write_file(const char *path, const char *content, size_t len)
{
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL);
    CHECK(fwrite(content, 1, len, file) == len);
    CHECK(fclose(file) == 0);
}

static void write_text(const char *path, const char *text)
{
    write_file(path, text, strlen(text));
}

/* Writes a file with varying bytes. */
static void write_bytes(const char *path, size_t len)
{
    char *bytes = malloc(len + 1);
    CHECK(bytes != NULL);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (char)(i * 31 >> 3);
    }
    write_file(path, bytes, len);
    free(bytes);
}

/* The content of a file with a terminating NUL, to be freed; NULL: there is no such file. */
static char *read_file(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        CHECK(errno == ENOENT);
        return NULL;
    }
    CHECK(fseek(file, 0, SEEK_END) == 0);
    long end = ftell(file);
    CHECK(end >= 0);
    rewind(file);
    *len = (size_t)end;
    char *content = malloc(*len + 1);
    CHECK(content != NULL);
    CHECK(fread(content, 1, *len, file) == *len);
    content[*len] = '\0';
    CHECK(fclose(file) == 0);
    return content;
}

static bool same_file(const char *one, const char *other)
{
    size_t one_len = 0;
    size_t other_len = 0;
    char *one_content = read_file(one, &one_len);
    char *other_content = read_file(other, &other_len);
    bool same = one_content != NULL && other_content != NULL && one_len == other_len &&
                memcmp(one_content, other_content, one_len) == 0;
    free(one_content);
    free(other_content);
    return same;
}

static bool has_text(const char *path, const char *text)
{
    size_t len = 0;
    char *content = read_file(path, &len);
    bool has = content != NULL && strcmp(content, text) == 0;
    free(content);
    return has;
}

static bool exists(const char *path)
{
    struct stat found;
    return lstat(path, &found) == 0;
}

static void make_folder(const char *path)
{
    CHECK(mkdir(path, 0777) == 0);
}

static void set_time(const char *path, time_t seconds, long nanoseconds)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                                {.tv_sec = seconds, .tv_nsec = nanoseconds}};
    CHECK(utimensat(AT_FDCWD, path, times, 0) == 0);
}

/* Calls a function for each entry below a folder. */
static void each(const char *folder, void (*what)(const char *path, void *context), void *context)
{
    DIR *listing = opendir(folder);
    CHECK(listing != NULL);
    for (const struct dirent *found; (found = readdir(listing)) != NULL;) {
        if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0) {
            continue;
        }
        size_t room = strlen(folder) + strlen(found->d_name) + 2;
        char *path = malloc(room);
        CHECK(path != NULL);
        snprintf(path, room, "%s/%s", folder, found->d_name);
        struct stat entry;
        CHECK(lstat(path, &entry) == 0);
        if (S_ISDIR(entry.st_mode)) {
            each(path, what, context);
        }
        what(path, context);
        free(path);
    }
    CHECK(closedir(listing) == 0);
}

static void remove_entry(const char *path, void *context)
{
    (void)context;
    CHECK(remove(path) == 0);
}

static bool report(void *context, const char *path, uint64_t done, uint64_t total)
{
    struct watch *watch = context;
    CHECK(path != NULL);
    CHECK(done >= watch->done && done <= total);
    CHECK(total == watch->total || watch->total == 0);
    watch->done = done;
    watch->total = total;
    watch->reports += 1;
    if (watch->reports == watch->change_at) {
        write_text(watch->change, "changed during the copy");
    }
    return watch->reports != watch->stop_at;
}

static void count_problem(void *context, const struct copy_problem *problem)
{
    struct watch *watch = context;
    CHECK(problem->path != NULL && problem->what != NULL);
    CHECK(problem->kind != COPY_FAILED || problem->error != 0);
    watch->problems[problem->kind] += 1;
    watch->last_error = problem->error;
}

static struct copy_result copy(struct watch *watch)
{
    watch->watcher = (struct copy_watcher){
        .context = watch, .report = report, .problem = count_problem};
    return copy_folder(SOURCE, TARGET, &watch->watcher);
}

/* Copies without interruption or problem. Returns the number of files. */
static uint64_t copy_all(void)
{
    struct watch watch = {0};
    struct copy_result result = copy(&watch);
    CHECK(!result.stopped && result.failures == 0 && watch.problems[COPY_SKIPPED] == 0);
    return result.files;
}

static void test_copies_what_is_new(void)
{
    write_text(SOURCE "/a", "one");
    write_text(SOURCE "/empty", "");
    make_folder(SOURCE "/folder");
    make_folder(SOURCE "/folder/empty folder");
    write_text(SOURCE "/folder/b", "two");
    write_text(TARGET "/own", "stays");
    set_time(SOURCE "/a", 1234567890, 123456789);
    struct watch watch = {0};
    struct copy_result result = copy(&watch);
    CHECK(!result.stopped && result.failures == 0);
    CHECK(result.files == 3 && result.bytes == 6);
    CHECK(has_text(TARGET "/a", "one"));
    CHECK(has_text(TARGET "/empty", ""));
    CHECK(has_text(TARGET "/folder/b", "two"));
    CHECK(exists(TARGET "/folder/empty folder"));
    CHECK(has_text(TARGET "/own", "stays"));
    struct stat made;
    CHECK(stat(TARGET "/a", &made) == 0);
    CHECK(made.st_mtim.tv_sec == 1234567890 && made.st_mtim.tv_nsec == 123456789);
    CHECK(copy_all() == 0);
}

static void test_copies_what_is_changed(void)
{
    write_text(SOURCE "/size", "one");
    write_text(SOURCE "/time", "one");
    write_text(SOURCE "/same", "one");
    CHECK(copy_all() == 3);
    write_text(SOURCE "/size", "longer");
    write_text(SOURCE "/time", "two");
    set_time(SOURCE "/time", 1, 0);
    write_text(TARGET "/same", "two");
    struct stat original;
    CHECK(stat(SOURCE "/same", &original) == 0);
    set_time(TARGET "/same", original.st_mtim.tv_sec, original.st_mtim.tv_nsec);
    CHECK(copy_all() == 2);
    CHECK(has_text(TARGET "/size", "longer"));
    CHECK(has_text(TARGET "/time", "two"));
    /* Of equal size and time: unchanged by definition. */
    CHECK(has_text(TARGET "/same", "two"));
    /* A file that was changed in the target is replaced, even if it is newer. */
    write_text(TARGET "/time", "three");
    CHECK(copy_all() == 1);
    CHECK(has_text(TARGET "/time", "two"));
}

/* A file system may store times with less precision: FAT has even seconds only. */
static void test_times_may_be_kept_less_exactly(void)
{
    write_text(SOURCE "/a", "one");
    set_time(SOURCE "/a", 1001, 123456789);
    CHECK(copy_all() == 1);
    static const struct {
        time_t seconds;
        long nanoseconds;
        uint64_t copied;
    } cases[] = {
        {1001, 123456789, 0}, {1001, 123456700, 0}, {1001, 123456000, 0}, {1001, 123000000, 0},
        {1001, 120000000, 0}, {1001, 0, 0},         {1000, 0, 0},         {1001, 123456788, 1},
        {1002, 123456789, 1}, {1002, 0, 1},         {999, 0, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        set_time(TARGET "/a", cases[i].seconds, cases[i].nanoseconds);
        CHECK(copy_all() == cases[i].copied);
    }
}

static void test_links_and_devices_are_left_out(void)
{
    write_text("outside", "secret");
    make_folder("folder");
    CHECK(symlink("../outside", SOURCE "/link") == 0);
    CHECK(symlink("../folder", SOURCE "/folder link") == 0);
    CHECK(symlink("nowhere", SOURCE "/dangling") == 0);
    CHECK(mkfifo(SOURCE "/fifo", 0666) == 0);
    struct watch watch = {0};
    struct copy_result result = copy(&watch);
    CHECK(result.files == 0 && result.failures == 0 && watch.problems[COPY_SKIPPED] == 4);
    CHECK(!exists(TARGET "/link") && !exists(TARGET "/folder link"));
}

/* Only files are replaced by files, and a failure does not prevent other copies. */
static void test_what_is_in_the_way_stays(void)
{
    write_text(SOURCE "/file", "new");
    write_text(SOURCE "/linked", "new");
    write_text(SOURCE "/other", "new");
    make_folder(SOURCE "/folder");
    write_text(SOURCE "/folder/a", "new");
    make_folder(SOURCE "/linked folder");
    write_text(SOURCE "/linked folder/a", "new");
    make_folder(TARGET "/file");
    write_text(TARGET "/folder", "old");
    write_text("outside", "old");
    make_folder("outside folder");
    CHECK(symlink("../outside", TARGET "/linked") == 0);
    CHECK(symlink("../outside folder", TARGET "/linked folder") == 0);
    struct watch watch = {0};
    struct copy_result result = copy(&watch);
    CHECK(!result.stopped && result.files == 1 && result.failures == 4);
    CHECK(watch.problems[COPY_IN_THE_WAY] == 4);
    CHECK(has_text(TARGET "/other", "new"));
    CHECK(has_text(TARGET "/folder", "old"));
    CHECK(has_text("outside", "old"));
    CHECK(!exists("outside folder/a"));
}

static void test_folders_that_are_not_there(void)
{
    struct watch no_target = {0};
    CHECK(rmdir(TARGET) == 0);
    CHECK(copy(&no_target).failures == 1 && no_target.problems[COPY_FAILED] == 1);
    CHECK(no_target.last_error == ENOENT && !exists(TARGET));
    struct watch no_source = {0};
    make_folder(TARGET);
    CHECK(rmdir(SOURCE) == 0);
    CHECK(copy(&no_source).failures == 1 && no_source.last_error == ENOENT);
}

static void test_a_large_file_is_reported_by_chunks(void)
{
    static const struct {
        size_t size;
        int reports;
    } cases[] = {
        /* One report for the source, one for comparing the file, one for the start of its copy. */
        {0, 3},
        {1, 3},
        {COPY_CHUNK_BYTES - 1, 3},
        {COPY_CHUNK_BYTES, 4},
        {COPY_CHUNK_BYTES * 3 + 1, 6},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_bytes(SOURCE "/large", cases[i].size);
        set_time(SOURCE "/large", (time_t)i, 0);
        struct watch watch = {0};
        struct copy_result result = copy(&watch);
        CHECK(result.files == 1 && result.bytes == cases[i].size);
        CHECK(watch.reports == cases[i].reports && watch.total == cases[i].size);
        CHECK(same_file(SOURCE "/large", TARGET "/large"));
    }
}

static void check_copy(const char *path, void *context)
{
    (void)context;
    CHECK(strstr(path, COPY_PART_NAME) == NULL);
    struct stat entry;
    CHECK(stat(path, &entry) == 0);
    if (S_ISREG(entry.st_mode)) {
        size_t room = strlen(path) + sizeof SOURCE;
        char *original = malloc(room);
        CHECK(original != NULL);
        snprintf(original, room, SOURCE "%s", path + strlen(TARGET));
        CHECK(same_file(path, original));
        free(original);
    }
}

/* A run that is stopped anywhere leaves no incomplete file, and the next run completes it. */
static void test_stops_at_any_report(void)
{
    make_folder(SOURCE "/folder");
    make_folder(SOURCE "/folder/inner");
    write_text(SOURCE "/a", "one");
    write_text(SOURCE "/folder/b", "two");
    write_bytes(SOURCE "/folder/large", COPY_CHUNK_BYTES * 3 + 5);
    write_text(SOURCE "/folder/inner/c", "three");
    struct watch all = {0};
    CHECK(copy(&all).files == 4 && all.reports > 10);
    for (int stop_at = 1; stop_at <= all.reports; stop_at++) {
        each(TARGET, remove_entry, NULL);
        struct watch watch = {.stop_at = stop_at};
        struct copy_result result = copy(&watch);
        CHECK(result.stopped && result.failures == 0 && watch.reports == stop_at);
        each(TARGET, check_copy, NULL);
        CHECK(result.files + copy_all() == 4);
        each(TARGET, check_copy, NULL);
        CHECK(copy_all() == 0);
    }
}

/* A killed run cannot remove its unfinished copy. */
static void test_unfinished_copies_are_removed(void)
{
    make_folder(SOURCE "/folder");
    make_folder(TARGET "/folder");
    write_text(SOURCE "/folder/a", "one");
    write_text(TARGET "/folder/" COPY_PART_NAME, "half of a longer one");
    write_text(TARGET "/" COPY_PART_NAME, "half");
    /* The source may have been a target before. */
    write_text(SOURCE "/" COPY_PART_NAME, "half");
    CHECK(copy_all() == 1);
    CHECK(has_text(TARGET "/folder/a", "one"));
    CHECK(!exists(TARGET "/folder/" COPY_PART_NAME));
    CHECK(!exists(TARGET "/" COPY_PART_NAME));
}

static void test_a_file_that_changes_is_left_for_the_next_run(void)
{
    write_bytes(SOURCE "/a", COPY_CHUNK_BYTES * 2);
    write_text(TARGET "/a", "old");
    /* The fourth report follows the first chunk. */
    struct watch watch = {.change_at = 4, .change = SOURCE "/a"};
    struct copy_result result = copy(&watch);
    CHECK(result.files == 0 && result.failures == 1 && watch.problems[COPY_CHANGED] == 1);
    CHECK(has_text(TARGET "/a", "old"));
    CHECK(!exists(TARGET "/" COPY_PART_NAME));
    CHECK(copy_all() == 1);
    CHECK(has_text(TARGET "/a", "changed during the copy"));
}

static void test_a_file_that_grew_before_its_turn_is_copied(void)
{
    write_text(SOURCE "/a", "1");
    write_text(SOURCE "/b", "1");
    /* The fourth report is the first one after comparing. */
    struct watch watch = {.change_at = 4, .change = SOURCE "/a"};
    struct copy_result result = copy(&watch);
    CHECK(result.files == 2 && result.failures == 0);
    CHECK(result.bytes == 1 + strlen("changed during the copy"));
    CHECK(has_text(TARGET "/a", "changed during the copy"));
    CHECK(copy_all() == 0);
}

static void test_what_cannot_be_opened_is_a_problem(void)
{
    write_text(SOURCE "/a", "one");
    make_folder(SOURCE "/folder");
    write_text(SOURCE "/folder/b", "two");
    CHECK(chmod(SOURCE "/a", 0) == 0);
    CHECK(chmod(SOURCE "/folder", 0) == 0);
    /* An administrator can read everything. */
    bool may_anyway = access(SOURCE "/a", R_OK) == 0;
    struct watch watch = {0};
    struct copy_result result = copy(&watch);
    CHECK(chmod(SOURCE "/folder", 0777) == 0);
    if (may_anyway) {
        CHECK(result.files == 2 && result.failures == 0);
    } else {
        CHECK(result.files == 0 && result.failures == 2 && watch.last_error == EACCES);
    }
}

static void test_names_may_be_long_and_folders_deep(void)
{
    char name[256];
    memset(name, 'n', 255);
    name[255] = '\0';
    int home = open(".", O_RDONLY | O_DIRECTORY);
    CHECK(home >= 0 && chdir(SOURCE) == 0);
    for (int depth = 0; depth < 300; depth++) {
        CHECK(mkdir("d", 0777) == 0 && chdir("d") == 0);
    }
    write_text("deep", "down");
    CHECK(fchdir(home) == 0 && chdir(SOURCE) == 0);
    write_text(name, "long");
    CHECK(fchdir(home) == 0 && close(home) == 0);
    /* The number of open files must not depend on the depth of a folder. */
    struct rlimit before;
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    struct rlimit few = {.rlim_cur = 32, .rlim_max = before.rlim_max};
    CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
    CHECK(copy_all() == 2);
    CHECK(copy_all() == 0);
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
}

int main(void)
{
    static void (*const tests[])(void) = {
        test_copies_what_is_new,
        test_copies_what_is_changed,
        test_times_may_be_kept_less_exactly,
        test_links_and_devices_are_left_out,
        test_what_is_in_the_way_stays,
        test_folders_that_are_not_there,
        test_a_large_file_is_reported_by_chunks,
        test_stops_at_any_report,
        test_unfinished_copies_are_removed,
        test_a_file_that_changes_is_left_for_the_next_run,
        test_a_file_that_grew_before_its_turn_is_copied,
        test_what_cannot_be_opened_is_a_problem,
        test_names_may_be_long_and_folders_deep,
    };
    int count = (int)(sizeof tests / sizeof tests[0]);
    setvbuf(stdout, NULL, _IONBF, 0);
    for (int i = 0; i < count; i++) {
        char home[] = "/tmp/copy_test.XXXXXX";
        CHECK(mkdtemp(home) != NULL && chdir(home) == 0);
        make_folder(SOURCE);
        make_folder(TARGET);
        tests[i]();
        each(".", remove_entry, NULL);
        CHECK(chdir("/") == 0 && rmdir(home) == 0);
    }
    printf("%d passed, 0 failed\n", count);
    return 0;
}
