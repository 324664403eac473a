// Servers that answer as a test wants, and clients that call them.
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { ApiClient, PasswordResetApi } from 'quatrix_api';

export const id = '0b0f8a52-8a3c-4c53-9d43-4be2ce4a3a10';
export const metadata = { id, multiple_accounts: false };

/** serve starts an HTTP server that ends with the test. What it was asked is in its `asked`. */
export async function serve(t, handler, host = '127.0.0.1') {
  const asked = [];
  const server = http.createServer(async (req, res) => {
    let body = '';
    for await (const chunk of req) body += chunk;
    asked.push({ method: req.method, url: req.url, headers: req.headers, body });
    await handler(req, res, body);
  });
  return { asked, ...(await listen(t, server, host)) };
}

/** serveRaw starts a server that does with each connection what it is told, once the call has come. */
export async function serveRaw(t, handler) {
  const server = net.createServer((socket) => {
    socket.on('error', () => {}); // the client may leave
    socket.once('data', () => handler(socket));
  });
  return listen(t, server, '127.0.0.1');
}

async function listen(t, server, host) {
  const sockets = new Set();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, host);
  await once(server, 'listening');
  t.after(async () => {
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  });
  const { port } = server.address();
  return { port, url: `http://${host.includes(':') ? `[${host}]` : host}:${port}` };
}

/** answer writes a JSON answer. */
export function answer(res, status, body, headers = {}) {
  res.writeHead(status, { 'Content-Type': 'application/json', ...headers });
  res.end(JSON.stringify(body));
}

/** connect makes an Api with a client of its own. */
export function connect(basePath, { key, prefix, ...settings } = {}) {
  const client = new ApiClient();
  Object.assign(client, { basePath, ...settings });
  Object.assign(client.authentications.api_key, { apiKey: key, apiKeyPrefix: prefix });
  return new PasswordResetApi(client);
}

/** failure answers the error of a call that must fail. */
export async function failure(promise) {
  const data = await promise.catch((error) => ({ error }));
  if (!data.error) throw new Error(`the call succeeded: ${JSON.stringify(data)}`);
  return data.error;
}
