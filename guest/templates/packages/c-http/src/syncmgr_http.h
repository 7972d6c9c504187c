/*
 * HTTP requests to the servers that the operator granted, for plugins of the world `plugin-http`.
 *
 * A plugin requests a server by name in syncmgr.toml, and reads the granted URL as the setting of
 * that name. The host adds the credentials, if the operator gave some: the plugin never sees them.
 *
 *     struct http_request request = {.method = "GET", .url = url, .item = &item};
 *     struct http_response response;
 *     struct http_error error;
 *     enum http_result result = http_send(&request, &response, &error);
 *     if (result == HTTP_OK) {
 *         result = http_check_status(&response, &error);
 *         ... http_read(&response, buffer, sizeof buffer, &len, &error) until len is 0 ...
 *         http_close(&response);
 *     }
 *
 * Every call that waits returns HTTP_CANCELLED as soon as the user cancels the item or the run.
 * Failures have one of these codes, SYNCMGR_PLUGIN_TYPES_ERROR_CODE_...:
 * - ACCESS_DENIED if the request is not granted;
 * - NOT_CONNECTED if there is no connection;
 * - TIMEOUT if the server does not answer;
 * - INVALID_ARGUMENT if the URL, the method or a header is invalid;
 * - INPUT_OUTPUT if the connection fails or the answer is invalid.
 *
 * All text is UTF-8.
 */
#ifndef SYNCMGR_HTTP_H
#define SYNCMGR_HTTP_H

#include "plugin.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum http_result {
    HTTP_OK,
    /* The error has the reason. */
    HTTP_FAILED,
    /* The user cancelled. End the item as `stopped` if everything was cancelled, or `skipped`. */
    HTTP_CANCELLED,
};

/* An error of the contract. */
struct http_error {
    syncmgr_plugin_types_error_code_t code;
    char message[512];
};

struct http_header {
    const char *name;
    const char *value;
};

/* Results of `read` in a request. */
#define HTTP_READ_FAILED (-1)
#define HTTP_READ_CANCELLED (-2)

struct http_request {
    /* Such as "GET" or "PROPFIND". */
    const char *method;
    const char *url;
    const struct http_header *headers;
    size_t header_count;
    /* The item whose cancellation ends waiting; NULL: only that of all items ends it. */
    const syncmgr_plugin_types_item_id_t *item;
    /*
     * Writes the next bytes of the body to the buffer, at most `len`, and returns their number, or
     * one of the results above. Not called after `length` bytes. NULL: there is no body.
     */
    ptrdiff_t (*read)(void *context, uint8_t *buffer, size_t len);
    /* Passed to `read`. */
    void *context;
    /* The number of bytes of the body, which is sent as `Content-Length`. */
    uint64_t length;
};

/* A response. Close it with `http_close`. */
struct http_response {
    uint16_t status;
    /* The URL after all redirects. */
    char *url;
    /* Owned by the functions below. */
    wasi_http_types_list_tuple2_field_name_field_value_t headers;
    wasi_http_types_own_incoming_body_t body;
    wasi_io_streams_own_input_stream_t stream;
    syncmgr_plugin_types_item_id_t item;
    bool has_item;
};

/*
 * Sends a request, and returns as soon as the head of the response has arrived. Follows at most 10
 * redirects of a GET or HEAD without a body, but none from `https` to `http`. Each one leads to a
 * granted server, or fails. If the body ends early or fails, the server receives an incomplete
 * request. A status such as 404 is not an error: see `http_check_status`.
 *
 * After any other result than HTTP_OK, there is no response to close.
 */
enum http_result http_send(const struct http_request *request, struct http_response *response,
                           struct http_error *error);

/* Sends a GET request. */
enum http_result http_get(const char *url, const syncmgr_plugin_types_item_id_t *item,
                          struct http_response *response, struct http_error *error);

/* Sends a PUT request with `length` bytes, which `read` returns. */
enum http_result http_put(const char *url, const syncmgr_plugin_types_item_id_t *item,
                          ptrdiff_t (*read)(void *context, uint8_t *buffer, size_t len),
                          void *context, uint64_t length, struct http_response *response,
                          struct http_error *error);

/*
 * Copies the value of the first header of this name to the buffer, with a final zero. Returns
 * whether there is one, it has no zero byte, and it fits.
 */
bool http_header(const struct http_response *response, const char *name, char *buffer, size_t len);

/* Returns the length of the body in `length`, and whether the server states it. */
bool http_content_length(const struct http_response *response, uint64_t *length);

/*
 * Fails for a status other than 2xx: with ACCESS_DENIED for 401 and 403, NOT_FOUND for 404 and 410,
 * BUSY for 423, 429 and 503, NO_SPACE for 507, TIMEOUT for 408 and 504, ALREADY_EXISTS for 409 and
 * 412, and FAILED for any other. The message quotes the start of the body.
 */
enum http_result http_check_status(struct http_response *response, struct http_error *error);

/* Reads the next bytes of the body, at most `len`. 0 bytes are the end. */
enum http_result http_read(struct http_response *response, uint8_t *buffer, size_t len,
                           size_t *read, struct http_error *error);

/* Releases the response and its connection. The rest of the body is not read. */
void http_close(struct http_response *response);

#endif
