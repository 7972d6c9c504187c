/**
 * Sends a `GET` request; see `request`.
 * @param {string} url @param {Options} [options]
 */
export function get(url: string, options?: Options): Response;
/**
 * Sends a `PUT` request; see `request`.
 * @param {string} url @param {Options} options
 */
export function put(url: string, options: Options): Response;
/**
 * Sends a `POST` request; see `request`.
 * @param {string} url @param {Options} options
 */
export function post(url: string, options: Options): Response;
/**
 * Sends a request, and returns the response as soon as its head has arrived.
 *
 * `Content-Length` is set. If the body ends early or fails, the server receives an incomplete
 * request.
 *
 * Follows at most 10 redirects of a `GET` or `HEAD` without a body, but none from `https` to
 * `http`. Each one leads to a granted server, or fails. A status such as 404 is not an error: see
 * `Response.checkStatus`.
 * @param {string} method @param {string} url @param {Options} [options]
 */
export function request(method: string, url: string, { headers, body, file, length, sent }?: Options): Response;
/**
 * A response. Iterating it returns the body in chunks. Closing it releases the connection; the end
 * of the body and every error close it.
 */
export class Response {
    /** @param {string} url @param {IncomingResponse} response */
    constructor(url: string, response: IncomingResponse);
    url: string;
    status: number;
    /** @type {[string, string][]} */
    headers: [string, string][];
    /** Ends the response. The rest of the body is not read. */
    close(): void;
    /**
     * Returns the first value of a header, if it is text.
     * @param {string} name
     */
    header(name: string): string | undefined;
    /** The length of the body, if the server states it. */
    get contentLength(): bigint | undefined;
    /**
     * Returns the response if its status is 2xx, and otherwise throws a `Failure`, which quotes the
     * start of the body. Its code is `access-denied` for 401 and 403, `not-found` for 404 and 410,
     * `busy` for 423, 429 and 503, `no-space` for 507, `timeout` for 408 and 504, `already-exists`
     * for 409 and 412, and `failed` for any other.
     */
    checkStatus(): this;
    /**
     * Returns the whole body. Fails with `out-of-memory` if it exceeds `limit` bytes.
     * @param {number} limit
     */
    read(limit: number): Uint8Array<ArrayBuffer>;
    /**
     * Writes the body to a file of a granted directory, which is created or replaced, and returns its
     * length. The host does this, so the size of the body does not matter.
     * @param {string} path @param {Progress} [received]
     */
    save(path: string, received?: Progress): bigint;
    /** @returns {Generator<Uint8Array, void>} */
    [Symbol.iterator](): Generator<Uint8Array, void>;
    #private;
}
export type Descriptor = import("wasi:filesystem/types@0.2.12").Descriptor;
export type DescriptorFlags = import("wasi:filesystem/types@0.2.12").DescriptorFlags;
export type OpenFlags = import("wasi:filesystem/types@0.2.12").OpenFlags;
export type HttpError = import("wasi:http/types@0.2.12").ErrorCode;
export type IncomingBody = import("wasi:http/types@0.2.12").IncomingBody;
export type IncomingResponse = import("wasi:http/types@0.2.12").IncomingResponse;
export type Pollable = import("wasi:io/poll@0.2.12").Pollable;
export type InputStream = import("wasi:io/streams@0.2.12").InputStream;
export type OutputStream = import("wasi:io/streams@0.2.12").OutputStream;
export type ErrorCode = import("./index.js").ErrorCode;
export type Headers = Record<string, string> | Iterable<[string, string]>;
export type Body = string | Uint8Array | Iterable<Uint8Array>;
/**
 * Receives the number of bytes that are done. To end the transfer, it throws a value.
 */
export type Progress = (done: bigint) => void;
/**
 * The headers of a request, and its body: bytes, chunks of bytes with their length, or a file of a
 * granted directory by its path, such as `/target/list.csv`.
 *
 * The size of a file does not matter: the host reads and sends it. The engine keeps a copy of all
 * other bodies in memory until the end of the run.
 */
export type Options = {
    headers?: Headers;
    body?: Body;
    file?: string;
    length?: number | bigint;
    sent?: Progress;
};
