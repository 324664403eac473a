'use strict';
// Made from src by script/commonjs.mjs; edit there.

/** How much of a server's words an error's message repeats, in characters. */
const maxMsg = 300;

/**
 * What a call that fails gives. Its message names no key, no id, no password
 * and no address of the call, so it may be logged.
 *
 * `kind` says what failed:
 * - `refusal`: the server refused, in the API's words; `status` and `code` are set.
 * - `answer`: what answered is not this API, or not well: `status` is its status, there is no `code`.
 * - `network`: there was no answer, or it broke off.
 * - `timeout`: there was no whole answer in time.
 * - `argument`: the call was not sent, because of what it was given.
 *
 * After `network` or `timeout` nobody knows whether the server did what it was asked.
 */
class ApiError extends Error {
  constructor(kind, message, { response, status, code, retryAfter } = {}) {
    super(message);
    this.kind = kind;
    if (status !== undefined) this.status = status;
    if (code !== undefined) this.code = code;
    if (retryAfter !== undefined) this.retryAfter = retryAfter;
    // Not enumerable, so that console.error(error) does not print what an unknown server sent.
    Object.defineProperty(this, 'response', { value: response, writable: true, configurable: true });
  }

  /** The ErrorModel's details, if it has any; for a refused password `details.password` has the reasons. */
  get details() {
    return this.kind === 'refusal' ? this.response.body.details : undefined;
  }
}
Object.defineProperty(ApiError.prototype, 'name', { value: 'ApiError', writable: true, configurable: true });

/** badArgument is for calls that are not sent. */
function badArgument(name, why) {
  return new ApiError('argument', `${name}: ${why}`);
}

/** badAnswer is for an answer that the API does not have, such as a proxy's page. It has no code, because codes are the API's. */
function badAnswer(call, response, why) {
  const message = `${call.name}: bad answer (HTTP ${response.status}): ${why}; is basePath that of the API?`;
  return new ApiError('answer', message, { response, status: response.status, retryAfter: retryAfter(response) });
}

/** refusal is for a failure in the API's words: a response whose body is an ErrorModel. */
function refusal(call, response) {
  const { msg, code } = response.body;
  const { status } = response;
  // The server promises that msg may be shown to anybody. Whether it keeps that is seen here.
  const words = call.secrets.some((secret) => msg.includes(secret)) ? 'the server refused' : oneLine(msg);
  return new ApiError('refusal', `${call.name}: ${words} (status ${status}, code ${code})`, {
    response, status, code, retryAfter: retryAfter(response),
  });
}

function oneLine(text) {
  const characters = Array.from(text.slice(0, 2 * maxMsg));
  const cut = characters.length > maxMsg ? characters.slice(0, maxMsg).join('') + '…' : characters.join('');
  return cut.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ');
}

/**
 * retryAfter reads the header of that name in either of its forms (RFC 9110,
 * 10.2.3), as seconds. A date counts from the server's own clock where that is told.
 */
function retryAfter({ headers }) {
  const value = headers['retry-after'];
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value);
  const until = Date.parse(value);
  // Date.parse takes nearly anything; only what begins as a date of HTTP does is one.
  if (!/^[A-Z][a-z]{2}/.test(value) || Number.isNaN(until)) return undefined;
  return Math.max(0, Math.ceil((until - (Date.parse(headers.date) || Date.now())) / 1000));
}

const isText = (value) => typeof value === 'string' && value !== '';
const isTexts = (value) => Array.isArray(value) && value.every((item) => typeof item === 'string');
const isFlag = (value) => typeof value === 'boolean';
const isCount = (value) => Number.isSafeInteger(value) && value >= 0;
const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const isState = (value) => ['queued', 'running', 'done'].includes(value);

const required = (is) => ({ is, required: true });
const optional = (is) => ({ is, required: false });

/** Model is what the objects on the wire have in common. Their properties are spelled as on the wire. */
class Model {
  /** The properties by name; each model has its own. */
  static fields = {};

  /**
   * Copies the model's properties from a plain object to `obj`, or to a new
   * model if there is none. What the model does not have is left out. Nothing
   * is converted. Without data it answers `obj` as it is.
   */
  static constructFromObject(data, obj) {
    if (!data) return obj;
    const model = obj || new this();
    for (const name of Object.keys(this.fields)) {
      if (!Object.hasOwn(data, name)) continue;
      model[name] = Array.isArray(data[name]) ? [...data[name]] : data[name];
    }
    return model;
  }
}

/**
 * parse makes a model out of what a server sent, or answers the name of the
 * first property that is missing or of the wrong type.
 */
function parse(model, data) {
  if (!isObject(data)) return { wrong: 'it is no JSON object' };
  for (const [name, field] of Object.entries(model.fields)) {
    if (!Object.hasOwn(data, name)) {
      if (field.required) return { wrong: `it has no ${name}` };
    } else if (!field.is(data[name])) {
      return { wrong: `its ${name} is not what the API describes` };
    }
  }
  return { data: model.constructFromObject(data) };
}

/** The body of resetPasswordRequestPost: the addresses to mail a link to, always an array. */
class ResetPasswordRequestReq extends Model {
  static fields = { email: required(isTexts) };

  constructor(email) {
    super();
    this.email = email;
  }
}

/** The addresses as they were sent, whether or not anybody has them. */
class ResetPasswordRequestResp extends Model {
  static fields = { email: required(isTexts) };

  email = undefined;
}

/** What may be told to whoever holds the id of an open request. */
class ResetPasswordMetadataResp extends Model {
  static fields = { id: required(isText), multiple_accounts: required(isFlag) };

  id = undefined;
  multiple_accounts = undefined;
}

/** The body of resetPasswordResetIdPost: the new password, as typed. */
class ResetPasswordResetReq extends Model {
  static fields = { password: required(isText) };

  constructor(password) {
    super();
    this.password = password;
  }
}

/** The id of the request just used. */
class IdResp extends Model {
  static fields = { id: required(isText) };

  id = undefined;
}

/** The id of a bulk job, for jobStatusIdGet. */
class JobResp extends Model {
  static fields = { job_id: required(isText) };

  job_id = undefined;
}

/** How far a bulk job is. */
class JobStatusResp extends Model {
  static fields = {
    job_id: required(isText),
    state: required(isState),
    total: required(isCount),
    sent: required(isCount),
    unknown: required(isCount),
    failed: required(isCount),
  };

  job_id = undefined;
  state = undefined;
  total = undefined;
  sent = undefined;
  unknown = undefined;
  failed = undefined;
}

/** A refusal in the API's words: msg is for people, code for programs. */
class ErrorModel extends Model {
  static fields = { msg: required(isText), code: required(Number.isSafeInteger), details: optional(isObject) };

  details = undefined;

  constructor(msg, code) {
    super();
    this.msg = msg;
    this.code = code;
  }
}

/** A UUID has 36 characters, and nothing that is much longer is one. */
const maxId = 256;
/** Far longer than any key, and far shorter than what servers take as a header. */
const maxKey = 4096;
/** The longest time of a timer; with a longer one it would run out at once. */
const maxTimeout = 2 ** 31 - 1;

/**
 * prepare makes what is sent out of a client's settings and an operation:
 * { name, method, path, key: 'none' | 'if set' | 'needed', id?, body? }. It throws
 * an ApiError of the kind argument, which does not repeat what it was given.
 */
function prepare(client, operation) {
  const { name, method } = operation;
  const token = operation.key === 'none' ? null : readToken(name, client.authentications['api_key']);
  if (operation.key === 'needed' && token === null) {
    throw badArgument(name, "this call needs a key; set authentications['api_key'].apiKey");
  }
  let url = readBase(name, client.basePath) + operation.path;
  if ('id' in operation) url += '/' + escapeId(name, operation.id);
  if (method === 'GET' && client.cache === false) url += `?_=${Date.now()}`;
  const headers = readHeaders(name, client, token);
  return {
    ...operation,
    url,
    headers,
    body: 'body' in operation ? encodeBody(name, operation.body) : undefined,
    timeout: readTimeout(name, client.timeout),
    secrets: secretsOf(client, operation, headers),
  };
}

function readBase(name, basePath) {
  let url;
  try {
    if (!basePath) throw new TypeError('empty');
    // In a page a basePath such as /api/1.0 is one of the page's own server.
    url = new URL(basePath, globalThis.location?.href);
  } catch {
    throw badArgument(name, 'basePath is no URL; write https://reset.example.com/api/1.0');
  }
  if (!/^https?:$/.test(url.protocol)) throw badArgument(name, 'basePath must begin with https:// or http://');
  if (url.username || url.password) throw badArgument(name, 'basePath must not hold a user or a password');
  if (/[?#]/.test(basePath)) throw badArgument(name, 'basePath must end with its path, without ? and #');
  return url.href.replace(/\/+$/, '');
}

// What the server could not tell from another path is refused here; for any
// other id its answer counts.
function escapeId(name, id) {
  if (id === undefined || id === null) throw badArgument(name, "the parameter 'id' is missing");
  if (typeof id !== 'string') throw badArgument(name, 'the id is not a string');
  if (id === '' || id === '.' || id === '..') throw badArgument(name, 'the id is empty or no id at all');
  if (id.length > maxId) throw badArgument(name, `the id is longer than ${maxId} characters`);
  if (isBroken(id)) throw badArgument(name, 'the id has half a character');
  return encodeURIComponent(id);
}

function encodeBody(name, body) {
  if (body === undefined || body === null) throw badArgument(name, "the parameter 'body' is missing");
  if (typeof body !== 'object' || Array.isArray(body)) throw badArgument(name, 'the body is no object');
  let text;
  try {
    text = JSON.stringify(body);
  } catch {
    throw badArgument(name, 'the body cannot be written as JSON');
  }
  // Another password would be set than the one that was typed.
  if (textsOf(body).some(isBroken)) throw badArgument(name, 'the body has a text with half a character');
  return text;
}

/** isBroken finds half of a pair of surrogates, which UTF-8 cannot carry. */
const isBroken = (text) => /\p{Surrogate}/u.test(text);

const textsOf = (body) => Object.values(body ?? {}).flat().filter((value) => typeof value === 'string');

/** readToken is the header's value, or null if no key is set. */
function readToken(name, auth) {
  if (!auth?.apiKey) return null;
  checkToken(name, 'the key', auth.apiKey);
  if (!auth.apiKeyPrefix) return auth.apiKey;
  checkToken(name, "the key's prefix", auth.apiKeyPrefix);
  return `${auth.apiKeyPrefix} ${auth.apiKey}`;
}

function checkToken(name, what, text) {
  if (typeof text !== 'string') throw badArgument(name, `${what} is not a string`);
  if (text.length > maxKey) throw badArgument(name, `${what} is longer than ${maxKey} characters`);
  if (!/^[!-~]([ -~]*[!-~])?$/.test(text)) {
    throw badArgument(name, `${what} has a character that cannot be sent in a header, such as a line break or a space at its end`);
  }
}

function readHeaders(name, client, token) {
  const headers = new Headers();
  if (token !== null) headers.set(client.authentications['api_key'].name, token);
  try {
    for (const [header, value] of Object.entries(client.defaultHeaders ?? {})) headers.set(header, value);
  } catch {
    throw badArgument(name, 'defaultHeaders has a name or a value that cannot be sent');
  }
  headers.set('Content-Type', 'application/json');
  headers.set('Accept', 'application/json');
  return headers;
}

function readTimeout(name, timeout) {
  if (timeout === 0 || timeout === null || timeout === undefined) return 0;
  if (typeof timeout !== 'number' || !(timeout > 0)) {
    throw badArgument(name, 'timeout must be a number of milliseconds, or 0 for none');
  }
  return Math.min(timeout, maxTimeout);
}

/** secretsOf lists what no error may repeat of a call, in the spellings that a server may echo. */
function secretsOf(client, operation, headers) {
  const auth = client.authentications['api_key'];
  const plain = [operation.id, auth?.apiKey, auth && headers.get(auth.name), ...textsOf(operation.body)];
  return plain
    .filter((text) => typeof text === 'string' && text !== '' && !isBroken(text))
    .flatMap((text) => [text, JSON.stringify(text).slice(1, -1), encodeURIComponent(text)]);
}

/** How much is read of an answer, in bytes. The longest of the API has some kilobytes. */
const maxAnswer = 1 << 20;

/**
 * The settings that calls are made with. `ApiClient.instance` is what an Api
 * made without a client uses; make further ones for further servers or keys.
 * Settings are read when a call begins.
 */
class ApiClient {
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

/**
 * The calls of the API. Each takes a callback, (error, data, response), and
 * also answers a promise of the data. No call is repeated by itself.
 */
class PasswordResetApi {
  constructor(apiClient = ApiClient.instance) {
    this.apiClient = apiClient || ApiClient.instance;
  }

  /** Tells whether the id in a mailed link still opens anything. It changes nothing. */
  resetPasswordMetadataIdGet(id, callback) {
    return this.apiClient.callApi({
      name: 'resetPasswordMetadataIdGet', method: 'GET', path: '/reset-password/metadata', id,
      key: 'if set', answers: { 200: ResetPasswordMetadataResp },
    }, callback);
  }

  /**
   * Asks for links to be mailed, as anybody may: the key is not sent with it.
   * (If defaultHeaders bring one, the server makes it a bulk job, and the data is a JobResp.)
   */
  resetPasswordRequestPost(body, callback) {
    return this.apiClient.callApi({
      name: 'resetPasswordRequestPost', method: 'POST', path: '/reset-password/request', body,
      key: 'none', answers: { 200: ResetPasswordRequestResp, 202: JobResp },
    }, callback);
  }

  /** Asks, with a key of the scope admin, for links to be mailed in the background to all the addresses. */
  resetPasswordBulkRequestPost(body, callback) {
    return this.apiClient.callApi({
      name: 'resetPasswordBulkRequestPost', method: 'POST', path: '/reset-password/request', body,
      key: 'needed', answers: { 202: JobResp },
    }, callback);
  }

  /**
   * Sets the new password, and uses the request up. After an error without a
   * status ask resetPasswordMetadataIdGet whether it was: code 81 says that it was.
   */
  resetPasswordResetIdPost(id, body, callback) {
    return this.apiClient.callApi({
      name: 'resetPasswordResetIdPost', method: 'POST', path: '/reset-password/reset', id, body,
      key: 'if set', answers: { 200: IdResp },
    }, callback);
  }

  /** Tells how far a bulk job is, to the key that asked for it. */
  jobStatusIdGet(id, callback) {
    return this.apiClient.callApi({
      name: 'jobStatusIdGet', method: 'GET', path: '/job/status', id,
      key: 'needed', answers: { 200: JobStatusResp },
    }, callback);
  }
}

module.exports = { ApiClient, ApiError, ErrorModel, IdResp, JobResp, JobStatusResp, PasswordResetApi, ResetPasswordMetadataResp, ResetPasswordRequestReq, ResetPasswordRequestResp, ResetPasswordResetReq };
