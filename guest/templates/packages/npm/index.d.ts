/** Throws `Cancelled` if the user cancelled the run or the item in progress. */
export function checkCancelled(): void;
/**
 * Returns a pollable that becomes ready when the user cancels. Poll it together with everything
 * else that the plugin waits for.
 */
export function cancelled(): import("wasi:io/poll@0.2.12").Pollable;
/**
 * Creates an item that takes part by default and has no flags.
 * @param {Guid} id @param {string} name @returns {Item}
 */
export function item(id: Guid, name: string): Item;
/**
 * Returns the export `synchronize` of a component.
 * @param {Plugin} plugin @returns {Synchronize}
 */
export function plugin({ name, items, synchronizeItem, ...others }: Plugin): Synchronize;
export { Failure };
/** @typedef {import('syncmgr:plugin/types@0.1.0').Guid} Guid */
/** @typedef {import('syncmgr:plugin/types@0.1.0').Item} Item */
/** @typedef {import('syncmgr:plugin/types@0.1.0').ErrorCode} ErrorCode */
/** @typedef {import('syncmgr:plugin/types@0.1.0').LogLevel} LogLevel */
/** @typedef {import('syncmgr:plugin/types@0.1.0').ProgressItem} ProgressItem */
/** @typedef {import('syncmgr:plugin/types@0.1.0').Status} Status */
/** @typedef {typeof import('syncmgr:plugin/synchronize@0.1.0')} Synchronize */
/**
 * A sync handler. Three members are required; the others override the functions of the contract.
 * @typedef {{
 *   name: string,
 *   items(): Item[],
 *   synchronizeItem(run: SyncContext): string,
 * } & Partial<Synchronize>} Plugin
 */
/** The user cancelled the item or the run. */
export class Cancelled {
    /** @param {Status} statusType */
    constructor(statusType: Status);
    statusType: import("syncmgr:plugin/types@0.1.0").Status;
}
/** The work on one item. */
export class SyncContext {
    /** @param {Guid} item */
    constructor(item: Guid);
    failures: number;
    item: import("syncmgr:plugin/types@0.1.0").Guid;
    /**
     * Reports the bytes done, the total (0 is unknown) and the status text. Throws `Cancelled` once
     * the user cancelled.
     * @param {bigint} done @param {bigint} total @param {string} statusText
     */
    report(done: bigint, total: bigint, statusText: string): void;
    /**
     * Logs a message that the user sees in the results.
     * @param {LogLevel} level @param {string} text
     */
    log(level: LogLevel, text: string): void;
    /**
     * Logs an error. The work continues, and the item ends as failed.
     * @param {ErrorCode} code @param {string} text
     */
    fail(code: ErrorCode, text: string): void;
    /**
     * Sets a named counter in the report. The name has 1 to 64 of `a-z`, `0-9` and `-`.
     * @param {string} name @param {bigint} value
     */
    count(name: string, value: bigint): void;
    /**
     * Asks the user a question and returns the index of the answer.
     * @param {string} text @param {string[]} choices @param {number} defaultChoice
     */
    question(text: string, choices: string[], defaultChoice: number): number;
}
export type Guid = import("syncmgr:plugin/types@0.1.0").Guid;
export type Item = import("syncmgr:plugin/types@0.1.0").Item;
export type ErrorCode = import("syncmgr:plugin/types@0.1.0").ErrorCode;
export type LogLevel = import("syncmgr:plugin/types@0.1.0").LogLevel;
export type ProgressItem = import("syncmgr:plugin/types@0.1.0").ProgressItem;
export type Status = import("syncmgr:plugin/types@0.1.0").Status;
export type Synchronize = typeof import("syncmgr:plugin/synchronize@0.1.0");
/**
 * A sync handler. Three members are required; the others override the functions of the contract.
 */
export type Plugin = {
    name: string;
    items(): Item[];
    synchronizeItem(run: SyncContext): string;
} & Partial<Synchronize>;
import { Failure } from './failure.js';
