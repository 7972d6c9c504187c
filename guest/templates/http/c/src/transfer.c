/* For the functions of POSIX. */
#define _POSIX_C_SOURCE 200809L

#include "transfer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CODE(name) SYNCMGR_PLUGIN_TYPES_ERROR_CODE_##name

/* The maximum length of a URL and of a path. */
#define MAX_LENGTH 4096

/* A download has this name until it is complete. */
#define TEMPORARY ".syncmgr-download"

/* The file that is being uploaded. */
struct upload {
    struct transfer *transfer;
    const char *name;
    FILE *file;
    uint64_t done;
    uint64_t total;
    /* The number of bytes at which the next report is due. */
    uint64_t due;
};

/* Fails with the system's error number. */
static enum http_result fail(struct http_error *error, const char *name, int number)
{
    switch (number) {
    case EACCES:
    case EPERM:
    case EROFS:
        error->code = CODE(ACCESS_DENIED);
        break;
    case ENOENT:
        error->code = CODE(NOT_FOUND);
        break;
    case EDQUOT:
    case EFBIG:
    case ENOSPC:
        error->code = CODE(NO_SPACE);
        break;
    default:
        error->code = CODE(INPUT_OUTPUT);
        break;
    }
    snprintf(error->message, sizeof error->message, "%.200s: %s", name, strerror(number));
    return HTTP_FAILED;
}

static ptrdiff_t read_file(void *context, uint8_t *buffer, size_t len)
{
    struct upload *upload = context;
    if (upload->done >= upload->due) {
        if (!upload->transfer->report(upload->transfer->context, upload->name, upload->done,
                                      upload->total)) {
            return HTTP_READ_CANCELLED;
        }
        upload->due = upload->done + TRANSFER_CHUNK_BYTES;
    }
    size_t read = fread(buffer, 1, len, upload->file);
    upload->done += read;
    return read == 0 && ferror(upload->file) ? HTTP_READ_FAILED : (ptrdiff_t)read;
}

/* Uploads a file in chunks, so that its size does not matter. */
static enum http_result upload_file(struct transfer *transfer, const char *url, const char *name,
                                    struct http_error *error)
{
    char path[MAX_LENGTH];
    snprintf(path, sizeof path, "%s/%s", transfer->folder, name);
    struct upload upload = {.transfer = transfer, .name = name, .file = fopen(path, "rb")};
    struct stat stat;
    if (upload.file == NULL || fstat(fileno(upload.file), &stat) != 0) {
        int number = errno;
        if (upload.file != NULL) {
            fclose(upload.file);
        }
        return fail(error, name, number);
    }
    upload.total = (uint64_t)stat.st_size;
    struct http_response response;
    enum http_result result =
        http_put(url, transfer->item, read_file, &upload, upload.total, &response, error);
    fclose(upload.file);
    if (result == HTTP_OK) {
        result = http_check_status(&response, error);
        http_close(&response);
    }
    return result;
}

/* Writes the body of a response to a file. */
static enum http_result receive(struct transfer *transfer, struct http_response *response,
                                const char *name, FILE *file, struct http_error *error)
{
    static uint8_t buffer[64 << 10];
    uint64_t total = 0;
    http_content_length(response, &total);
    uint64_t done = 0;
    uint64_t due = 0;
    for (;;) {
        size_t read;
        enum http_result result = http_read(response, buffer, sizeof buffer, &read, error);
        if (result != HTTP_OK) {
            return result;
        }
        if (read == 0) {
            break;
        }
        if (fwrite(buffer, 1, read, file) != read) {
            return fail(error, name, errno);
        }
        done += read;
        if (done >= due) {
            if (!transfer->report(transfer->context, name, done, total)) {
                return HTTP_CANCELLED;
            }
            due = done + TRANSFER_CHUNK_BYTES;
        }
    }
    return fflush(file) == 0 && fsync(fileno(file)) == 0 ? HTTP_OK : fail(error, name, errno);
}

/* Downloads a file. Its name refers to the old version until the new one is complete. */
static enum http_result download_file(struct transfer *transfer, const char *url,
                                      const char *name, struct http_error *error)
{
    const char *slash = strrchr(name, '/');
    const char *base = slash != NULL ? slash + 1 : name;
    char path[MAX_LENGTH];
    char temporary[MAX_LENGTH];
    snprintf(path, sizeof path, "%s/%s", transfer->folder, base);
    snprintf(temporary, sizeof temporary, "%s/" TEMPORARY, transfer->folder);
    struct http_response response;
    enum http_result result = http_get(url, transfer->item, &response, error);
    if (result != HTTP_OK) {
        return result;
    }
    result = http_check_status(&response, error);
    FILE *file = NULL;
    if (result == HTTP_OK) {
        file = fopen(temporary, "wb");
        result = file != NULL ? receive(transfer, &response, name, file, error)
                              : fail(error, name, errno);
    }
    http_close(&response);
    if (file != NULL && fclose(file) != 0 && result == HTTP_OK) {
        result = fail(error, name, errno);
    }
    if (result == HTTP_OK && rename(temporary, path) != 0) {
        result = fail(error, name, errno);
    }
    if (file != NULL && result != HTTP_OK) {
        (void)remove(temporary);
    }
    return result;
}

/* Calls a function for each name of a list. */
static enum http_result for_each(struct transfer *transfer, const char *names,
                                 enum http_result (*call)(struct transfer *, const char *url,
                                                          const char *name, struct http_error *),
                                 unsigned *count, struct http_error *error)
{
    char url[MAX_LENGTH];
    size_t server_len = strlen(transfer->server);
    for (;;) {
        names += strspn(names, " ");
        size_t len = strcspn(names, " ");
        if (len == 0) {
            return HTTP_OK;
        }
        if (server_len + len >= sizeof url) {
            error->code = CODE(INVALID_ARGUMENT);
            strcpy(error->message, "a name is too long");
            return HTTP_FAILED;
        }
        memcpy(url, transfer->server, server_len);
        memcpy(url + server_len, names, len);
        url[server_len + len] = '\0';
        const char *name = url + server_len;
        if (!transfer->report(transfer->context, name, 0, 0)) {
            return HTTP_CANCELLED;
        }
        enum http_result result = call(transfer, url, name, error);
        if (result != HTTP_OK) {
            return result;
        }
        *count += 1;
        names += len;
    }
}

enum http_result transfer_files(struct transfer *transfer, struct http_error *error)
{
    const char *downloads = transfer->downloads != NULL ? transfer->downloads : "";
    const char *uploads = transfer->uploads != NULL ? transfer->uploads : "";
    if (!transfer->report(transfer->context, "", 0, 0)) {
        return HTTP_CANCELLED;
    }
    if (transfer->server == NULL) {
        error->code = CODE(ACCESS_DENIED);
        strcpy(error->message, "the server `remote` is not granted");
        return HTTP_FAILED;
    }
    enum http_result result =
        for_each(transfer, downloads, download_file, &transfer->downloaded, error);
    if (result == HTTP_OK) {
        result = for_each(transfer, uploads, upload_file, &transfer->uploaded, error);
    }
    return result;
}
