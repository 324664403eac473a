import { ApiError, badAnswer, refusal } from './errors.js';
import { ErrorModel, parse } from './models.js';
import { prepare } from './request.js';

/** How much is read of an answer, in bytes. The longest of the API has some kilobytes. */
const maxAnswer = 1 << 20;

/**
 * The settings that calls are made with. `ApiClient.instance` is what an Api
 * made without a client uses; make further ones for further servers or keys.
 * Settings are read when a call begins.
 */
export class ApiClient {
  constructor() {
    /** What the paths of the API are below. It may have a port, and a path in front of /api/1.0. */
    this.basePath = 'https://api.quatrix.it/api/1.0';
    /** Set `apiKey`, and `apiKeyPrefix` for one word in front of it, such as Token. */
    this.authentications = {
      api_key: { type: 'apiKey', in: 'header', name: 'X-Auth-Token', apiKey: null, apiKeyPrefix: null },
    };
    /** Headers to send with every call, by name. */
    this.defaultHeaders = {};
    /** How long a call may take, its answer included, in milliseconds; 0 for any time. */
    this.timeout = 60000;
    /** If false, each GET gets a parameter `_` with the time, against caches that keep what they should not. */
    this.cache = true;
  }

  /**
   * Makes a call. It answers a promise of the data, and calls the callback, if
   * there is one, with (error, data, response).
   */
  callApi(operation, callback) {
    const outcome = send(this, operation);
    const promise = outcome.then(({ data }) => data);
    if (typeof callback !== 'function') return promise;
    promise.catch(() => {}); // who gave a callback has been told
    // What the callback throws is the program's, and goes where uncaught errors go:
    // in a promise it would be lost, or be taken for a failure of the call.
    outcome.then(
      ({ data, response }) => queueMicrotask(() => callback(null, data, response)),
      (error) => queueMicrotask(() => callback(error, null, error.response ?? null)),
    );
    return promise;
  }
}

/** The client that is used where none is named. */
ApiClient.instance = new ApiClient();

async function send(client, operation) {
  const call = prepare(client, operation);
  const abort = new AbortController();
  let timedOut = false;
  const timer = call.timeout && setTimeout(() => {
    timedOut = true;
    abort.abort();
  }, call.timeout);
  let answer;
  try {
    answer = await fetch(call.url, {
      method: call.method,
      headers: call.headers,
      body: call.body,
      signal: abort.signal,
      // A redirect could lead the key, the id and the password to another host. The API has
      // none. Not 'error', because that cannot be told from a server that is away.
      redirect: 'manual',
      credentials: 'omit',
      cache: 'no-store',
      referrerPolicy: 'no-referrer', // the page's own address may hold the id
    });
    const response = makeResponse(answer);
    // Scripts in pages are told of a redirect, but not where to.
    if (answer.type === 'opaqueredirect' || (answer.status >= 300 && answer.status < 400)) {
      throw badAnswer(call, response, 'it leads elsewhere, where neither the key nor the id must follow');
    }
    response.text = await readText(call, answer, response);
    return { data: judge(call, response), response };
  } catch (error) {
    if (error instanceof ApiError) throw error;
    if (timedOut) throw new ApiError('timeout', `${call.name}: no whole answer within ${call.timeout} ms`);
    throw broken(call, answer, error);
  } finally {
    clearTimeout(timer);
    abort.abort(); // ends what was not read
  }
}

/** broken is for a failure below HTTP. Of the cause it repeats its code only: its text may hold the URL, and with it the id. */
function broken(call, answer, { cause }) {
  const code = /^[A-Z][A-Z0-9_]{1,40}$/.test(cause?.code) ? ` (${cause.code})` : '';
  let what = 'there was no answer';
  if (answer) what = 'the answer broke off';
  else if (globalThis.location) what += ', or the server does not let pages of this origin call it';
  return new ApiError('network', `${call.name}: ${what}${code}`);
}

/** makeResponse takes over what is known before the body, in the form that the callers of the old client know. */
function makeResponse({ status, ok, headers: entries }) {
  const headers = Object.fromEntries(entries);
  const type = (headers['content-type'] ?? '').split(';')[0].trim().toLowerCase();
  const get = (name) => headers[String(name).toLowerCase()];
  return { status, statusCode: status, ok, type, headers, header: headers, get, body: {}, text: '' };
}

async function readText(call, answer, response) {
  if (!answer.body) return '';
  const reader = answer.body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  for (let length = 0; ;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    length += value.byteLength;
    if (length > maxAnswer) throw badAnswer(call, response, 'it is longer than 1 MiB');
    text += decoder.decode(value, { stream: true });
  }
}

/** judge tells the success that the call wants from a refusal in the API's words and from anything else. It sets the response's body. */
function judge(call, response) {
  const json = parseJSON(response);
  if (json === undefined) throw badAnswer(call, response, 'it is not JSON');
  response.body = json ?? {};
  const model = call.answers[response.status];
  if (model) {
    const { data, wrong } = parse(model, json);
    if (wrong) throw badAnswer(call, response, wrong);
    // An answer about another id is some cache's or proxy's.
    if ('id' in call && (data.id ?? data.job_id) !== call.id) throw badAnswer(call, response, 'it is about something else');
    return data;
  }
  if (response.status >= 400 && parse(ErrorModel, json).data) throw refusal(call, response);
  throw badAnswer(call, response, "it is not in the API's words");
}

/** parseJSON answers undefined for what is no JSON, or does not say that it is. */
function parseJSON({ type, text }) {
  if (type !== 'application/json') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
