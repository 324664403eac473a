// An application that keeps its users to itself, and lets Sparekey reset their
// passwords: the calls of docs/directory-webhook.yaml on users in a JSON file, with
// scrypt. Node 18 or later, no packages. It is a sample to copy from, not to be run as it is.
//
//   node directory.mjs add ADDRESS <<<PASSWORD   adds a user
//   node directory.mjs                           serves
//
// USERS is the file (users.json), LISTEN the address to listen at (127.0.0.1:8098),
// SECRET what the calls are signed with (whsec_…).
import { createHmac, randomBytes, scrypt as scryptLater, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { Users } from "./users.mjs";

const scrypt = promisify(scryptLater);
const users = new Users(process.env.USERS || "users.json");
const leastCharacters = 8;

// Hashing: N, r and p as OWASP's cheat sheet on storing passwords recommends, 32 MiB each time. Node hashes
// four at once, in threads of its own. The password is hashed as it is: it is neither trimmed, cut nor normalised.
const cost = { N: 2 ** 15, r: 8, p: 3, maxmem: 64 * 2 ** 20 };

async function hash(password) {
  const salt = randomBytes(16);
  const key = await scrypt(password, salt, 32, cost);
  return ["scrypt", cost.N, cost.r, cost.p, salt.toString("base64"), key.toString("base64")].join("$");
}

async function matches(hashed, password) {
  const [, N, r, p, salt, key] = hashed.split("$");
  const want = Buffer.from(key, "base64");
  const got = await scrypt(password, Buffer.from(salt, "base64"), want.length, { N: +N, r: +r, p: +p, maxmem: cost.maxmem });
  return timingSafeEqual(got, want);
}

// Signatures, after the Standard Webhooks specification: over the id, the time and the bytes of the body.
function key(secret) {
  const bytes = Buffer.from((secret ?? "").replace(/^whsec_/, ""), "base64");
  if (!secret?.startsWith("whsec_") || bytes.length < 24) throw new Error("SECRET is not what Sparekey signs with (whsec_…)");
  return bytes;
}

function signed(key, headers, body) {
  const { "webhook-id": id, "webhook-timestamp": at, "webhook-signature": signatures } = headers;
  if (!id || !/^\d{1,15}$/.test(at) || !signatures || Math.abs(Date.now() / 1000 - Number(at)) > 5 * 60) return false;
  const want = createHmac("sha256", key).update(`${id}.${at}.`).update(body).digest();
  return signatures.split(" ").some((signature) => {
    const [version, text] = signature.split(",");
    const got = Buffer.from(text ?? "", "base64");
    return version === "v1" && got.length === want.length && timingSafeEqual(got, want);
  });
}

// The three calls. Each answers a status and what is to be written.
const calls = {
  find({ id, addresses }) {
    if (typeof id !== "string" && !Array.isArray(addresses)) return [400, { title: "an id or addresses are needed" }];
    const found = id === undefined ? users.byAddresses(addresses) : users.byIds([id]);
    return [200, { users: found.map(({ id, email, name, locale, accounts, disabled }) => ({ id, email, name, locale, accounts, disabled })) }];
  },

  // set changes a password. The application's own policy here: eight characters.
  async set({ id, password }, change) {
    const length = [...password].length;
    if (length < leastCharacters) {
      const reason = { code: "too_short", message: "Use at least 8 characters.", params: { min: leastCharacters, length } };
      return [422, { reasons: [reason] }];
    }
    const hashed = await hash(password);
    // Here the application also ends the user's sessions.
    if (!users.setPassword(change, id, hashed)) return [404, { changed: false, title: "there is no such user" }];
    return [204];
  },

  health() {
    users.byIds([]); // throws if the users cannot be read
    return [200, { idempotent: true, application: "directory-node" }];
  },
};

// The application's own log-in: it is what the passwords are for.
const nobodys = await hash("");
async function login({ email, password }) {
  const user = users.byEmail(email);
  const ok = await matches(user?.password ?? nobodys, password); // which takes as long for nobody
  return [ok && user?.password && !user.disabled ? 204 : 401]; // and a session begins
}

async function read(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > 2 ** 20) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function answer(key, request) {
  const name = /^\/sparekey\/(find|set|health)$/.exec(request.url)?.[1];
  if (request.method !== "POST" || (!name && request.url !== "/login")) return [404, { title: "there is nothing here" }];
  const body = await read(request);
  if (!body) return [413, { title: "the body is too long" }];
  if (name && !signed(key, request.headers, body)) return [401, { title: "the signature is not good, or too old" }];
  let call;
  try {
    call = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body));
  } catch {
    return [400, { title: "the body is no JSON" }];
  }
  if (!name) return login(call);
  // The path is not signed, so the type says what the call is.
  if (call.type !== name) return [400, { title: `the body is not that of ${name}` }];
  return calls[name](call, request.headers["webhook-id"]);
}

function serve() {
  const secret = key(process.env.SECRET);
  const server = createServer(async (request, response) => {
    let status, body;
    try {
      [status, body] = await answer(secret, request);
    } catch (error) {
      console.error(error.code ?? error.name); // never the message: it may repeat some of the body, and so a password
      // Whether the file was written is not known: so it is not said that nothing was changed.
      [status, body] = [500, { title: "something went wrong" }];
    }
    if (body === undefined) return response.writeHead(status).end();
    response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
  });
  const [host, port] = (process.env.LISTEN || "127.0.0.1:8098").split(":");
  server.requestTimeout = 5000;
  server.listen(port, host, () => console.log(`listening at ${server.address().address}:${server.address().port}`));
  process.once("SIGTERM", () => {
    server.close(); // calls that are under way end
    server.closeIdleConnections();
  });
}

if (process.argv[2] === "add") {
  users.add(process.argv[3], await hash(readFileSync(0, "utf8").replace(/\n$/, "")));
} else {
  serve();
}
