// The package as others get it: its forms, its types, its size.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { access, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import * as source from '../src/index.js';
import * as imported from 'quatrix_api';
import { generate } from '../script/commonjs.mjs';

const run = promisify(execFile);
const root = new URL('../', import.meta.url);
const cwd = fileURLToPath(root);
const read = (name) => readFile(new URL(name, root), 'utf8');
const required = createRequire(import.meta.url)('quatrix_api');

test('index.js is what src makes', async () => {
  assert.ok((await read('index.js')) === (await generate()), 'index.js is stale; run: npm run build');
});

test('each form exports the same', () => {
  const names = Object.keys(required).sort();
  assert.ok(names.includes('PasswordResetApi'));
  assert.deepEqual(Object.keys(source).sort(), names);
  assert.deepEqual(Object.keys(imported).filter((name) => name !== 'default' && name !== 'module.exports').sort(), names);
  for (const name of names) assert.equal(source[name].toString(), required[name].toString(), name);
});

test('in Node, import and require share the one instance', () => {
  assert.equal(imported.ApiClient.instance, required.ApiClient.instance);
});

test('the types name what there is', async () => {
  const types = await read('index.d.ts');
  const classes = [...types.matchAll(/^export class (\w+)[^{]*\{(.*?)^\}/gms)];
  assert.deepEqual(classes.map(([, name]) => name).sort(), Object.keys(required).sort());
  for (const [, name, body] of classes) {
    const made = name === 'ApiError' ? required.ApiError.prototype : new required[name]();
    for (const [, member] of body.matchAll(/^ {2}(\w+)\(.*\): Promise/gm)) assert.equal(typeof made[member], 'function', `${name}.${member}`);
    const fields = Object.keys(required[name].fields ?? {}).sort();
    if (fields.length > 0) {
      assert.deepEqual([...body.matchAll(/^ {2}(\w+)\??: /gm)].map(([, field]) => field).sort(), fields, name);
    }
  }
});

for (const how of [['nodenext', 'nodenext'], ['es2022', 'bundler']]) {
  test(`types.ts compiles with modules of ${how[0]} found as by ${how[1]}`, async () => {
    const tsc = new URL('node_modules/typescript/bin/tsc', root);
    await access(tsc).catch(() => assert.fail('TypeScript is not installed; run script/setup'));
    const flags = ['--noEmit', '--strict', '--target', 'es2022', '--lib', 'es2022', '--module', how[0], '--moduleResolution', how[1]];
    const { stdout } = await run(process.execPath, [fileURLToPath(tsc), ...flags, 'test/types.ts'], { cwd }).catch((error) => error);
    assert.equal(stdout, '');
  });
}

test('the package is small, and has nothing but what is used', async () => {
  const npm = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd, env: { ...process.env, npm_config_update_notifier: 'false' } });
  const [{ size, files }] = JSON.parse(npm.stdout);
  assert.deepEqual(files.map(({ path }) => path).sort(), [
    'README.md', 'docs/PasswordResetApi.md', 'index.d.ts', 'index.js', 'package.json', 'src/ApiClient.js', 'src/PasswordResetApi.js',
    'src/errors.js', 'src/index.js', 'src/models.js', 'src/package.json', 'src/request.js',
  ]);
  assert.ok(size < 20 * 1024, `it has ${size} bytes`);
});

test('the package depends on nothing, and its lock names no host', async () => {
  const manifest = JSON.parse(await read('package.json'));
  assert.deepEqual([manifest.dependencies, Object.keys(manifest.devDependencies)], [undefined, ['typescript']]);
  assert.equal(manifest.private, true);
  const lock = await read('package-lock.json');
  assert.doesNotMatch(lock, /resolved|:\/\//);
});
