// The documented examples, word for word, against the real server.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import vm from 'node:vm';
import { basePath, nextId, server } from './sparekey.mjs';

const require = createRequire(import.meta.url);
const page = await readFile(new URL('../docs/PasswordResetApi.md', import.meta.url), 'utf8');
const [metadataExample, requestExample, resetExample] = [...page.matchAll(/```javascript\n(.*?)```/gs)].map((m) => m[1]);

test('the examples are the documented ones to the byte', () => {
  const documented = {
    metadata: 'e3b4d730d990c42ec0e3cb9ea6cb526a8072d8409188a0015bc1dacf38fcb662',
    request: '1a4152f432a5998168c52e2c2902688b3b0a9d6d4d2d735d205431f3fd8f6a7e',
    reset: 'acc52306b2957a7c232215fcf1b44460b69550ba005401bacd3b8305a42e21a7',
  };
  const sum = (text) => createHash('sha256').update(text).digest('hex');
  assert.deepEqual({ metadata: sum(metadataExample), request: sum(requestExample), reset: sum(resetExample) }, documented);
});

/** put replaces what the page leaves to the reader, which must be there exactly once. */
function put(code, placeholder, value) {
  assert.equal(code.split(placeholder).length, 2, `the example has ${placeholder} not once`);
  return code.replace(placeholder, () => value);
}

/** run runs an example with a freshly loaded package and waits for what it prints. */
function run(code, url) {
  delete require.cache[require.resolve('quatrix_api')];
  require('quatrix_api').ApiClient.instance.basePath = basePath(url);
  return new Promise((resolve) => {
    const console = { log: (text) => resolve({ log: text }), error: (error) => resolve({ error }) };
    vm.runInNewContext(code, { require, console });
  });
}

const success = { log: 'API called successfully. Returned data: [object Object]' };

for (const prefix of [null, 'Token']) {
  const ready = (code, key) => {
    const withKey = put(code, "'YOUR API KEY'", JSON.stringify(key));
    return prefix ? put(withKey, "//api_key.apiKeyPrefix = 'Token';", "api_key.apiKeyPrefix = 'Token';") : withKey;
  };

  test(`the examples reset a password, ${prefix ? 'with' : 'without'} a prefix of the key`, async () => {
    const { url, key } = server();
    const request = put(requestExample, 'ResetPasswordRequestReq(); // ResetPasswordRequestReq | \n',
      'ResetPasswordRequestReq();\nbody.email = ["ada@example.test"];\n');
    assert.deepEqual(await run(request, url), success);

    const id = JSON.stringify(await nextId(url, 'ada@example.test'));
    const metadata = put(ready(metadataExample, key), '"id_example"', id);
    assert.deepEqual(await run(metadata, url), success);

    const reset = put(put(ready(resetExample, key), '"id_example"', id),
      'ResetPasswordResetReq(); // ResetPasswordResetReq | \n',
      'ResetPasswordResetReq();\nbody.password = "a rather long sentence";\n');
    assert.deepEqual(await run(reset, url), success);

    const { error } = await run(metadata, url);
    assert.equal(error.status, 401);
    assert.equal(error.response.body.code, 81, 'the id is used');
  });
}

test('the examples as they are tell what is missing', async () => {
  const { url, key } = server();
  const { error: noKey } = await run(metadataExample, url);
  assert.deepEqual([noKey.status, noKey.code], [401, 14]);
  const { error: noId } = await run(put(metadataExample, "'YOUR API KEY'", JSON.stringify(key)), url);
  assert.deepEqual([noId.status, noId.code], [401, 14]);
  const { error: noBody } = await run(requestExample, url);
  assert.deepEqual([noBody.status, noBody.response.body.code], [400, 11]);
  assert.match(noBody.response.body.msg, /email/);
});
