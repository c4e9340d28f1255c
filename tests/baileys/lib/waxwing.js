// A whole local stack in a process of its own (`tests/src/telling.rs`), with an instance that is linked with a phone: driven by
// its HTTP API, and every event of the instance kept.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

import { Log, until } from './log.js';
import { CHAT_URL, Phone } from './sandbox.js';
import { follow } from './scenario.js';

/** The program, from `run.sh`. */
const PROGRAM = process.env.WAXWING_STACK;

/** An instance of a stack. */
export class Waxwing {
  #process;
  #log;
  #api;
  #user;
  #key;

  constructor(phone) {
    this.phone = phone;
    this.#log = new Log(`Waxwing of ${phone.name}`);
    const root = process.env.NODE_EXTRA_CA_CERTS;
    const options = ['--url', CHAT_URL, ...(root ? ['--media-root', root] : [])];
    const env = { ...process.env, WAXWING_LOG: 'warn', WAXWING_BCRYPT_COST: '4' };
    this.#process = spawn(PROGRAM, options, { stdio: ['pipe', 'pipe', 'inherit'], env });
    this.#process.on('error', (error) => this.#log.add('error', error));
    this.#process.on('exit', (code, signal) => this.#log.add('exit', { code, signal }));
    this.#process.stdin.on('error', (error) => this.#log.add('error', error));
    createInterface({ input: this.#process.stdout }).on('line', (line) => {
      const { event, ...data } = JSON.parse(line);
      this.#log.add(event, data);
    });
  }

  /** An instance that is linked with a new person's phone; its stack is ended with `t`. */
  static async paired(t, name) {
    const waxwing = new Waxwing(await Phone.create(name));
    follow(t, waxwing.#log);
    t.after(() => waxwing.#end());
    await waxwing.#pair();
    return waxwing;
  }

  async #pair() {
    this.#api = (await this.#event('up', 'start', (data) => data)).api;
    const account = { email: 'ada@example.com', password: 'correct horse battery staple', name: 'Ada' };
    this.#user = (await this.#call('POST', '/api/auth/register', account)).tokens.accessToken;
    const { id } = await this.#call('POST', '/api/instances', { name: 'main' });
    const { key } = await this.#call('POST', '/api/instances/main/keys', { name: 'a key' });
    await this.#call('POST', '/api/instances/main/connect');
    await this.phone.scan(await this.#shown('QR code', '/api/instances/main/qr', ({ code }) => code));
    await this.#shown('login', '/api/instances/main/status', ({ status }) => status === 'CONNECTED' || undefined);
    this.#key = key;
    this.#process.stdin.write(`${id}\n`);
    await this.#event('listening', 'interest in its events', () => true);
  }

  async #end() {
    this.#process.stdin.end();
    const gone = (name) => (name === 'exit' || name === 'error' ? true : undefined);
    await this.#log.wait('end of the process', gone).catch(() => this.#process.kill('SIGKILL'));
  }

  #event(event, what, pick) {
    return this.#log.wait(what, (name, data) => {
      if (name === 'exit' || name === 'error') throw new Error(`${this.#log.owner} is gone`);
      return name === event ? pick(data) : undefined;
    });
  }

  async #request(method, path, body) {
    const headers = { authorization: `Bearer ${this.#key ?? this.#user}` };
    if (body) headers['content-type'] = 'application/json';
    return fetch(this.#api + path, {
      method,
      headers,
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(60_000),
    });
  }

  /** A call of the API; answers its `data`. */
  async #call(method, path, body) {
    const answer = await this.#request(method, path, body);
    const said = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${said}`);
    return JSON.parse(said).data;
  }

  /** What is picked of the answer at a path, once it is there. */
  #shown(what, path, pick) {
    return until(`${what} of ${this.#log.owner}`, async () => {
      const answer = await this.#request('GET', path);
      const said = await answer.text();
      return { found: answer.ok ? pick(JSON.parse(said).data) : undefined, seen: said };
    });
  }

  /** Sends a message of this kind; answers its id once the other side has it. */
  async send(kind, body) {
    const { id } = await this.#call('POST', `/api/messages/${kind}`, body);
    return this.#delivered(id);
  }

  async #delivered(id) {
    await this.told('message.status', `delivery of ${id}`, (data) => data.id === id && data.status === 'delivered');
    return id;
  }

  /** Reacts to a message. */
  async react(message, emoji) {
    const { id } = await this.#call('POST', `/api/messages/${message}/reaction`, { emoji });
    return id;
  }

  /** Changes what a message says. */
  edit(message, text) {
    return this.#call('PATCH', `/api/messages/${message}`, { text });
  }

  /** Takes a message back. */
  revoke(message) {
    return this.#call('DELETE', `/api/messages/${message}`);
  }

  /** Waits until the instance is told this; answers the event's data. */
  told(type, what, fits) {
    return this.#event('told', what, (event) => (event.type === type && fits(event.data) ? event.data : undefined));
  }

  /** Waits for a message that fits; answers it. */
  message(what, fits) {
    return this.told('message.received', what, fits);
  }

  /** The bytes of a file that came. */
  async file(media) {
    // The answer leads to the file, with a signature in place of the key.
    const answer = await this.#request('GET', `/api/media/${media}`);
    if (!answer.ok) throw new Error(`file ${media}: ${answer.status} ${await answer.text()}`);
    return Buffer.from(await answer.arrayBuffer());
  }
}
