/** @typedef {import('syncmgr:plugin/types@0.1.0').ErrorCode} ErrorCode */
/** An error of the contract. The imported functions throw theirs with a `payload`, too. */
export class Failure extends Error {
    /** @param {ErrorCode} code @param {string} message */
    constructor(code: ErrorCode, message: string);
    payload: {
        code: import("syncmgr:plugin/types@0.1.0").ErrorCode;
        message: string;
    };
}
export type ErrorCode = import("syncmgr:plugin/types@0.1.0").ErrorCode;
