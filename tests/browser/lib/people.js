// Who takes part: whoever makes a pairing link, and whoever holds the phone.

import { API, User, sandbox, until } from '../../node/stack.mjs';

/** A user with an instance to pair. */
export class Maker {
  /** A new one. */
  static async with(name = 'sales') {
    const maker = new Maker();
    maker.user = await User.register();
    maker.instance = await maker.user.api('POST', '/api/instances', { name });
    return maker;
  }

  /** The path of a new link's page. */
  async link() {
    const { url } = await this.user.api('POST', `/api/instances/${this.instance.id}/pairing-link`);
    return new URL(url).pathname;
  }

  /** The same as an address. A passkey of the sandbox is for `localhost`. */
  async address(base = API.replace('127.0.0.1', 'localhost')) {
    return base + (await this.link());
  }

  /** Waits until the instance is connected: the number that it is connected with. */
  async connected() {
    const { phone } = await until('the connection', async () => {
      const found = await this.user.api('GET', `/api/instances/${this.instance.id}/status`);
      return found.status === 'CONNECTED' && found;
    });
    return phone;
  }
}

/** A phone of the sandbox, in somebody's hand. */
export class Phone {
  /** A new one. */
  static async of(name, more = {}) {
    const phone = new Phone();
    Object.assign(phone, await sandbox('POST', '/admin/phones', { name, ...more }));
    return phone;
  }

  /** Scans what a page shows. Answers when it has linked the page's instance. */
  scan(qr) {
    return sandbox('POST', `/admin/mock-phone/scan-qr?phone=${this.phone}`, qr);
  }

  /** Types a code. */
  type(code) {
    return sandbox('POST', `/admin/phones/${this.phone}/link-code`, { code });
  }

  /** The code that it shows to be compared. */
  codeToCompare() {
    return until('a code on the phone', async () => {
      const phones = await sandbox('GET', '/admin/phones');
      return phones.find(({ phone }) => phone === this.phone).linkingCode;
    });
  }
}
