// A client of the feed, and what it follows.

import { io } from 'socket.io-client';

import { API, DEADLINE, until } from '../../node/stack.mjs';

/** A socket of the feed that notes what it hears. It ends with the test. */
export class Follower {
  constructor(t, token, { url = API, ...options } = {}) {
    this.events = [];
    const usual = { transports: ['websocket'], auth: { token }, forceNew: true, reconnectionDelay: 100, timeout: DEADLINE };
    this.socket = io(url, { ...usual, ...options });
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

  /** Brings the user's next token now and again, as a dashboard does, until the test ends. */
  staysWith(t, user) {
    const timer = setInterval(async () => this.socket.emit('auth:refresh', { token: await user.token() }), 15_000);
    t.after(() => clearInterval(timer));
  }

  /** Asks for what is behind the last event that it has, each time that it is connected. Answers when it has asked and was answered
   *  for the first time. */
  goesOn() {
    return new Promise((resolve, reject) => {
      this.socket.once('connect_error', reject);
      this.socket.on('connect', () => {
        const last = this.events.findLast(({ data }) => data?.id)?.data.id;
        this.socket.emit('subscribe', last ? { after: last } : {}, resolve);
      });
    });
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
