// The real server that e2e/jsclient_test.go starts for these tests.
function setting(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; run these tests by: go test -run JS ./e2e`);
  return value;
}

/** server is a Sparekey that demands a key, and an admin's key for it. */
export const server = () => ({ url: setting('SPAREKEY_URL'), key: setting('SPAREKEY_KEY') });

/** openServer is one that runs with api.require_key: false. */
export const openServer = () => ({ url: setting('SPAREKEY_OPEN_URL') });

export const basePath = (url) => `${url}/api/1.0`;

/** nextId waits for the next mail to an address and answers the id in its link. */
export async function nextId(url, address) {
  const res = await fetch(`${url}/dev/mail/next?to=${encodeURIComponent(address)}`);
  if (!res.ok) throw new Error(`the development mailbox answered ${res.status}`);
  return (await res.text()).trim();
}
