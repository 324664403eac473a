// All calls, with and without a key, against the real server.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { setTimeout as pause } from 'node:timers/promises';
import { ErrorModel, IdResp, JobResp, JobStatusResp, ResetPasswordMetadataResp, ResetPasswordRequestResp } from 'quatrix_api';
import { basePath, nextId, openServer, server } from './sparekey.mjs';
import { connect, failure } from './servers.mjs';

const email = ['bob@example.test'];
const password = 'a rather long sentence';

/** resets makes a whole reset. */
async function resets(api, url) {
  const asked = await api.resetPasswordRequestPost({ email });
  assert.ok(asked instanceof ResetPasswordRequestResp);
  assert.deepEqual({ ...asked }, { email });
  const id = await nextId(url, email[0]);
  const metadata = await api.resetPasswordMetadataIdGet(id);
  assert.ok(metadata instanceof ResetPasswordMetadataResp);
  assert.deepEqual({ ...metadata }, { id, multiple_accounts: false });

  const short = await failure(api.resetPasswordResetIdPost(id, { password: 'xyzzy' }));
  assert.deepEqual([short.kind, short.status, short.code, short.details.password[0].code], ['refusal', 400, 10, 'too_short']);
  assert.deepEqual({ ...ErrorModel.constructFromObject(short.response.body) }, short.response.body);

  const done = await api.resetPasswordResetIdPost(id, { password });
  assert.ok(done instanceof IdResp);
  assert.deepEqual({ ...done }, { id });
  const again = await failure(api.resetPasswordResetIdPost(id, { password }));
  assert.deepEqual([again.status, again.code], [401, 81]);
}

test('a client of 2018, with a key', async () => {
  const { url, key } = server();
  await resets(connect(basePath(url), { key }), url);
});

test('a client with a key and a prefix, and a slash at the end of the base path', async () => {
  const { url, key } = server();
  await resets(connect(basePath(url) + '/', { key, prefix: 'Token' }), url);
});

test('a client of 2020, without a key, where none is needed', async () => {
  const { url } = openServer();
  await resets(connect(basePath(url)), url);
});

test('without a key where one is needed, and with a wrong one', async () => {
  const { url } = server();
  for (const key of [null, '', 'sk_wrong', 'wrong/%2F%0A%', 'k'.repeat(4096)]) {
    const error = await failure(connect(basePath(url), { key }).resetPasswordMetadataIdGet('0b0f8a52-8a3c-4c53-9d43-4be2ce4a3a10'));
    assert.deepEqual([error.kind, error.status, error.code], ['refusal', 401, 14]);
  }
});

test('ids that are none are answered like unknown ones', async () => {
  const { url, key } = server();
  const api = connect(basePath(url), { key });
  for (const id of ['a/b', '%', '%2e%2e', 'line\nbreak', '\0', 'ä€😀', '?a=b#c', ' ', 'x'.repeat(256)]) {
    const error = await failure(api.resetPasswordMetadataIdGet(id));
    assert.deepEqual([error.kind, error.status, error.code], ['refusal', 401, 14], JSON.stringify(id));
  }
});

test('an id that a proxy would take for another path is no path of the API', async () => {
  const { url, key } = server();
  for (const id of ['a/../b', '/', 'a/']) {
    const error = await failure(connect(basePath(url), { key }).resetPasswordMetadataIdGet(id));
    assert.deepEqual([error.kind, error.status, error.code], ['refusal', 404, 20], id);
  }
});

test('a bulk job, from the request to its end', async () => {
  const { url, key } = server();
  const api = connect(basePath(url), { key });
  const job = await api.resetPasswordBulkRequestPost({ email: ['eve@example.test', 'nobody@example.test'] });
  assert.ok(job instanceof JobResp);
  const id = await nextId(url, 'eve@example.test');
  assert.equal((await api.resetPasswordMetadataIdGet(id)).id, id);
  let status = await api.jobStatusIdGet(job.job_id);
  const deadline = Date.now() + 20_000;
  while (status.state !== 'done' && Date.now() < deadline) {
    await pause(50);
    status = await api.jobStatusIdGet(job.job_id);
  }
  assert.ok(status instanceof JobStatusResp);
  assert.deepEqual({ ...status }, { job_id: job.job_id, state: 'done', total: 2, sent: 1, unknown: 1, failed: 0 });

  const none = await failure(api.jobStatusIdGet('0b0f8a52-8a3c-4c53-9d43-4be2ce4a3a10'));
  assert.deepEqual([none.status, none.code], [404, 20]);
});

test('a key in defaultHeaders makes a request a bulk job', async () => {
  const { url, key } = server();
  const job = await connect(basePath(url), { defaultHeaders: { 'x-auth-token': key } }).resetPasswordRequestPost({ email: ['nobody@example.test'] });
  assert.ok(job instanceof JobResp);
});

test('the driver makes calls for others', async (t) => {
  const { url, key } = server();
  const driver = spawn(process.execPath, [fileURLToPath(new URL('driver.mjs', import.meta.url))], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => driver.kill());
  const lines = createInterface({ input: driver.stdout })[Symbol.asyncIterator]();
  const ask = async (command) => {
    driver.stdin.write((typeof command === 'string' ? command : JSON.stringify(command)) + '\n');
    return JSON.parse((await lines.next()).value);
  };
  assert.deepEqual(await ask({ op: 'request', base: url, email: ['nobody@example.test'] }), { ok: true, data: { email: ['nobody@example.test'] } });
  const bulk = await ask({ op: 'bulk', base: basePath(url), key, prefix: 'Token', email: ['nobody@example.test'] });
  assert.equal((await ask({ op: 'job', base: url, key, id: bulk.data.job_id })).data.total, 1);
  const { ok, status, code, msg, message } = await ask({ op: 'reset', base: url, key, id: 'none', password });
  assert.deepEqual([ok, status, code], [false, 401, 14]);
  assert.ok(message.includes(msg));
  assert.equal((await ask({ op: 'metadata', base: url, key, id: '' })).ok, false);
  assert.equal((await ask({ op: 'constructor', base: url })).ok, false);
  assert.equal((await ask('rubbish')).ok, false);
  driver.stdin.end();
  assert.deepEqual(await once(driver, 'exit'), [0, null]);
});
