// The realtime feed of a local stack.

import { io } from 'socket.io-client';

import { API, DEADLINE, User as Account, until } from '../../node/stack.mjs';

export { api, pair, sandbox, until } from '../../node/stack.mjs';

/** A user who is logged in, and whose sockets stay so. */
export class User extends Account {
  /** Refreshes the token of a socket now and again, as a dashboard does, until the test ends. */
  keeps(t, follower) {
    const timer = setInterval(async () => follower.socket.emit('auth:refresh', { token: await this.token() }), 15_000);
    t.after(() => clearInterval(timer));
  }
}

/** A socket of the feed that notes what it hears. It ends with the test. */
export class Follower {
  constructor(t, token, options = {}) {
    this.events = [];
    this.socket = io(API, { transports: ['websocket'], auth: { token }, forceNew: true, reconnectionDelay: 100, ...options });
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
