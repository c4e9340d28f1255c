// The local stack, for suites in node: its API, and the people of its sandbox.

/** Base URLs, from `start_stack` in `.ci/stack.sh`. */
export const API = process.env.WAXWING_API;
const SANDBOX = process.env.WAXWING_SANDBOX;
if (!API || !SANDBOX) throw new Error('WAXWING_API is not set: start the suite with its run.sh');

/** How long anything may take, in milliseconds. */
export const DEADLINE = 120_000;

async function call(base, method, path, body, token) {
  const text = typeof body === 'string' ? body : body && JSON.stringify(body);
  const headers = { 'content-type': 'application/json' };
  if (token) headers.authorization = `Bearer ${token}`;
  const answer = await fetch(base + path, { method, body: text, headers, signal: AbortSignal.timeout(DEADLINE) });
  const said = await answer.text();
  if (!answer.ok) throw Object.assign(new Error(`${method} ${path}: ${answer.status} ${said}`), { status: answer.status });
  return answer.headers.get('content-type')?.startsWith('application/json') ? JSON.parse(said) : said;
}

/** A call of the API: what it answers as `data`. */
export async function api(method, path, body, token) {
  return (await call(API, method, path, body, token)).data;
}

/** A call of the sandbox's admin API. */
export function sandbox(method, path, body) {
  return call(SANDBOX, method, path, body);
}

/** The password of every [User]. */
export const PASSWORD = 'correct horse';

/** A user who is logged in. */
export class User {
  /** A new one, with a subscription of its own. */
  static async register() {
    const user = new User();
    const email = `user-${Math.random().toString(36).slice(2)}@example.com`;
    user.#have((await api('POST', '/api/auth/register', { email, password: PASSWORD, name: 'Ada' })).tokens);
    return user;
  }

  #have(tokens) {
    this.tokens = tokens;
    this.since = Date.now();
  }

  /** Brings another token, and answers it. */
  async refresh() {
    const { refreshToken } = this.tokens;
    const answer = await api('POST', '/api/auth/refresh', { refreshToken });
    this.#have(answer.tokens ?? answer);
    return this.tokens.accessToken;
  }

  /** A token that is good for a while yet, also where it lives for a minute. */
  async token() {
    return Date.now() - this.since < 20_000 ? this.tokens.accessToken : this.refresh();
  }

  /** A call of the API. */
  async api(method, path, body) {
    return api(method, path, body, await this.token());
  }
}

/** Looks until there is something, for so many milliseconds. `what` may be a function, for words that say what was there instead. */
export async function until(what, look, patience = DEADLINE) {
  const deadline = Date.now() + patience;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`${typeof what === 'function' ? await what() : what} did not come in time`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** An instance that is connected to a phone of the sandbox. */
export async function pair(user, name) {
  await user.api('POST', `/api/instances/${name}/connect`);
  const qr = await until('a QR code', () => user.api('GET', `/api/instances/${name}/qr`).catch((refusal) => {
    if (refusal.status !== 409) throw refusal;
  }));
  return sandbox('POST', '/admin/mock-phone/scan-qr', qr.code);
}
