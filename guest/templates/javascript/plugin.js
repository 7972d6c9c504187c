// {{name}}: copies new and changed files from one folder to another.
//
// This module is what the sync manager calls; `copier.js` does the work. `wit/reference.md`
// explains every call.

import { openGrant } from 'syncmgr:plugin/directories@0.1.0';
import { setBytesPerStep, setCount } from 'syncmgr:plugin/statistics@0.1.0';
import { logError, progress } from 'syncmgr:plugin/synchronize-callback@0.1.0';
import * as copier from './copier.js';

// Never change the id of an item: the user's choices are filed under it.
const COPY = { high: 0x3f0c5c1e6b7a4d52n, low: 0x9e41d7a8c2b60f13n };

let prepared = [];

/** @type {typeof import('syncmgr:plugin/synchronize@0.1.0')} */
export const synchronize = {
  initialize(trigger, cookie) {
    return 'participates';
  },

  getHandlerInfo() {
    return { name: '{{name}}', flags: {} };
  },

  enumItems() {
    return {
      items: [{ id: COPY, name: 'Copy', flags: {}, state: 'checked' }],
      missingItems: false,
    };
  },

  prepareForSync(itemIds) {
    prepared = itemIds;
    return 'prepared';
  },

  synchronize() {
    for (const item of prepared) {
      let last;
      try {
        last = synchronizeItem(item);
      } catch (error) {
        last = lastReport(item, error);
      }
      progress(item, last);
    }
  },

  setItemStatus(itemId, status) {
    // What was cancelled, the answer to the next report says, too.
  },

  showError(errorId) {
    throw new copier.Failure('not-implemented', 'there is nothing more to tell');
  },

  getProperties(itemId) {
    throw new copier.Failure('not-implemented', 'there are no properties');
  },

  setProperties(itemId, changes) {
    throw new copier.Failure('not-implemented', 'there are no properties');
  },
};

class Cancelled {
  constructor(statusType) {
    this.statusType = statusType;
  }
}

/** Does the work of an item, and returns the last report about it. */
function synchronizeItem(item) {
  report(item, 0n, 0n, '');
  if (item.high !== COPY.high || item.low !== COPY.low) {
    throw new copier.Failure('not-found', 'there is no such item any more');
  }
  const source = openGrant('source');
  const target = openGrant('target');
  target.lock(); // so that no other run works on it
  let failed = 0;
  const fail = (path, { code, message }) => {
    failed += 1;
    logError('error', `${path}: ${message}`, { itemId: item, code });
  };
  const copied = copier.synchronize(source, target, report.bind(null, item), fail);
  setCount(item, 'files-copied', BigInt(copied));
  const statusText = `${copied} copied, ${failed} failed`;
  return { statusText, statusType: failed ? 'failed' : 'succeeded' };
}

/** Returns the last report about an item whose work ended with an exception. */
function lastReport(item, error) {
  if (error instanceof Cancelled) {
    return { statusText: 'cancelled', statusType: error.statusType };
  }
  const mistake = { code: 'failed', message: `${error}\n${error.stack}` }; // in this program
  const { code, message } = error.payload ?? mistake;
  logError('error', message, { itemId: item, code });
  return { statusText: 'failed', statusType: 'failed' };
}

/** Tells where an item stands. Throws `Cancelled` if the user wants it to stop. */
function report(item, done, total, statusText) {
  const step = (total >> 31n) + 1n; // so that any number of bytes fits into 31 bits
  setBytesPerStep(item, step);
  const answer = progress(item, {
    statusText,
    statusType: total ? 'updating' : 'updating-indeterminate',
    progValue: Number(done / step),
    maxValue: Number(total / step),
  });
  if (answer === 'cancel-item') throw new Cancelled('skipped');
  if (answer === 'cancel-all') throw new Cancelled('stopped');
}
