import { badArgument } from './errors.js';

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
export function prepare(client, operation) {
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
