// What callers may hand over: ids, keys, bodies, base paths, settings.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answer, connect, failure, id, metadata, serve } from './servers.mjs';

/** echo answers each look with the id that was asked for. */
const echo = (req, res) => answer(res, 200, { ...metadata, id: decodeURIComponent(new URL(req.url, 'http://x').pathname.split('/').pop()) });

test('ids arrive as they are, each as one segment of the path', async (t) => {
  const { url, asked } = await serve(t, echo);
  for (const odd of [id, 'a/b', '/', '../../request', '%', '%2e%2e', '%2F', 'a\nb\r\n', '?x=1', '#x', '\0', ' ', 'ä€😀', '...', 'x'.repeat(256)]) {
    assert.equal((await connect(url).resetPasswordMetadataIdGet(odd)).id, odd);
    assert.equal(asked.pop().url, '/reset-password/metadata/' + encodeURIComponent(odd));
  }
});

test('ids that are none are not sent', async (t) => {
  const { url, asked } = await serve(t, echo);
  const api = connect(url, { key: 'sk_key' });
  for (const wrong of [undefined, null, '', '.', '..', 7, {}, ['a'], new String(id), () => {}, 'x'.repeat(257), 'x'.repeat(10_240), 'half \ud83d']) {
    for (const error of [
      await failure(api.resetPasswordMetadataIdGet(wrong)),
      await failure(api.resetPasswordResetIdPost(wrong, { password: 'long enough to be one' })),
      await failure(api.jobStatusIdGet(wrong)),
    ]) {
      assert.deepEqual([error.name, error.kind, error.status], ['ApiError', 'argument', undefined]);
      assert.match(error.message, /\bid\b/);
      assert.ok(error.message.length < 200);
    }
  }
  assert.deepEqual(asked, []);
});

test('keys arrive as they are', async (t) => {
  const { url, asked } = await serve(t, echo);
  for (const [key, prefix, want] of [
    ['sk_key', null, 'sk_key'], ['sk_key', 'Token', 'Token sk_key'], ['Token sk_key', undefined, 'Token sk_key'],
    ['a/b%0A%2F"\\', '', 'a/b%0A%2F"\\'], ['k'.repeat(4096), null, 'k'.repeat(4096)],
    [null, 'Token', undefined], [undefined, null, undefined], ['', 'Token', undefined],
  ]) {
    await connect(url, { key, prefix }).resetPasswordMetadataIdGet(id);
    assert.equal(asked.pop().headers['x-auth-token'], want);
  }
});

test('keys that no header can hold are not sent, nor repeated', async (t) => {
  const { url, asked } = await serve(t, echo);
  const wrong = ['secret\n', 'sec\r\nX-Evil: secret', '\tsecret', ' secret', 'secret ', 'secret\0', 'secret\x7f', 'secretä', 'secret😀', 'secret'.repeat(2000), { secret: 1 }, 7];
  for (const settings of [...wrong.map((key) => ({ key })), ...wrong.map((prefix) => ({ key: 'sk_key', prefix }))]) {
    for (const error of [
      await failure(connect(url, settings).resetPasswordMetadataIdGet(id)),
      await failure(connect(url, settings).resetPasswordBulkRequestPost({ email: ['ada@example.test'] })),
    ]) {
      assert.deepEqual([error.name, error.kind], ['ApiError', 'argument']);
      assert.match(error.message, /the key/);
      assert.doesNotMatch(error.stack, /secret/);
    }
  }
  assert.deepEqual(asked, []);
});

test('the key goes with each call but the request', async (t) => {
  const { url, asked } = await serve(t, (req, res) => answer(res, 401, { msg: 'no', code: 14 }));
  const api = connect(url, { key: 'sk_key' });
  const email = ['ada@example.test'];
  for (const [call, args, want] of [
    ['resetPasswordMetadataIdGet', [id], 'sk_key'], ['resetPasswordResetIdPost', [id, { password: 'p' }], 'sk_key'],
    ['jobStatusIdGet', [id], 'sk_key'], ['resetPasswordBulkRequestPost', [{ email }], 'sk_key'],
    ['resetPasswordRequestPost', [{ email }], undefined],
  ]) {
    assert.equal((await failure(api[call](...args))).status, 401);
    assert.equal(asked.pop().headers['x-auth-token'], want, call);
  }
});

test('calls that need a key are not sent without one', async (t) => {
  const { url, asked } = await serve(t, echo);
  for (const key of [null, undefined, '']) {
    const api = connect(url, { key });
    for (const error of [await failure(api.jobStatusIdGet(id)), await failure(api.resetPasswordBulkRequestPost({ email: ['ada@example.test'] }))]) {
      assert.equal(error.kind, 'argument');
      assert.match(error.message, /apiKey/);
    }
  }
  assert.deepEqual(asked, []);
});

test('bodies that are none are not sent, nor repeated', async (t) => {
  const { url, asked } = await serve(t, echo);
  const circle = { password: 'secret' };
  circle.circle = circle;
  for (const body of [undefined, null, 'secret', 7, ['secret'], () => {}, circle, { password: 'secret \ud83d' }, { password: 1n }]) {
    const error = await failure(connect(url).resetPasswordResetIdPost(id, body));
    assert.deepEqual([error.name, error.kind], ['ApiError', 'argument']);
    assert.doesNotMatch(error.stack, /secret/);
  }
  const error = await failure(connect(url).resetPasswordRequestPost({ email: ['ok@example.test', 'half \udc00@example.test'] }));
  assert.equal(error.kind, 'argument');
  assert.deepEqual(asked, []);
});

test('bodies arrive as they are', async (t) => {
  const { url, asked } = await serve(t, (req, res) => answer(res, 200, { id }));
  for (const password of ['plain and long', ' \t\n\0"\\/', 'ä€😀\u2028', 'x'.repeat(10_240), '__proto__']) {
    await connect(url).resetPasswordResetIdPost(id, { password });
    assert.deepEqual(JSON.parse(asked.pop().body), { password });
  }
});

test('base paths with a prefix, slashes at the end, a port', async (t) => {
  const { url, asked, port } = await serve(t, echo);
  for (const [basePath, want] of [
    [url, ''], [`${url}/`, ''], [`${url}/api/1.0`, '/api/1.0'], [`${url}/api/1.0///`, '/api/1.0'],
    [`${url}/some/prefix/api/1.0/`, '/some/prefix/api/1.0'], [`${url}/a%20b/ü`, '/a%20b/%C3%BC'], [`HTTP://LOCALHOST:${port}`.replace('LOCALHOST', '127.0.0.1'), ''],
  ]) {
    await connect(basePath).resetPasswordMetadataIdGet(id);
    assert.equal(asked.pop().url, `${want}/reset-password/metadata/${id}`);
  }
});

test('a base path with an address of IPv6', async (t) => {
  const { url, asked } = await serve(t, echo, '::1');
  assert.match(url, /^http:\/\/\[::1\]:\d+$/);
  await connect(`${url}/api/1.0`).resetPasswordMetadataIdGet(id);
  assert.equal(asked.length, 1);
});

test('base paths that are none', async () => {
  for (const basePath of [undefined, null, '', 'reset.example.com', '/api/1.0', 'ftp://127.0.0.1', 'file:///secret', 'data:,secret',
    'http://user:secret@127.0.0.1', 'http://secret@127.0.0.1', 'http://127.0.0.1/?secret', 'http://127.0.0.1/#secret', 'http://127.0.0.1:99999', 'http://[::1', 'http://', {}, 7]) {
    const error = await failure(connect(basePath).resetPasswordMetadataIdGet(id));
    assert.deepEqual([error.name, error.kind], ['ApiError', 'argument'], String(basePath));
    assert.match(error.message, /basePath/);
    assert.doesNotMatch(error.stack, /secret/);
  }
});

test('default headers are sent, and cannot change what the API needs', async (t) => {
  const { url, asked } = await serve(t, echo);
  const defaultHeaders = { 'X-Trace': 'abc', 'content-type': 'text/plain', Accept: 'text/html' };
  await connect(url, { defaultHeaders }).resetPasswordMetadataIdGet(id);
  const { headers } = asked.pop();
  assert.equal(headers['x-trace'], 'abc');
  assert.equal(headers['content-type'], 'application/json');
  assert.equal(headers.accept, 'application/json');
  for (const wrong of [{ 'X-A': 'secret\nX-B: b' }, { 'X A': 'secret' }, { 'X-A': 'secret€' }]) {
    const error = await failure(connect(url, { defaultHeaders: wrong }).resetPasswordMetadataIdGet(id));
    assert.deepEqual([error.kind, error.cause], ['argument', undefined]);
    assert.doesNotMatch(error.stack, /secret/);
  }
  assert.deepEqual(asked, []);
});

test('cache: false adds the time to a GET, and to nothing else', async (t) => {
  const { url, asked } = await serve(t, (req, res) => (req.method === 'GET' ? echo(req, res) : answer(res, 200, { id })));
  const before = Date.now();
  await connect(url, { cache: false }).resetPasswordMetadataIdGet(id);
  const [, time] = asked.pop().url.match(/\?_=(\d+)$/);
  assert.ok(Number(time) >= before && Number(time) <= Date.now());
  await connect(url, { cache: false }).resetPasswordResetIdPost(id, { password: 'p' });
  assert.doesNotMatch(asked.pop().url, /\?/);
});

test('timeouts: none, very long ones, and what is no time', async (t) => {
  const { url } = await serve(t, echo);
  for (const timeout of [0, null, undefined, 1e12, Infinity, 60_000]) {
    assert.equal((await connect(url, { timeout }).resetPasswordMetadataIdGet(id)).id, id);
  }
  for (const timeout of [-1, NaN, '60000', {}]) {
    const error = await failure(connect(url, { timeout }).resetPasswordMetadataIdGet(id));
    assert.equal(error.kind, 'argument');
    assert.match(error.message, /timeout/);
  }
});
