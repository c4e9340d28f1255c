// The local stack: its API, and the people of its sandbox.

import { io } from 'socket.io-client';

/** Base URLs, from `run.sh`. */
export const API = process.env.WAXWING_API;
const SANDBOX = process.env.WAXWING_SANDBOX;
if (!API || !SANDBOX) throw new Error('WAXWING_API is not set: start the suite with tests/realtime/run.sh');

/** How long anything may take, in milliseconds. */
const DEADLINE = 60_000;

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

/** A user who is logged in, with tokens of a minute. */
export class User {
  /** A new one, with a subscription of its own. */
  static async register() {
    const user = new User();
    const email = `user-${Math.random().toString(36).slice(2)}@example.com`;
    user.#have((await api('POST', '/api/auth/register', { email, password: 'correct horse', name: 'Ada' })).tokens);
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

  /** A token that is good for a while yet. */
  async token() {
    return Date.now() - this.since < 20_000 ? this.tokens.accessToken : this.refresh();
  }

  /** A call of the API. */
  async api(method, path, body) {
    return api(method, path, body, await this.token());
  }

  /** Refreshes the token of a socket now and again, as a dashboard does, until the test ends. */
  keeps(t, follower) {
    const timer = setInterval(async () => follower.socket.emit('auth:refresh', { token: await this.token() }), 15_000);
    t.after(() => clearInterval(timer));
  }
}

/** Looks until there is something. */
export async function until(what, look) {
  const deadline = Date.now() + DEADLINE;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`${what} did not come in time`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** A socket of the feed that notes what it hears. It ends with the test. */
export class Follower {
  constructor(t, token, { url = API, ...options } = {}) {
    this.events = [];
    this.socket = io(url, { transports: ['websocket'], auth: { token }, forceNew: true, reconnectionDelay: 100, ...options });
    this.socket.onAny((name, data) => this.events.push({ name, data }));
    t.after(() => this.socket.disconnect());
  }

  /** Waits until it is connected; what it is refused with is an error. */
  async connected() {
    if (this.socket.connected) return this;
    await new Promise((resolve, reject) => {
      this.socket.once('connect', resolve);
      this.socket.once('connect_error', reject);
    });
    return this;
  }

  /** The message of the refusal. */
  async refused() {
    return this.connected().then(
      () => { throw new Error('the socket was let in'); },
      (refusal) => refusal.message,
    );
  }

  /** Sends a request and waits for its answer. */
  ask(name, data) {
    return this.socket.timeout(DEADLINE).emitWithAck(name, data);
  }

  /** Waits for an event of this name that fits; the first that came. */
  heard(name, fits = () => true) {
    return until(name, () => this.events.find((event) => event.name === name && fits(event.data))?.data);
  }

  /** Waits until the connection is over: why, as the client says it. */
  ended() {
    return new Promise((resolve) => this.socket.once('disconnect', resolve));
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
