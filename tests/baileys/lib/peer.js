// A whatsapp-rust client in a process of its own (`tests/src/peer`), whose every event is kept.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

import { Log } from './log.js';
import { CHAT_URL, Phone } from './sandbox.js';
import { follow } from './scenario.js';

/** The program, from `run.sh`. */
const PROGRAM = process.env.WAXWING_PEER;

/** A linked device that is a whatsapp-rust client. */
export class Peer {
  #process;
  #log;
  #commands = 0;

  constructor(phone) {
    this.phone = phone;
    this.#log = new Log(`whatsapp-rust of ${phone.name}`);
    const root = process.env.NODE_EXTRA_CA_CERTS;
    const options = ['--url', CHAT_URL, ...(root ? ['--media-root', root] : [])];
    this.#process = spawn(PROGRAM, options, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#process.on('error', (error) => this.#log.add('error', error));
    this.#process.on('exit', (code, signal) => this.#log.add('exit', { code, signal }));
    this.#process.stdin.on('error', (error) => this.#log.add('error', error));
    createInterface({ input: this.#process.stdout }).on('line', (line) => {
      const { event, ...data } = JSON.parse(line);
      this.#log.add(event ?? 'answer', data);
    });
  }

  /** A client that has just been linked with a person's phone, a new one's if only a name is given; ended with `t`. */
  static async paired(t, person) {
    const phone = person instanceof Phone ? person : await Phone.create(person);
    const peer = new Peer(phone);
    follow(t, peer.#log);
    t.after(() => peer.#end());
    await phone.scan(await peer.#event('qr', 'QR code', ({ code }) => code));
    await peer.#event('connected', 'login', () => true);
    return peer;
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

  /** Has the client do something; answers what it says when it is done. */
  async #do(what, details) {
    const number = ++this.#commands;
    this.#process.stdin.write(`${JSON.stringify({ number, do: what, ...details })}\n`);
    const mine = (data) => (data.answer === number ? data : undefined);
    const answer = await this.#event('answer', `answer to ${what}`, mine);
    if (answer.error) throw new Error(`whatsapp-rust cannot do ${what}: ${answer.error}`);
    return answer;
  }

  /** Sends; answers the message's id once the server has it. */
  async #send(what, details) {
    const { id } = await this.#do(what, details);
    const mine = (data) => (data.class === 'message' && data.id === id ? data : undefined);
    const ack = await this.#event('ack', `ack of ${id}`, mine);
    if (ack.error) throw new Error(`the server refused ${id} with ${ack.error}`);
    return id;
  }

  sendText(to, text) {
    return this.#send('text', { to, text });
  }

  sendImage(to, path, mimeType, caption) {
    return this.#send('image', { to, path, mimeType, caption });
  }

  sendDocument(to, path, mimeType, fileName) {
    return this.#send('document', { to, path, mimeType, fileName });
  }

  /** Marks messages as read; in a group, `sender` wrote them. */
  read(chat, ids, sender) {
    return this.#do('read', { chat, ids, sender });
  }

  /** Waits for a message that fits; answers it. */
  message(what, fits) {
    return this.#event('message', what, (message) => (fits(message) ? message : undefined));
  }

  /** Waits for a text; answers its message. */
  text(text) {
    return this.message(`text "${text}"`, (message) => message.text === text);
  }

  /** How often a text came. */
  texts(text) {
    return this.#log.count((name, data) => name === 'message' && data.text === text);
  }

  /** Waits for a receipt of this type (`Delivered`, `Read`) for a message; answers it. */
  receipt(id, type) {
    const fits = (receipt) => receipt.type === type && receipt.ids.includes(id);
    return this.#event('receipt', `${type} receipt for ${id}`, (receipt) => (fits(receipt) ? receipt : undefined));
  }
}
