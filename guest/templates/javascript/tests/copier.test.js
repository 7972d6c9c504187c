// Tests the copying on real folders: `node --test`.

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { CHUNK, synchronize, TEMPORARY } from '../copier.js';
import * as native from './native.js';

const LARGE = 2 * Number(CHUNK) + 1;
const TOTAL = BigInt(LARGE + 1);

let root;

beforeEach(() => {
  root = fs.mkdtempSync(join(tmpdir(), 'copier-'));
  fs.mkdirSync(join(root, 'target'));
  write('source/a.txt', 'a');
  write('source/empty', '');
  write('source/sub/large', Buffer.alloc(LARGE));
});

afterEach(() => fs.rmSync(root, { recursive: true }));

function write(path, content) {
  fs.mkdirSync(dirname(join(root, path)), { recursive: true });
  fs.writeFileSync(join(root, path), content);
}

function setModified(path, seconds) {
  fs.utimesSync(join(root, path), seconds, seconds);
}

/** The files below a folder, with their content. */
function content(folder) {
  const files = {};
  for (const path of fs.readdirSync(join(root, folder), { recursive: true })) {
    const full = join(root, folder, path);
    if (fs.lstatSync(full).isFile()) files[path] = fs.readFileSync(full, 'latin1');
  }
  return files;
}

class Stop extends Error {}

/** Returns the number of copied files, the reports, and the codes of the failures. */
function run({ stopAt = Infinity, atReport = (...news) => {} } = {}) {
  const reports = [];
  const failed = {};
  const report = (...news) => {
    reports.push(news);
    atReport(...news);
    if (reports.length === stopAt) throw new Stop();
  };
  const fail = (path, { code }) => (failed[path] = code);
  const folders = ['source', 'target'].map((name) => new native.Directory(join(root, name)));
  let copied;
  try {
    copied = synchronize(...folders, report, fail);
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
  }
  folders.forEach((folder) => folder[Symbol.dispose]());
  assert.equal(native.open, 0, 'everything is closed');
  return { copied, reports, failed };
}

test('everything is copied, and then nothing', () => {
  assert.equal(run().copied, 3);
  assert.deepEqual(content('target'), content('source'));
  assert.equal(run().copied, 0);
});

test('what changed is copied', () => {
  run();
  write('source/a.txt', 'longer');
  setModified('source/empty', 1_000_000_000.123);
  assert.equal(run().copied, 2);
  assert.deepEqual(content('target'), content('source'));
  assert.equal(run().copied, 0);
});

test('times are compared as exactly as the target keeps them', () => {
  setModified('source/a.txt', 1_000_000_000.987);
  run();
  for (const [kept, copied] of [
    [1_000_000_000, 0], // steps of 2 seconds
    [1_000_000_002, 0],
    [1_000_000_000.986, 1],
    [1_000_000_004, 1],
  ]) {
    setModified('target/a.txt', kept);
    assert.equal(run().copied, copied, `${kept}`);
  }
});

test('nothing is deleted', () => {
  write('target/theirs', 'theirs');
  run();
  fs.unlinkSync(join(root, 'source/a.txt'));
  run();
  assert.equal(content('target')['theirs'], 'theirs');
  assert.equal(content('target')['a.txt'], 'a');
});

test('progress covers every file and chunk', () => {
  const reports = run().reports.filter(([, total]) => total === TOTAL);
  const chunks = [1n, 1n + CHUNK, 1n + 2n * CHUNK, TOTAL];
  assert.deepEqual(
    reports.map(([done, , text]) => [text, done]),
    [
      ['a.txt', 0n],
      ['a.txt', 1n],
      ['empty', 1n],
      ...chunks.map((done) => ['sub/large', done]),
    ],
  );
});

test('a run can be cancelled at every report', () => {
  const whole = content('source');
  const { length } = run().reports;
  for (let stopAt = 1; stopAt <= length; stopAt += 1) {
    fs.rmSync(join(root, 'target'), { recursive: true });
    fs.mkdirSync(join(root, 'target'));
    const { copied, reports } = run({ stopAt });
    assert.equal(copied, undefined);
    assert.equal(reports.length, stopAt);
    for (const [path, text] of Object.entries(content('target'))) {
      assert.ok(whole[path] === text, `${path} is there before it is complete`);
    }
    run();
    assert.deepEqual(content('target'), whole);
  }
});

test('what a killed run left is cleared away', () => {
  write(`target/sub/${TEMPORARY}`, 'half');
  run();
  assert.deepEqual(content('target'), content('source'));
});

test('a file that fails does not keep others from being copied', () => {
  fs.mkdirSync(join(root, 'target/a.txt'));
  write('target/sub', 'a file');
  const { copied, failed } = run();
  assert.equal(copied, 1);
  assert.deepEqual(failed, { 'a.txt': 'already-exists', 'sub/large': 'changed' });
});

test('a file that changes during its copy is left for the next run', () => {
  const atReport = (done, total, path) => {
    if (path === 'a.txt' && done > 0n) write('source/a.txt', 'longer');
  };
  const { copied, failed } = run({ atReport });
  assert.equal(copied, 2);
  assert.deepEqual(failed, { 'a.txt': 'changed' });
  assert.ok(!(TEMPORARY in content('target')));
  assert.equal(run().copied, 1);
  assert.deepEqual(content('target'), content('source'));
});

test('links are not followed', { skip: process.platform === 'win32' }, () => {
  write('elsewhere/secret', 'secret');
  const link = (path) => fs.symlinkSync(join(root, 'elsewhere'), join(root, path));
  link('source/link');
  link('target/sub');
  link('target/a.txt');
  const { copied, failed } = run();
  assert.equal(copied, 1);
  assert.deepEqual(failed, { 'a.txt': 'already-exists', 'sub/large': 'changed' });
  assert.deepEqual(content('elsewhere'), { secret: 'secret' });
});
