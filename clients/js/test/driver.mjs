// Makes calls for tests that are written in another language. Each line of
// standard input is a command, each line of standard output its outcome:
//   {"op":"request|bulk|metadata|reset|job","base":"…","key":"…","prefix":"…","id":"…","email":["…"],"password":"…"}
//   {"ok":true,"data":{…}} or {"ok":false,"status":…,"code":…,"msg":…,"message":…,"kind":…,"retryAfter":…}
// base is the server's, with or without /api/1.0 at its end.
import { createInterface } from 'node:readline';
import { ApiClient, PasswordResetApi } from 'quatrix_api';

const operations = {
  request: (api, c) => api.resetPasswordRequestPost({ email: c.email }),
  bulk: (api, c) => api.resetPasswordBulkRequestPost({ email: c.email }),
  metadata: (api, c) => api.resetPasswordMetadataIdGet(c.id),
  reset: (api, c) => api.resetPasswordResetIdPost(c.id, { password: c.password }),
  job: (api, c) => api.jobStatusIdGet(c.id),
};

async function run(line) {
  try {
    const command = JSON.parse(line);
    if (!Object.hasOwn(operations, command.op)) throw new Error('the driver does not know this op');
    const client = new ApiClient();
    client.basePath = command.base.replace(/\/+$/, '').replace(/\/api\/1\.0$/, '') + '/api/1.0';
    client.authentications.api_key.apiKey = command.key;
    client.authentications.api_key.apiKeyPrefix = command.prefix;
    return { ok: true, data: await operations[command.op](new PasswordResetApi(client), command) };
  } catch (error) {
    const { status, code, message, kind, retryAfter, response } = error;
    return { ok: false, status, code, msg: response?.body?.msg, message, kind, retryAfter };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(await run(line)) + '\n');
}
