// The extension of `extras/passkey-extension/` in a browser of its own. No request of it leaves the browser: a test plays WhatsApp's page
// and the pairing page's API.

import { createHash, generateKeyPairSync, randomBytes, verify } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { DEADLINE, until } from '../../node/stack.mjs';
import { launch } from './browser.js';

const SOURCE = new URL('../../../extras/passkey-extension/', import.meta.url);

/** WhatsApp's page, and its host as a relying party. */
export const WHATSAPP = 'https://web.whatsapp.com';
const RELYING_PARTY = 'web.whatsapp.com';

/** A passkey for WhatsApp. */
export class Passkey {
  #id = randomBytes(16);
  #keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });

  /** What WhatsApp asks for, with this challenge. */
  options(challenge) {
    return {
      challenge: challenge.toString('base64url'),
      rpId: RELYING_PARTY,
      allowCredentials: [{ id: this.#id.toString('base64url'), type: 'public-key' }],
      userVerification: 'required',
      timeout: 60_000,
    };
  }

  /** The same for Chromium's virtual authenticator. */
  credential() {
    return {
      credentialId: this.#id.toString('base64'),
      isResidentCredential: true,
      rpId: RELYING_PARTY,
      privateKey: this.#keys.privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64'),
      userHandle: randomBytes(16).toString('base64'),
      signCount: 0,
    };
  }

  /** Whether this is an assertion by it, as far as its signature goes, and what it was made for. */
  check({ id, response }) {
    const [client, data, signature] = ['clientDataJSON', 'authenticatorData', 'signature']
      .map((name) => Buffer.from(response[name], 'base64url'));
    const signed = Buffer.concat([data, createHash('sha256').update(client).digest()]);
    const { type, challenge, origin } = JSON.parse(client);
    return {
      isSigned: verify('sha256', signed, this.#keys.publicKey, signature),
      isOurs: id === this.#id.toString('base64url'),
      forHost: data.subarray(0, 32).equals(createHash('sha256').update(RELYING_PARTY).digest()),
      type,
      challenge,
      origin,
    };
  }
}

/** The extension, and whoever uses it. */
export class Extension {
  /** What was asked of anybody: method and URL, and the body where there is one. */
  asked = [];

  /** Loads it. Its user has allowed it to call `host` before, since nobody can press the browser's own buttons here. `answer` gets the
   *  requests to that host; `passkey` lies in an authenticator whose person is `willing` or not. */
  static async loaded(t, { host, answer, passkey, willing = true }) {
    const extension = new Extension();
    const folder = await mkdtemp(join(tmpdir(), 'waxwing-extension-'));
    t.after(() => rm(folder, { recursive: true }));
    await cp(SOURCE, folder, { recursive: true });
    const manifest = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'));
    manifest.host_permissions.push(`${host}/*`);
    await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest));

    const browser = await launch({ enableExtensions: [folder] });
    t.after(() => browser.close());
    const isWorker = (target) => target.url().endsWith('/background.js');
    const worker = await browser.waitForTarget(isWorker, { timeout: DEADLINE });
    await extension.#plays(browser, { host, answer, passkey, willing });
    extension.page = await browser.newPage();
    extension.page.setDefaultTimeout(DEADLINE);
    await extension.page.goto(new URL('page.html', worker.url()).href);
    return extension;
  }

  /** Answers every request that would leave the browser. */
  async #plays(browser, { host, answer, passkey, willing }) {
    const devtools = await browser.target().createCDPSession();
    devtools.on('Fetch.requestPaused', async ({ requestId, request, frameId }) => {
      const { method, url, postData } = request;
      this.asked.push({ method, url, body: postData && JSON.parse(postData) });
      const fulfill = (responseCode, type, body) => devtools.send('Fetch.fulfillRequest', {
        requestId,
        responseCode,
        responseHeaders: [{ name: 'content-type', value: type }],
        body: Buffer.from(body).toString('base64'),
      }).catch((error) => {
        // A tab that is closed waits for nothing any more.
        if (!error.message.includes('Invalid InterceptionId')) throw error;
      });
      if (url.startsWith(host)) return fulfill(200, 'application/json', JSON.stringify(answer(this.asked.at(-1))));
      if (url !== `${WHATSAPP}/`) return fulfill(404, 'text/plain', '');
      // The tab has its authenticator before its page.
      const { sessionId } = await devtools.send('Target.attachToTarget', { targetId: frameId, flatten: true });
      await lend(devtools.connection().session(sessionId), passkey, willing);
      return fulfill(200, 'text/html', '<title>WhatsApp</title>');
    });
    await devtools.send('Fetch.enable', { patterns: [{ urlPattern: 'http*' }] });
  }

  /** Pastes an address and presses the button. */
  async uses(address) {
    await this.page.bringToFront();
    await this.page.evaluate((value) => {
      document.getElementById('link').value = value;
      document.getElementById('said').textContent = '';
    }, address);
    await this.page.click('#go');
  }

  /** Waits until it says something that fits. */
  says(wanted) {
    const said = () => this.page.$eval('#said', (at) => at.textContent);
    return until(async () => `${wanted} of “${await said()}”`, async () => wanted.test(await said()));
  }
}

/** Gives a tab an authenticator with this passkey. */
async function lend(tab, passkey, isUserVerified) {
  await tab.send('WebAuthn.enable');
  const { authenticatorId } = await tab.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified,
      automaticPresenceSimulation: true,
    },
  });
  await tab.send('WebAuthn.addCredential', { authenticatorId, credential: passkey.credential() });
}
