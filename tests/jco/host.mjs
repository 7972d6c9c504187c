// A second host for plugins, in 30 lines of code. README.md explains its purpose and its usage:
//
//   node host.mjs DIR [--cancel-item N | --cancel-all N]
//
// The Nth report is answered with `cancel-item` or `cancel-all`, and so is every later report to
// which the cancellation applies. An error that a plugin returns is thrown, and ends the process.
import { WASIShim } from '@bytecodealliance/preview2-shim/instantiation';

// `cancelled` contains the answers: for an item by its id, for everything under `true`.
const [folder, option, nth] = process.argv.slice(2), items = [], cancelled = new Map(), reports = [];
const find = (id) => items.find((item) => item.id.high === id?.high && item.id.low === id?.low);
const answer = (id) => cancelled.get(true) ?? cancelled.get(find(id)) ?? 'continue';
const ends = { 'cancel-all': 'stopped', 'cancel-item': 'skipped', continue: 'failed' };
function refuse() { throw { code: 'not-implemented', message: 'this host has none' }; }

function progress(id, { statusType: status = '-', progValue = '-', maxValue = '-', statusText = '-' }) {
  const item = find(id);
  if (!item || (item.end && status !== 'failed')) return 'cancel-item'; // Not recorded.
  if (reports.push(id) === Number(nth)) cancelled.set(option === '--cancel-all' || item, option.slice(2));
  if (['stopped', 'skipped', 'succeeded', 'failed', 'deleted'].includes(status)) item.end = status;
  console.log(`${item.name}: ${status} ${progValue}/${maxValue} ${statusText} > ${answer(id)}`);
  return answer(id);
}

// The settings are environment variables. There are no arguments, no files and no network.
const imports = new WASIShim({ sandbox: { args: [], preopens: {}, enableNetwork: false } }).getImportObject();
const { subscribeDuration } = imports['wasi:clocks/monotonic-clock'];
imports['syncmgr:plugin/statistics'] = { setBytesPerStep() {}, setCount() {} };
// No directory is granted, and everything else in the interface is `refuse`.
imports['syncmgr:plugin/directories'] = new Proxy({ getGrants: () => [] }, { get: (own, name) => own[name] ?? refuse });
imports['syncmgr:plugin/synchronize-callback'] = {
  progress, isCancelled: (id) => answer(id) !== 'continue', question: (asked) => asked.defaultChoice,
  logError: (level, text) => console.log(`${level}: ${text}`), deleteLogError() {}, establishConnection: refuse,
  // Only answers cancel, and there is none while the plugin waits: ready at once, or in 13 days.
  subscribeCancelled: (id) => subscribeDuration(answer(id) === 'continue' ? 2n ** 50n : 0n),
};

const { instantiate } = await import(new URL(`${folder}/plugin.js`, import.meta.url));
const { synchronize: plugin } = await instantiate(undefined, imports);
if (plugin.initialize({ event: 'manual', modifiers: {} }) === 'declines') process.exit();
console.log(`${plugin.getHandlerInfo().name}: ${items.push(...plugin.enumItems().items)} items`);
if (!items.length || plugin.prepareForSync(items.map((item) => item.id)) === 'needs-user') process.exit();
process.on('exit', () => items.forEach(({ id, name, end }) => console.log(`${name}: ${end ?? ends[answer(id)]}`)));
plugin.synchronize();
