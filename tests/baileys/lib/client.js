// A Baileys client with a folder for its credentials, whose every event is kept.

import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import makeWASocket, { DisconnectReason, WA_CERT_DETAILS, proto, useMultiFileAuthState } from 'baileys';

import { Log } from './log.js';
import { CHAT_URL, Phone, rootKey } from './sandbox.js';
import { follow } from './scenario.js';

// Baileys pins WhatsApp's root. The pin is a member of an exported object and read at each handshake, so the
// network's own root takes its place without a change to the package.
WA_CERT_DETAILS.PUBLIC_KEY = await rootKey();

// libsignal prints sessions, keys and all, to the console.
for (const method of ['info', 'warn', 'error']) console[method] = () => {};

/** Where credentials are kept; whoever gave the folder removes it. */
const FOLDERS = process.env.WAXWING_BAILEYS_FOLDERS ?? tmpdir();

const { DELIVERY_ACK, READ } = proto.WebMessageInfo.Status;

/** A linked device that is a Baileys client. */
export class BaileysClient {
  #folder;
  #log;
  #socket;
  #saving = Promise.resolve();
  /** Where the log stood when the connection of now began. */
  #begun = 0;
  /** Settings of Baileys that this client has otherwise than the others. */
  #settings;

  /** @param {Phone} phone whose companion it is or becomes */
  constructor(phone, folder, settings = {}) {
    this.phone = phone;
    this.#folder = folder;
    this.#settings = settings;
    this.#log = new Log(`Baileys of ${phone.name}`);
  }

  /** A client with an empty folder; it is ended with test `t`. */
  static async create(t, phone, settings) {
    const client = new BaileysClient(phone, await mkdtemp(join(FOLDERS, 'client-')), settings);
    return client.#in(t);
  }

  /** A client that has just been linked by QR code with a person's phone, a new one's if only a name is given. */
  static async paired(t, person, settings) {
    const phone = person instanceof Phone ? person : await Phone.create(person);
    const client = await BaileysClient.create(t, phone, settings);
    await client.connect();
    await client.phone.scan(await client.qr());
    await client.restart();
    return client;
  }

  /** The same, linked by the code that one types on the phone. */
  static async pairedByCode(t, name) {
    const client = await BaileysClient.create(t, await Phone.create(name));
    await client.connect();
    // The server has taken its registration when it gives it something to show.
    await client.qr();
    await client.phone.enterCode(await client.#socket.requestPairingCode(client.phone.number));
    await client.restart();
    return client;
  }

  /** A second client on the same folder: the same device once more. */
  twin(t) {
    return new BaileysClient(this.phone, this.#folder, this.#settings).#in(t);
  }

  /** Loses all Signal sessions, as a client does whose folder came from an old backup. Only while disconnected. */
  async loseSessions() {
    const sessions = (await readdir(this.#folder)).filter((name) => name.startsWith('session-'));
    if (!sessions.length) throw new Error('there is no session to lose');
    await Promise.all(sessions.map((name) => rm(join(this.#folder, name))));
  }

  #in(t) {
    follow(t, this.#log);
    t.after(() => this.disconnect());
    return this;
  }

  /** Baileys' socket of now. */
  get socket() {
    return this.#socket;
  }

  /** Connects with the credentials of the folder. */
  async connect() {
    const { state, saveCreds } = await useMultiFileAuthState(this.#folder);
    this.#begun = this.#log.length;
    const socket = makeWASocket({
      waWebSocketUrl: CHAT_URL,
      auth: state,
      logger: logger(this.#log),
      browser: ['Waxwing', 'Chrome', '1'],
      // Without the phone's history it holds events back for 20 s after its first login.
      shouldSyncHistoryMessage: () => false,
      getMessage: async (key) => this.#sent.get(key.id),
      ...this.#settings,
    });
    this.#socket = socket;
    socket.ev.process((events) => {
      for (const [name, data] of Object.entries(events)) this.#log.add(name, data);
    });
    socket.ev.on('creds.update', () => {
      this.#saving = this.#saving.then(saveCreds);
    });
    socket.ws.on('CB:ack,class:message', ({ attrs }) => this.#log.add('ack', attrs));
  }

  /** Ends the connection from this side, and waits until what it knows is in the folder. */
  async disconnect() {
    await this.#socket?.end(undefined);
    this.#socket = undefined;
    await this.#saving;
  }

  /** Waits until the server asks it to come back, as after pairing, and comes back. */
  async restart() {
    const reason = await this.closed();
    if (reason !== DisconnectReason.restartRequired) throw new Error(`closed with ${reason}, not to come back`);
    await this.#saving;
    await this.connect();
    await this.opened();
  }

  #connection(what, pick) {
    const update = (name, data) => (name === 'connection.update' ? pick(data) : undefined);
    return this.#log.wait(what, update, { from: this.#begun });
  }

  /** The QR code that it shows. */
  qr() {
    return this.#connection('QR code', ({ qr }) => qr);
  }

  /** Waits until it is logged in. */
  opened() {
    return this.#connection('login', ({ connection }) => (connection === 'open' ? true : undefined));
  }

  /** Waits until it has all that waited for it. */
  caughtUp() {
    return this.#connection('end of the backlog', ({ receivedPendingNotifications: all }) => all || undefined);
  }

  /** Waits until the connection is over; answers the status code that Baileys gives the reason. */
  closed() {
    return this.#connection('end of the connection', ({ connection, lastDisconnect }) => {
      return connection === 'close' ? (lastDisconnect?.error?.output?.statusCode ?? 0) : undefined;
    });
  }

  #sent = new Map();

  /** Sends; answers the message's id once the server has it. */
  async send(to, content, options) {
    const { key, message } = await this.#socket.sendMessage(to, content, options);
    this.#sent.set(key.id, message);
    return this.#acked(key.id);
  }

  /** Sends a message as it is, where Baileys has no words for it; answers its id once the server has it. */
  async relay(to, message) {
    return this.#acked(await this.#socket.relayMessage(to, message, {}));
  }

  async #acked(id) {
    const ack = await this.#log.wait(`ack of ${id}`, (name, data) => {
      return name === 'ack' && data.id === id ? data : undefined;
    });
    if (ack.error) throw new Error(`the server refused ${id} with ${ack.error}`);
    return id;
  }

  /** Waits for an event of this name, for one of the things it tells of that fits; answers that. */
  event(event, what, fits) {
    return this.#log.wait(what, (name, data) => (name === event ? [data].flat().find(fits) : undefined));
  }

  /** Waits for a message that fits; answers it. */
  message(what, fits) {
    return this.#log.wait(what, (name, data) => {
      return name === 'messages.upsert' ? data.messages.find((message) => message.message && fits(message)) : undefined;
    });
  }

  /** Waits for a text; answers its message. */
  text(text) {
    return this.message(`text "${text}"`, ({ message }) => textOf(message) === text);
  }

  /** All messages that came, in their order. */
  all() {
    const messages = [];
    this.#log.count((name, data) => {
      if (name === 'messages.upsert') messages.push(...data.messages.map(({ message }) => message));
      return false;
    });
    return messages;
  }

  /** How often a text came. */
  texts(text) {
    return this.#log.count((name, data) => {
      return name === 'messages.upsert' && data.messages.some(({ message }) => textOf(message) === text);
    });
  }

  #status(id, status, what) {
    // A receipt that overtakes the client's own note of the message is part of that note.
    return this.#log.wait(`${what} receipt for ${id}`, (name, data) => {
      if (name === 'messages.update') return data.find(({ key, update }) => key.id === id && update.status >= status);
      if (name === 'messages.upsert') return data.messages.find((one) => one.key.id === id && one.status >= status);
      return undefined;
    });
  }

  /** Waits until this person has a message to a group (`receiptTimestamp`), or has read it (`readTimestamp`). */
  groupReceipt(id, person, stamp) {
    const theirs = ({ userJid, [stamp]: at }) => at && [person.jid, person.lid].includes(userJid);
    return this.#log.wait(`${stamp} of ${id} by ${person.name}`, (name, data) => {
      if (name === 'message-receipt.update') {
        return data.find(({ key, receipt }) => key.id === id && theirs(receipt));
      }
      if (name === 'messages.upsert') {
        return data.messages.find(({ key, userReceipt }) => key.id === id && userReceipt?.some(theirs));
      }
      return undefined;
    });
  }

  /** Waits until the other side has the message. */
  delivered(id) {
    return this.#status(id, DELIVERY_ACK, 'delivery');
  }

  /** Waits until the other side has read the message. */
  wasRead(id) {
    return this.#status(id, READ, 'read');
  }
}

/** The text of a message, if it is one. */
export function textOf(message) {
  return message?.conversation || message?.extendedTextMessage?.text || undefined;
}

/** Baileys' log goes where its events go. `WAXWING_BAILEYS_TRACE=1` adds every stanza. */
function logger(log) {
  const level = process.env.WAXWING_BAILEYS_TRACE ? 'trace' : 'info';
  const levels = ['trace', 'debug', 'info', 'warn', 'error'];
  const write = (at) => {
    if (levels.indexOf(at) < levels.indexOf(level)) return () => {};
    return (first, second) => log.add(`[${at}]`, second ? [second, first] : first);
  };
  const self = { level, child: () => self };
  for (const at of levels) self[at] = write(at);
  return self;
}
