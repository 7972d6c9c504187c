// Write sync plugins in JavaScript and TypeScript: the layer between a plugin and the contract in
// `wit/`.

import { setBytesPerStep, setCount } from 'syncmgr:plugin/statistics@0.1.0';
import {
  isCancelled,
  logError,
  progress,
  question,
  subscribeCancelled,
} from 'syncmgr:plugin/synchronize-callback@0.1.0';
import { Failure } from './failure.js';

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
  constructor(statusType) {
    this.statusType = statusType;
  }
}

/**
 * The item in progress, whose cancellation ends waiting.
 * @type {Guid | undefined}
 */
let inProgress;

/** Throws `Cancelled` if the user cancelled the run or the item in progress. */
export function checkCancelled() {
  if (isCancelled(inProgress)) {
    throw new Cancelled(isCancelled(undefined) ? 'stopped' : 'skipped');
  }
}

/**
 * Returns a pollable that becomes ready when the user cancels. Poll it together with everything
 * else that the plugin waits for.
 */
export function cancelled() {
  return subscribeCancelled(inProgress);
}

/** The work on one item. */
export class SyncContext {
  failures = 0;

  /** @param {Guid} item */
  constructor(item) {
    this.item = item;
  }

  /**
   * Reports the bytes done, the total (0 is unknown) and the status text. Throws `Cancelled` once
   * the user cancelled.
   * @param {bigint} done @param {bigint} total @param {string} statusText
   */
  report(done, total, statusText) {
    const step = (total >> 31n) + 1n; // so that any number of bytes fits into 31 bits
    setBytesPerStep(this.item, step);
    const answer = progress(this.item, {
      statusText,
      statusType: total ? 'updating' : 'updating-indeterminate',
      progValue: Number(done / step),
      maxValue: Number(total / step),
    });
    if (answer === 'cancel-item') throw new Cancelled('skipped');
    if (answer === 'cancel-all') throw new Cancelled('stopped');
  }

  /**
   * Logs a message that the user sees in the results.
   * @param {LogLevel} level @param {string} text
   */
  log(level, text) {
    logError(level, text, { itemId: this.item });
  }

  /**
   * Logs an error. The work continues, and the item ends as failed.
   * @param {ErrorCode} code @param {string} text
   */
  fail(code, text) {
    this.failures += 1;
    logError('error', text, { itemId: this.item, code });
  }

  /**
   * Sets a named counter in the report. The name has 1 to 64 of `a-z`, `0-9` and `-`.
   * @param {string} name @param {bigint} value
   */
  count(name, value) {
    setCount(this.item, name, value);
  }

  /**
   * Asks the user a question and returns the index of the answer.
   * @param {string} text @param {string[]} choices @param {number} defaultChoice
   */
  question(text, choices, defaultChoice) {
    return question({ itemId: this.item, text, choices, defaultChoice });
  }
}

/**
 * Creates an item that takes part by default and has no flags.
 * @param {Guid} id @param {string} name @returns {Item}
 */
export function item(id, name) {
  return { id, name, flags: {}, state: 'checked' };
}

/**
 * Returns the export `synchronize` of a component.
 * @param {Plugin} plugin @returns {Synchronize}
 */
export function plugin({ name, items, synchronizeItem, ...others }) {
  /** @type {Guid[]} */
  let prepared = [];
  const isIn = (/** @type {Guid} */ id) => (/** @type {Item} */ known) =>
    known.id.high === id.high && known.id.low === id.low;

  /** @param {Guid} id @returns {ProgressItem} */
  function end(id) {
    const run = new SyncContext(id);
    inProgress = id;
    try {
      run.report(0n, 0n, '');
      if (!items().some(isIn(id))) {
        throw new Failure('not-found', 'the item does not exist');
      }
      const statusText = synchronizeItem(run);
      return { statusText, statusType: run.failures ? 'failed' : 'succeeded' };
    } catch (error) {
      if (error instanceof Cancelled) {
        return { statusText: 'cancelled', statusType: error.statusType };
      }
      const mistake = { code: 'failed', message: `${error}\n${error.stack}` }; // in the plugin
      const { code, message } = error.payload ?? mistake;
      run.fail(code, message);
      return { statusText: 'failed', statusType: 'failed' };
    } finally {
      inProgress = undefined;
    }
  }

  return {
    initialize: () => 'participates',
    getHandlerInfo: () => ({ name, flags: {} }),
    enumItems: () => ({ items: items(), missingItems: false }),
    prepareForSync(itemIds) {
      prepared = itemIds;
      return 'prepared';
    },
    synchronize() {
      for (const id of prepared) progress(id, end(id));
    },
    setItemStatus() {
      // The answers to reports carry the same information.
    },
    showError() {
      throw new Failure('not-implemented', 'the plugin has no details about errors');
    },
    getProperties() {
      throw new Failure('not-implemented', 'the plugin has no properties');
    },
    setProperties() {
      throw new Failure('not-implemented', 'the plugin has no properties');
    },
    ...others,
  };
}
