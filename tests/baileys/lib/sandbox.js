// The sandbox's admin API: the network, and the people on it.

import { until } from './log.js';

/** The base URL of the admin API, from `run.sh`. */
const BASE = process.env.WAXWING_SANDBOX;
if (!BASE) throw new Error('WAXWING_SANDBOX is not set: start the suite with tests/baileys/run.sh');

/** Where WhatsApp clients connect. */
export const CHAT_URL = `${BASE.replace(/^http/, 'ws')}/ws/chat`;

/** One call. A refusal is an error that carries the sandbox's words. */
export async function call(method, path, body) {
  const text = typeof body === 'string' ? body : body && JSON.stringify(body);
  const answer = await fetch(BASE + path, { method, body: text, signal: AbortSignal.timeout(60_000) });
  const said = await answer.text();
  if (!answer.ok) throw Object.assign(new Error(`${method} ${path}: ${answer.status} ${said}`), { status: answer.status });
  return answer.headers.get('content-type')?.startsWith('application/json') ? JSON.parse(said) : said;
}

/** The public half of the root that the network's Noise certificates hang from. */
export async function rootKey() {
  return Buffer.from(await call('GET', '/admin/root-pub'), 'hex');
}

/** A person with a phone. */
export class Phone {
  constructor({ phone, lid, name }) {
    this.number = phone;
    this.jid = `${phone}@s.whatsapp.net`;
    this.lid = `${lid}@lid`;
    this.name = name;
  }

  /** A new person. */
  static async create(name) {
    return new Phone(await call('POST', '/admin/phones', { name }));
  }

  #do(action, body) {
    return call('POST', `/admin/phones/${this.number}/${action}`, body);
  }

  /** The person links the client that shows this QR code. */
  scan(qr) {
    return call('POST', `/admin/mock-phone/scan-qr?phone=${this.number}`, qr);
  }

  /** The person types this pairing code. A client shows its code before the server has heard of it. */
  enterCode(code) {
    return until(`client that shows a code to ${this.name}`, async () => {
      try {
        return { found: await this.#do('link-code', { code }) };
      } catch (refusal) {
        if (refusal.status !== 404) throw refusal;
        return { seen: refusal.message };
      }
    });
  }

  /** The person sends; answers the message's id. */
  async send(to, message) {
    return (await this.#do('send', { to, ...message })).id;
  }

  /** The person reads these messages. */
  read(ids) {
    return this.#do('read', { ids });
  }

  /** The person unlinks a device. */
  unlink(device) {
    return this.#do('unlink', { device });
  }

  /** The phone loses its connection: what comes for it waits. */
  offline() {
    return this.#do('offline');
  }

  /** The phone has a connection again. */
  online() {
    return this.#do('online');
  }

  /** What the network says of this phone now. */
  async view() {
    return (await call('GET', '/admin/phones')).find(({ phone }) => phone === this.number);
  }

  /** Waits until what the network says of this phone fits; answers it. */
  until(what, fits) {
    return until(`${what} of ${this.name}`, async () => {
      const view = await this.view();
      return { found: fits(view) ? view : undefined, seen: view };
    });
  }

  /** Waits until the phone shows a message that fits; answers it. */
  shown(what, fits) {
    return until(`${what} on the phone of ${this.name}`, async () => {
      const inbox = await call('GET', `/admin/phones/${this.number}/inbox`);
      return { found: inbox.find(fits), seen: inbox };
    });
  }

  /** Waits until the phone shows this text; answers the message. */
  text(text) {
    return this.shown(`text "${text}"`, (message) => message.text === text);
  }
}
