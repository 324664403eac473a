// How outcomes are told: callbacks, promises, responses, models.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { inspect } from 'node:util';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as quatrix from 'quatrix_api';
import { answer, connect, failure, id, metadata, serve } from './servers.mjs';

const refuse = (req, res) => answer(res, 401, { msg: 'no such link', code: 14, details: { a: 1 } }, { 'X-Request-Id': 'abc' });

/** told makes a call and answers how its callback and its promise were told. */
async function told(api, call, ...args) {
  const calls = [];
  const called = new Promise((resolve) => {
    args.push((...outcome) => { calls.push(outcome); resolve(); });
  });
  const [settled] = await Promise.allSettled([api[call](...args)]);
  await called;
  await new Promise((resolve) => { setTimeout(resolve, 20); }); // a second call would come by now
  assert.equal(calls.length, 1);
  return { callback: calls[0], settled };
}

test('a success', async (t) => {
  const { url } = await serve(t, (req, res) => answer(res, 200, { ...metadata, later: 'ignored' }, { 'X-Request-Id': 'abc' }));
  const { callback: [error, data, response], settled } = await told(connect(url), 'resetPasswordMetadataIdGet', id);
  assert.equal(error, null);
  assert.equal(settled.value, data);
  assert.ok(data instanceof quatrix.ResetPasswordMetadataResp);
  assert.deepEqual({ ...data }, metadata);
  assert.equal(JSON.stringify(data), JSON.stringify(metadata));
  const { status, statusCode, ok, type, headers, header, body, text } = response;
  assert.deepEqual([status, statusCode, ok, type], [200, 200, true, 'application/json']);
  assert.equal(headers['x-request-id'], 'abc');
  assert.equal(header, headers);
  assert.equal(response.get('X-Request-ID'), 'abc');
  assert.deepEqual(body, { ...metadata, later: 'ignored' });
  assert.deepEqual(JSON.parse(text), body);
});

test('a refusal', async (t) => {
  const { url } = await serve(t, refuse);
  const { callback: [error, data, response], settled } = await told(connect(url), 'resetPasswordMetadataIdGet', id);
  assert.ok(error instanceof quatrix.ApiError && error instanceof Error);
  assert.equal(settled.reason, error);
  assert.equal(data, null);
  assert.equal(response, error.response);
  assert.deepEqual([error.status, error.code, error.retryAfter], [401, 14, undefined]);
  assert.deepEqual(error.details, { a: 1 });
  assert.deepEqual([response.status, response.ok, response.body.msg, response.body.code], [401, false, 'no such link', 14]);
  assert.equal(error.message, 'resetPasswordMetadataIdGet: no such link (status 401, code 14)');
  assert.doesNotMatch(inspect(error), /x-request-id/, 'it prints short');
});

test('what is not sent is told in the same way, and not at once', async () => {
  let now = true;
  const outcome = await new Promise((resolve) => {
    connect('http://127.0.0.1:1').resetPasswordMetadataIdGet('', (...args) => resolve([now, ...args]));
    now = false;
  });
  assert.equal(outcome[0], false);
  assert.deepEqual([outcome[1].kind, outcome[2], outcome[3]], ['argument', null, null]);
});

test('settings are those at the beginning of the call', async (t) => {
  const { url, asked } = await serve(t, (req, res) => answer(res, 200, metadata));
  const api = connect(url, { key: 'first' });
  const look = api.resetPasswordMetadataIdGet(id);
  api.apiClient.authentications.api_key.apiKey = 'second';
  api.apiClient.basePath = 'http://127.0.0.1:1';
  await look;
  assert.equal(asked[0].headers['x-auth-token'], 'first');
});

test('an Api without a client uses the one instance', async (t) => {
  const { url, asked } = await serve(t, (req, res) => answer(res, 200, metadata));
  const { ApiClient, PasswordResetApi } = quatrix;
  assert.equal(ApiClient.instance.basePath, 'https://api.quatrix.it/api/1.0');
  assert.equal(ApiClient.instance.timeout, 60000);
  assert.equal(ApiClient.instance.authentications['api_key'].apiKeyPrefix, null);
  ApiClient.instance.basePath = url;
  t.after(() => { ApiClient.instance = new ApiClient(); });
  for (const api of [new PasswordResetApi(), new PasswordResetApi(null)]) await api.resetPasswordMetadataIdGet(id);
  assert.equal(asked.length, 2);
});

/** program runs a program in a process of its own, with API and ID set. */
function program(code, basePath) {
  const text = `
    const { ApiClient, PasswordResetApi } = require('quatrix_api');
    ApiClient.instance.basePath = ${JSON.stringify(basePath)};
    const api = new PasswordResetApi();
    const id = ${JSON.stringify(id)};
    ${code}`;
  const cwd = fileURLToPath(new URL('..', import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--eval', text], { cwd, encoding: 'utf8', timeout: 30_000 });
  return { status, stdout, stderr };
}

const refused = 'http://127.0.0.1:1'; // nobody listens on port 1

test('with a callback a failure is no unhandled rejection', () => {
  const { status, stdout, stderr } = program("api.resetPasswordMetadataIdGet(id, (e) => console.log('told', e.kind));", refused);
  assert.deepEqual([status, stdout], [0, 'told network\n'], stderr);
});

test('without a callback a failure that nobody looks at is one', () => {
  const { status, stderr } = program('api.resetPasswordMetadataIdGet(id);', refused);
  assert.notEqual(status, 0);
  assert.match(stderr, /ApiError/);
});

for (const how of ["''", 'id']) {
  test(`what a callback throws is uncaught, and it is called once (${how})`, () => {
    const { status, stdout } = program(`
      process.on('uncaughtException', (e) => console.log('uncaught', e.message));
      process.on('unhandledRejection', (e) => console.log('unhandled', e.message));
      api.resetPasswordMetadataIdGet(${how}, () => { console.log('called'); throw new Error('mine'); });`, refused);
    assert.deepEqual([status, stdout], [0, 'called\nuncaught mine\n']);
  });
}

test('what a callback throws after a success is uncaught, and it is called once', () => {
  const { status, stdout, stderr } = program(`
    const server = require('node:http').createServer((req, res) => {
      res.writeHead(200, { 'Content-Type': 'application/json', Connection: 'close' });
      res.end(JSON.stringify({ id, multiple_accounts: true }));
      server.close();
    }).listen(0, '127.0.0.1', () => {
      ApiClient.instance.basePath = 'http://127.0.0.1:' + server.address().port;
      process.on('uncaughtException', (e) => console.log('uncaught', e.message));
      process.on('unhandledRejection', (e) => console.log('unhandled', e.message));
      api.resetPasswordMetadataIdGet(id, (e, data) => { console.log('called', data.multiple_accounts); throw new Error('mine'); });
    });`, refused);
  assert.deepEqual([status, stdout], [0, 'called true\nuncaught mine\n'], stderr);
});

test('models take what they have from plain objects', () => {
  const samples = {
    ResetPasswordRequestReq: { email: ['a@example.test'] },
    ResetPasswordRequestResp: { email: ['a@example.test'] },
    ResetPasswordMetadataResp: { id, multiple_accounts: false },
    ResetPasswordResetReq: { password: 'p' },
    IdResp: { id },
    JobResp: { job_id: id },
    JobStatusResp: { job_id: id, state: 'queued', total: 3, sent: 0, unknown: 1, failed: 2 },
    ErrorModel: { msg: 'no', code: 14, details: { a: 1 } },
  };
  for (const [name, sample] of Object.entries(samples)) {
    const model = quatrix[name];
    const made = model.constructFromObject({ ...sample, foreign: 1 });
    assert.ok(made instanceof model, name);
    assert.deepEqual(JSON.parse(JSON.stringify(made)), sample);
    const obj = new model();
    assert.equal(JSON.stringify(obj), '{}', 'a new one is empty on the wire');
    assert.equal(model.constructFromObject(sample, obj), obj);
    assert.deepEqual(JSON.parse(JSON.stringify(obj)), sample);
    assert.equal(model.constructFromObject(null), undefined);
  }
  assert.deepEqual({ ...new quatrix.ResetPasswordRequestReq(['a@example.test']) }, samples.ResetPasswordRequestReq);
  assert.deepEqual({ ...new quatrix.ResetPasswordResetReq('p') }, samples.ResetPasswordResetReq);
  assert.equal(new quatrix.ErrorModel('no', 14).code, 14);
});
