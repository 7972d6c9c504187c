// ENTRY WIT WORLD OUTPUT, in the project's folder
import childProcess from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { dirname, join, posix, resolve } from 'node:path';
import process from 'node:process';
import { WASI } from 'node:wasi';

// Where the engine finds the bindings that componentize-js generates.
const GENERATED = '/componentize-js';
// The SDK, if npm installed it.
const SDK = 'node_modules/syncmgr-plugin';
const PAGE = 65536;
// Data segments consist of whole blocks: engines limit the number of segments.
const BLOCK = 1024;
const SECTION = { memory: 5, global: 6, export: 7, data: 11, dataCount: 12 };

/** An unsigned number in LEB128. */
function unsigned(value) {
  return value < 128 ? [value] : [(value % 128) | 128, ...unsigned(Math.floor(value / 128))];
}

/** An address in LEB128: a signed number of 32 bits. */
function address(value) {
  const rest = value >> 7;
  const isLast = (rest === 0 && !(value & 64)) || (rest === -1 && value & 64);
  return isLast ? [value & 127] : [(value & 127) | 128, ...address(rest)];
}

/** Reads an unsigned number in LEB128. */
function read(from) {
  const byte = from.bytes[from.at++];
  return byte < 128 ? byte : byte - 128 + 128 * read(from);
}

/** The exports without those that initialize the module. */
function withoutInitialization(from) {
  const kept = [];
  for (let left = read(from); left > 0; left -= 1) {
    const start = from.at;
    const length = read(from);
    const name = from.bytes.toString('utf8', from.at, from.at + length);
    from.at += length + 1;
    read(from);
    if (!['_initialize', 'componentize.wizer'].includes(name)) {
      kept.push(from.bytes.subarray(start, from.at));
    }
  }
  return [unsigned(kept.length), ...kept];
}

/** The module as it is with this memory, after its initialization. */
function snapshot(bytes, memory) {
  const data = [];
  let count = 0;
  let start = 0;
  for (let at = 0; at <= memory.length; at += BLOCK) {
    if (memory.subarray(at, at + BLOCK).some((byte) => byte !== 0)) {
      continue;
    }
    if (at > start) {
      // `(i32.const START)` in the first memory.
      data.push([0, 0x41, ...address(start), 0x0b, ...unsigned(at - start)]);
      data.push(memory.subarray(start, at));
      count += 1;
    }
    start = at + BLOCK;
  }
  const made = [bytes.subarray(0, 8)];
  const from = { bytes, at: 8 };
  while (from.at < bytes.length) {
    const id = bytes[from.at++];
    const length = read(from);
    const end = from.at + length;
    let content = [bytes.subarray(from.at, end)];
    if (id === SECTION.memory) {
      const [memories, flags] = [read(from), read(from)];
      read(from);
      const size = unsigned(memory.length / PAGE);
      content = [[memories, flags, ...size], bytes.subarray(from.at, end)];
    } else if (id === SECTION.global && read(from) !== 1) {
      throw new Error('the engine has other globals than its stack pointer');
    } else if (id === SECTION.export) {
      content = withoutInitialization(from);
    } else if (id === SECTION.data) {
      content = [unsigned(count), ...data];
    } else if (id === SECTION.dataCount) {
      content = [unsigned(count)];
    }
    content = Buffer.concat(content.map((part) => Buffer.from(part)));
    made.push(Buffer.from([id, ...unsigned(content.length)]), content);
    from.at = end;
  }
  return Buffer.concat(made);
}

/** Runs a module's initialization, and returns the module as it is then. */
function initialized(bytes, wasi) {
  const module = new WebAssembly.Module(bytes);
  const imports = { wasi_snapshot_preview1: wasi.wasiImport };
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    imports[from] ??= {};
    imports[from][name] ??= () => {
      throw new Error(`\`${name}\` of ${from} cannot be called while the plugin is built`);
    };
  }
  let memory;
  let time = 0n;
  let random = 0;
  // Of a file's status, only its type and its size are in the sources.
  const { fd_filestat_get: ofFile, path_filestat_get: ofPath } = wasi.wasiImport;
  const status = (get) => (...args) => {
    const error = get(...args);
    const result = new DataView(memory.buffer, args.at(-1), 64);
    for (const field of [0, 8, 24, 40, 48, 56]) {
      result.setBigUint64(field, 0n);
    }
    return error;
  };
  Object.assign(imports.wasi_snapshot_preview1, {
    fd_filestat_get: status(ofFile),
    path_filestat_get: status(ofPath),
    clock_time_get(_clock, _precision, to) {
      time += 1000n;
      new DataView(memory.buffer).setBigUint64(to, time, true);
      return 0;
    },
    random_get(to, length) {
      for (const at of new Uint8Array(memory.buffer, to, length).keys()) {
        random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
        new DataView(memory.buffer).setUint8(to + at, random >>> 24);
      }
      return 0;
    },
  });
  const { exports } = new WebAssembly.Instance(module, imports);
  memory = exports.memory;
  wasi.initialize({ exports });
  exports['componentize.wizer']();
  return snapshot(bytes, new Uint8Array(memory.buffer));
}

/**
 * Replaces Wizer, which componentize-js starts to initialize the engine: with Wizer, the snapshot
 * depends on the machine's clock, random numbers and paths.
 */
function initialize(_, args, { env, input }) {
  const option = (name) => args.find((arg) => arg.startsWith(name)).slice(name.length);
  const module = args.at(-1);
  const [generated, project] = [option('--dir='), option('--mapdir=/::')];
  const path = (name) => join(dirname(module), name);
  writeFileSync(path('stdin'), input.replace(generated, GENERATED).replace(project, ''));
  const [stdin, stderr] = [openSync(path('stdin')), openSync(path('stderr'), 'w')];
  let message;
  try {
    const preopens = { [GENERATED]: generated, '/': project };
    // The engine looks for packages next to the module that imports them.
    const folder = dirname(entry).replaceAll('\\', '/');
    if (existsSync(SDK)) preopens[posix.join('/', folder, posix.basename(SDK))] = SDK;
    const wasi = new WASI({ version: 'preview1', env, preopens, stdin, stderr });
    writeFileSync(option('-o='), initialized(readFileSync(module), wasi));
  } catch (error) {
    // An exit of the engine, which has printed the reason, is no error.
    message = error.message ?? '';
  }
  closeSync(stdin);
  closeSync(stderr);
  const printed = readFileSync(path('stderr'), 'utf8');
  return { status: message === undefined ? 0 : 1, stderr: `${printed}${message}` };
}

const [entry, wit, world, output] = process.argv.slice(-4);
const { spawnSync } = childProcess;
// componentize-js says only that there is a mistake; this says where.
if (spawnSync(process.execPath, ['--check', entry], { stdio: 'inherit' }).status !== 0) {
  process.exit(1);
}
childProcess.spawnSync = initialize;
syncBuiltinESMExports();
try {
  const { componentize } = await import('@bytecodealliance/componentize-js');
  const { component } = await componentize({
    sourcePath: entry,
    witPath: resolve(wit),
    worldName: world,
    // They would import what the world does not have.
    disableFeatures: world === 'plugin-http' ? ['fetch-event'] : ['http', 'fetch-event'],
  });
  await writeFile(output, component);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}
