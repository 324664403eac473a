// Servers that mean ill, or are not the API at all.
import assert from 'node:assert/strict';
import net from 'node:net';
import { once } from 'node:events';
import { test } from 'node:test';
import { answer, connect, failure, id, metadata, serve, serveRaw } from './servers.mjs';

const secrets = { key: 'sk_secret_key', prefix: 'Token' };
const password = 'päss "word" with\ttab';

/** keeps checks that an error names no secret, and is what the test says. */
function keeps(error, kind, status) {
  assert.equal(error.name, 'ApiError', error.stack);
  assert.equal(error.kind, kind, error.message);
  assert.equal(error.status, status);
  for (const secret of [secrets.key, id, password, 'ada@example.test']) {
    assert.ok(!error.message.includes(secret), error.message);
    assert.ok(!error.stack.includes(secret), error.stack);
  }
  assert.doesNotMatch(error.message, /\p{Cc}/u);
}

for (const [name, head] of [['nothing', ''], ['half a head', 'HTTP/1.1 200 OK\r\nContent-'], ['half a body', 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"id":']]) {
  test(`hangs after ${name}`, async (t) => {
    const { url } = await serveRaw(t, (socket) => socket.write(head));
    const begin = performance.now();
    const error = await failure(connect(url, { timeout: 150, ...secrets }).resetPasswordMetadataIdGet(id));
    keeps(error, 'timeout', undefined);
    assert.match(error.message, /150 ms/);
    assert.ok(performance.now() - begin < 10_000);
  });

  test(`closes after ${name}`, async (t) => {
    const { url } = await serveRaw(t, (socket) => socket.end(head));
    keeps(await failure(connect(url, secrets).resetPasswordMetadataIdGet(id)), 'network', undefined);
  });
}

test('resets the connection in the middle of a body', async (t) => {
  const { url } = await serveRaw(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"id"\r\n', () => socket.resetAndDestroy());
  });
  keeps(await failure(connect(url, secrets).resetPasswordResetIdPost(id, { password })), 'network', undefined);
});

test('chunked and cut off where its JSON is whole', async (t) => {
  const body = JSON.stringify(metadata);
  const { url } = await serveRaw(t, (socket) => {
    socket.end(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n`);
  });
  keeps(await failure(connect(url, secrets).resetPasswordMetadataIdGet(id)), 'network', undefined);
});

test('without a length and cut off', async (t) => {
  const { url } = await serveRaw(t, (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"id":"0b'));
  keeps(await failure(connect(url, secrets).resetPasswordMetadataIdGet(id)), 'answer', 200);
});

test('speaks no HTTP', async (t) => {
  const { url } = await serveRaw(t, (socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'));
  keeps(await failure(connect(url, secrets).resetPasswordMetadataIdGet(id)), 'network', undefined);
});

test('nobody is there', async () => {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  const error = await failure(connect(`http://127.0.0.1:${port}`, secrets).resetPasswordMetadataIdGet(id));
  keeps(error, 'network', undefined);
  assert.match(error.message, /ECONNREFUSED/);
  assert.equal(error.response, undefined);
});

test('sends a body without end', async (t) => {
  let stopped;
  const left = new Promise((resolve) => { stopped = resolve; });
  const { url } = await serve(t, (req, res) => {
    res.writeHead(200, { 'Content-Type': 'application/json' });
    const chunk = '['.repeat(64 * 1024);
    const more = () => { while (!res.destroyed && res.write(chunk)); };
    res.on('drain', more);
    res.on('close', stopped);
    more();
  });
  const error = await failure(connect(url, secrets).resetPasswordMetadataIdGet(id));
  keeps(error, 'answer', 200);
  assert.match(error.message, /1 MiB/);
  await left; // the client has hung up
});

test('an answer of 1 MiB is read, one of a byte more is not', async (t) => {
  const { url } = await serve(t, (req, res) => {
    const body = JSON.stringify(metadata);
    res.writeHead(200, { 'Content-Type': 'application/json' });
    res.end(body + ' '.repeat((1 << 20) - body.length + (req.url.startsWith('/over') ? 1 : 0)));
  });
  assert.equal((await connect(url).resetPasswordMetadataIdGet(id)).id, id);
  keeps(await failure(connect(`${url}/over`).resetPasswordMetadataIdGet(id)), 'answer', 200);
});

const html = '<!doctype html><title>Welcome</title>';
for (const [name, status, type, body, say] of [
  ['HTML', 200, 'text/html', html, /not JSON/],
  ['HTML that says it is JSON', 200, 'application/json', html, /not JSON/],
  ['JSON that says it is HTML', 200, 'text/html', JSON.stringify(metadata), /not JSON/],
  ['HTML of an error', 500, 'text/html', html, /not JSON/],
  ['HTML of a proxy', 502, 'text/html', html, /not JSON/],
  ['nothing', 200, 'application/json', '', /not JSON/],
  ['no content', 204, 'application/json', '', /not JSON/],
  ['null', 200, 'application/json', 'null', /no JSON object/],
  ['an array', 200, 'application/json', '[]', /no JSON object/],
  ['a number', 200, 'application/json', '1e999', /no JSON object/],
  ['an empty object', 200, 'application/json', '{}', /no id/],
  ['a field missing', 200, 'application/json', `{"id":"${id}"}`, /no multiple_accounts/],
  ['a field of the prototype', 200, 'application/json', `{"id":"${id}","__proto__":{"multiple_accounts":true}}`, /no multiple_accounts/],
  ['a wrong type', 200, 'application/json', `{"id":"${id}","multiple_accounts":"no"}`, /its multiple_accounts/],
  ['null in a field', 200, 'application/json', '{"id":null,"multiple_accounts":true}', /its id/],
  ['an empty id', 200, 'application/json', '{"id":"","multiple_accounts":true}', /its id/],
  ['another id', 200, 'application/json', '{"id":"other","multiple_accounts":true}', /something else/],
  ['a status of another call', 202, 'application/json', JSON.stringify(metadata), /not in the API's words/],
  ['an error model as a success', 200, 'application/json', '{"msg":"no","code":14}', /no id/],
  ['an error in other words', 401, 'application/json', '{"error":"unauthorized"}', /not in the API's words/],
  ['an error without a code', 401, 'application/json', '{"msg":"no"}', /not in the API's words/],
  ['an error with a wrong code', 401, 'application/json', '{"msg":"no","code":"14"}', /not in the API's words/],
  ['an error that is null', 400, 'application/json', 'null', /not in the API's words/],
]) {
  test(`answers ${status} with ${name}`, async (t) => {
    const { url } = await serve(t, (req, res) => {
      res.writeHead(status, { 'Content-Type': type });
      res.end(body);
    });
    const error = await failure(connect(url, secrets).resetPasswordMetadataIdGet(id));
    keeps(error, 'answer', status);
    assert.equal(error.code, undefined);
    assert.match(error.message, say);
    assert.equal(error.response.status, status);
    assert.equal(error.response.text, body);
    assert.equal(error.response.body.msg?.constructor, JSON.stringify(error.response.body).includes('msg') ? String : undefined);
  });
}

for (const [call, wrong] of [
  ['resetPasswordRequestPost', [{ email: 'ada@example.test' }, { email: [1] }, { email: null }, { job_id: id }]],
  ['resetPasswordBulkRequestPost', [{ job_id: 7 }, { job_id: '' }, { email: [] }]],
]) {
  test(`rubbish to ${call}`, async (t) => {
    for (const body of wrong) {
      const { url } = await serve(t, (req, res) => answer(res, call.includes('Bulk') ? 202 : 200, body));
      keeps(await failure(connect(url, secrets)[call]({ email: ['ada@example.test'] })), 'answer', call.includes('Bulk') ? 202 : 200);
    }
  });
}

test('rubbish to jobStatusIdGet', async (t) => {
  const good = { job_id: id, state: 'done', total: 1, sent: 1, unknown: 0, failed: 0 };
  let body = good;
  const { url } = await serve(t, (req, res) => answer(res, 200, body));
  const api = connect(url, secrets);
  assert.deepEqual({ ...(await api.jobStatusIdGet(id)) }, good);
  for (const wrong of [{ state: 'lost' }, { total: '1' }, { sent: 0.5 }, { unknown: -1 }, { failed: null }, { job_id: 'other' }]) {
    body = { ...good, ...wrong };
    keeps(await failure(api.jobStatusIdGet(id)), 'answer', 200);
  }
});

for (const status of [301, 302, 303, 307, 308]) {
  test(`leads to another host with ${status}`, async (t) => {
    const other = await serve(t, (req, res) => answer(res, 200, metadata));
    const { url, asked } = await serve(t, (req, res) => {
      res.writeHead(status, { Location: `${other.url}${req.url}` });
      res.end();
    });
    const api = connect(url, secrets);
    keeps(await failure(api.resetPasswordMetadataIdGet(id)), 'answer', status);
    const error = await failure(api.resetPasswordResetIdPost(id, { password }));
    keeps(error, 'answer', status);
    assert.match(error.message, /leads elsewhere/);
    assert.equal(asked.length, 2);
    assert.deepEqual(other.asked, []);
  });
}

test('a redirect on the same host is not followed either', async (t) => {
  const { url, asked } = await serve(t, (req, res) => {
    res.writeHead(302, { Location: '/elsewhere' });
    res.end();
  });
  keeps(await failure(connect(url, secrets).resetPasswordMetadataIdGet(id)), 'answer', 302);
  assert.equal(asked.length, 1);
});

test('Retry-After, in both forms and in neither', async (t) => {
  let headers;
  const { url } = await serve(t, (req, res) => answer(res, 429, { msg: 'too often', code: 50 }, headers));
  const now = 'Mon, 02 Jan 2006 15:04:05 GMT';
  for (const [value, want, date] of [
    ['7', 7], ['0', 0], ['Mon, 02 Jan 2006 15:05:05 GMT', 60, now], ['Mon, 02 Jan 2006 15:00:00 GMT', 0, now],
    ['soon', undefined], ['-1', undefined], ['1.5', undefined], ['99999999999999', undefined], ['', undefined],
  ]) {
    headers = { 'Retry-After': value, ...(date && { Date: date }) };
    const error = await failure(connect(url, secrets).resetPasswordMetadataIdGet(id));
    keeps(error, 'refusal', 429);
    assert.equal(error.code, 50);
    assert.equal(error.retryAfter, want, value);
  }
  headers = { 'Retry-After': new Date(Date.now() + 60_000).toUTCString(), Date: '' };
  const { retryAfter } = await failure(connect(url, secrets).resetPasswordMetadataIdGet(id));
  assert.ok(retryAfter >= 50 && retryAfter <= 61, `${retryAfter}`);
});

test('Retry-After of a proxy', async (t) => {
  const { url } = await serve(t, (req, res) => {
    res.writeHead(503, { 'Content-Type': 'text/html', 'Retry-After': '30' });
    res.end(html);
  });
  const error = await failure(connect(url).resetPasswordMetadataIdGet(id));
  keeps(error, 'answer', 503);
  assert.equal(error.retryAfter, 30);
});

test('a message that repeats what was sent does not get into the error', async (t) => {
  const { url } = await serve(t, (req, res, body) => {
    answer(res, 400, { msg: `no: ${decodeURIComponent(req.url)} ${body} ${req.headers['x-auth-token']}`, code: 10 });
  });
  const api = connect(url, secrets);
  for (const error of [
    await failure(api.resetPasswordMetadataIdGet(id)),
    await failure(api.resetPasswordResetIdPost(id, { password })),
    await failure(api.resetPasswordRequestPost({ email: ['ada@example.test'] })),
  ]) {
    keeps(error, 'refusal', 400);
    assert.match(error.message, /^\w+: the server refused \(status 400, code 10\)$/);
    assert.match(error.response.body.msg, /^no: /);
  }
});

test('a message of many lines and characters becomes one short line', async (t) => {
  const { url } = await serve(t, (req, res) => answer(res, 400, { msg: 'a\r\n\u2028\u202eb\0' + '😀'.repeat(9999), code: -1 }));
  const error = await failure(connect(url).resetPasswordMetadataIdGet(id));
  keeps(error, 'refusal', 400);
  assert.equal(error.code, -1);
  assert.ok(error.message.length < 700, `${error.message.length}`);
  assert.match(error.message, /^resetPasswordMetadataIdGet: a {4,5}b 😀+… \(status 400, code -1\)$/u);
});
