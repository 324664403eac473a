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
export class ApiError extends Error {
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
export function badArgument(name, why) {
  return new ApiError('argument', `${name}: ${why}`);
}

/** badAnswer is for an answer that the API does not have, such as a proxy's page. It has no code, because codes are the API's. */
export function badAnswer(call, response, why) {
  const message = `${call.name}: bad answer (HTTP ${response.status}): ${why}; is basePath that of the API?`;
  return new ApiError('answer', message, { response, status: response.status, retryAfter: retryAfter(response) });
}

/** refusal is for a failure in the API's words: a response whose body is an ErrorModel. */
export function refusal(call, response) {
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
