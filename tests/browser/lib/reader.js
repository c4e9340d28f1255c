// A person who has the pairing page before them.

import assert from 'node:assert/strict';

import jsqr from 'jsqr';
import { PNG } from 'pngjs';

import { DEADLINE, until } from '../../node/stack.mjs';
import { browser } from './browser.js';
import { text } from './texts.js';

/** A small phone. */
export const SMALL = { width: 360, height: 640, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

/** A reader. Each has a browser profile of their own, which ends with the test. The test fails if the page asked another host, wrote
 *  an error or a warning to the console, or met its content security policy. */
export class Reader {
  #faults = [];
  #awaited = [];
  #language;
  /** The addresses of the WebSockets that the page has opened, and what it heard over them. */
  sockets = [];
  heard = [];

  /** Opens the page at this address on a small phone. `first` runs in the page before its own script. */
  static async opens(t, address, { accepts = 'en', language = accepts, first = () => {} } = {}) {
    const reader = new Reader();
    reader.#language = language;
    reader.context = await (await browser()).createBrowserContext();
    t.after(() => reader.#leaves());
    reader.page = await reader.context.newPage();
    reader.page.setDefaultTimeout(DEADLINE);
    reader.devtools = await reader.page.createCDPSession();
    await reader.#watches(new URL(address).host);
    await reader.page.setViewport(SMALL);
    const userAgent = await (await browser()).userAgent();
    await reader.devtools.send('Emulation.setUserAgentOverride', { userAgent, acceptLanguage: accepts });
    await reader.page.evaluateOnNewDocument(first);
    await reader.page.goto(address);
    return reader;
  }

  async #watches(host) {
    const { page } = this;
    const asked = (url) => {
      const { protocol, host: theirs } = new URL(url);
      if (protocol !== 'data:' && theirs !== host) this.#faults.push(`another host was asked: ${url}`);
    };
    page.on('request', (request) => asked(request.url()));
    await this.devtools.send('Network.enable');
    this.devtools.on('Network.webSocketCreated', ({ url }) => {
      asked(url);
      this.sockets.push(url);
    });
    this.devtools.on('Network.webSocketFrameReceived', ({ response }) => this.heard.push(response.payloadData));
    page.on('pageerror', (error) => this.#faults.push(`the script failed: ${error.message}`));
    page.on('console', (message) => {
      if (['error', 'warn'].includes(message.type())) this.#faults.push(message.text());
    });
    await page.evaluateOnNewDocument(() => {
      addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
        console.error(`the policy forbids it: ${violatedDirective} ${blockedURI}`);
      });
    });
  }

  /** Says that the browser may complain of this: a request that is to fail here. */
  awaits(complaint) {
    this.#awaited.push(complaint);
  }

  async #leaves() {
    await this.context.close();
    const faults = this.#faults.filter((fault) => !this.#awaited.some((complaint) => complaint.test(fault)));
    assert.deepEqual(faults, []);
  }

  /** What stands at this id, as far as it is to be seen. */
  at(id) {
    return this.page.evaluate((id) => {
      const at = document.getElementById(id);
      return at.checkVisibility() ? at.textContent.trim() : null;
    }, id);
  }

  /** Waits until this is to be read at this id, for so many milliseconds. */
  reads(id, wanted, patience) {
    const what = async () => `“${wanted}” at ${id} of “${await this.page.evaluate(() => document.body.innerText)}”`;
    return until(what, async () => (await this.at(id)) === wanted, patience);
  }

  /** Waits until the page says this text, by its name, of what is going on. */
  hears(name) {
    return this.reads('what', text(name, { language: this.#language }));
  }

  /** Waits until there is something to be seen at this id: what it says. */
  sees(id) {
    return until(`something at ${id}`, () => this.at(id));
  }

  /** Presses what stands at this id. */
  async presses(id) {
    await this.page.click(`#${id}`);
  }

  /** Asks for a QR code. */
  async asksForQr() {
    await this.presses('connect');
    await this.hears('status.AWAITING_QR');
  }

  /** Reads the QR code off the screen, as a phone's camera does: once there is one that a camera finds. */
  qr() {
    return until('a QR code on the screen', async () => {
      const picture = await this.page.$('#qr');
      // One code follows another, and between them there may be none.
      const shot = await picture.screenshot({ type: 'png' }).catch(() => null);
      if (!shot) return null;
      const { width, height, data } = PNG.sync.read(Buffer.from(shot));
      return jsqr(new Uint8ClampedArray(data), width, height)?.data;
    });
  }

  /** What was copied last. */
  async clipboard() {
    const { origin } = new URL(this.page.url());
    await this.context.overridePermissions(origin, ['clipboard-read', 'clipboard-sanitized-write']);
    return this.page.evaluate(() => navigator.clipboard.readText());
  }

  /** The id of what has the focus. */
  focus() {
    return this.page.evaluate(() => document.activeElement.id);
  }

  /** Nothing stands out of the screen to its right. */
  async fits() {
    const { whole, screen, wide } = await this.page.evaluate(() => ({
      whole: document.documentElement.scrollWidth,
      screen: screen.width,
      wide: [...document.querySelectorAll('body *')]
        .filter((at) => at.checkVisibility() && !at.closest('.unseen') && at.getBoundingClientRect().right > screen.width)
        .map((at) => at.outerHTML),
    }));
    assert.deepEqual(wide, []);
    assert.ok(whole <= screen, `${whole} pixels of a page on a screen of ${screen}`);
  }

  /** Gives the browser the passkey of this phone. Unless they are `willing`, its person does not show who they are when asked. */
  async has({ passkey }, { willing = true } = {}) {
    const standard = (text) => Buffer.from(text, 'base64url').toString('base64');
    await this.devtools.send('WebAuthn.enable');
    const { authenticatorId } = await this.devtools.send('WebAuthn.addVirtualAuthenticator', {
      options: {
        protocol: 'ctap2',
        transport: 'internal',
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: willing,
        automaticPresenceSimulation: true,
      },
    });
    await this.devtools.send('WebAuthn.addCredential', {
      authenticatorId,
      credential: {
        credentialId: standard(passkey.credentialId),
        isResidentCredential: true,
        rpId: passkey.rpId,
        privateKey: passkey.privateKey,
        userHandle: standard(passkey.userHandle),
        signCount: 0,
      },
    });
    return { will: (isUserVerified) => this.devtools.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified }) };
  }
}
