// Compiled, never run: package.test.mjs. A line after @ts-expect-error must not compile.
import * as QuatrixApi from 'quatrix_api';
import { ApiClient, ApiError, IdResp, JobResp, PasswordResetApi, ResetPasswordRequestReq, ResetPasswordResetReq } from 'quatrix_api';

const client: ApiClient = ApiClient.instance;
client.basePath = 'https://reset.example.com/api/1.0';
client.authentications['api_key'].apiKey = 'key';
client.authentications.api_key.apiKeyPrefix = null;
client.defaultHeaders = { 'X-Trace': 'abc' };
client.timeout = 0;
client.cache = false;

export async function resets(): Promise<string> {
  const api = new PasswordResetApi(new ApiClient());
  const body = new ResetPasswordRequestReq();
  body.email = ['ada@example.com'];
  const { email } = await api.resetPasswordRequestPost(body);
  const job: JobResp = await api.resetPasswordBulkRequestPost({ email });
  const { state, sent } = await api.jobStatusIdGet(job.job_id);
  if (state === 'done' && sent + 1 > 1) return 'done';
  const { id, multiple_accounts } = await api.resetPasswordMetadataIdGet('id');
  const both: [string, boolean] = [id, multiple_accounts];
  const done: IdResp = await api.resetPasswordResetIdPost(both[0], new ResetPasswordResetReq('long'));
  return QuatrixApi.IdResp.constructFromObject(done).id;
}

export function callbacks(api: PasswordResetApi): void {
  api.resetPasswordMetadataIdGet('id', (error, data, response) => {
    if (error) {
      const status: number | undefined = error.status;
      const words: string | undefined = error.response?.body.msg;
      console.error(status, error.code, error.retryAfter, words, error.details?.password?.[0].code);
    } else {
      console.log(data.multiple_accounts, response.status, response.headers['x-request-id']);
    }
  });
  api.resetPasswordMetadataIdGet('id', (error) => error && console.error(error));
  api.jobStatusIdGet('id', (error, data) => console.log(error ?? data.state));
}

export function tells(error: unknown): boolean {
  return error instanceof ApiError && error.kind === 'refusal' && error.code === 60;
}

export function mistakes(api: PasswordResetApi): void {
  // @ts-expect-error: an id is a string
  api.resetPasswordMetadataIdGet(7);
  // @ts-expect-error: email is an array
  api.resetPasswordRequestPost({ email: 'ada@example.com' });
  // @ts-expect-error: the body is missing
  api.resetPasswordResetIdPost('id');
  // @ts-expect-error: there is no such call
  api.resetPassword('id');
  // @ts-expect-error: the error may be null here
  api.jobStatusIdGet('id', (error) => error.kind);
  // @ts-expect-error: a job has no password
  api.jobStatusIdGet('id', (error, data) => data.password);
  // @ts-expect-error: not a kind of error
  tells((null as unknown as ApiError).kind === 'lost');
}

declare const console: { log(...args: unknown[]): void; error(...args: unknown[]): void };
