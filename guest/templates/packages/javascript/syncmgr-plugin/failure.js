// The error that the functions of the contract throw. It does not import the contract, so that
// native tests can use it.

/** @typedef {import('syncmgr:plugin/types@0.1.0').ErrorCode} ErrorCode */

/** An error of the contract. The imported functions throw theirs with a `payload`, too. */
export class Failure extends Error {
  /** @param {ErrorCode} code @param {string} message */
  constructor(code, message) {
    super(message);
    this.payload = { code, message };
  }
}
