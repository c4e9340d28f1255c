// The extension uses a passkey on WhatsApp's page, hands the assertion to the pairing link, and asks nobody else.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';

import { Extension, Passkey, WHATSAPP } from './lib/extension.js';

const HOST = 'https://waxwing.example';
const ADDRESS = `${HOST}/pair/${randomBytes(40).toString('base64url')}`;

/** A pairing page's API at a point where WhatsApp asks for this passkey. */
function asking(passkey, challenge, { origin = WHATSAPP } = {}) {
  return ({ method }) => ({
    success: true,
    data: { passkey: method === 'GET' ? { stage: 'assertion', options: passkey.options(challenge), origin } : null },
  });
}

/** What was asked, without what tabs load by themselves. */
function calls({ asked }) {
  return asked.filter(({ url }) => !url.endsWith('/favicon.ico')).map(({ method, url }) => `${method} ${url}`);
}

test('hands the assertion to the pairing link and nothing to anybody else', async (t) => {
  const [passkey, challenge] = [new Passkey(), randomBytes(32)];
  const extension = await Extension.loaded(t, { host: HOST, answer: asking(passkey, challenge), passkey });
  await extension.uses(`${ADDRESS}/`);
  await extension.says(/^Done/);
  assert.deepEqual(calls(extension), [`GET ${ADDRESS}/state`, `GET ${WHATSAPP}/`, `POST ${ADDRESS}/passkey`]);
  const { body } = extension.asked.find(({ method }) => method === 'POST');
  assert.deepEqual(Object.keys(body), ['credential']);
  assert.deepEqual(Object.keys(body.credential).sort(), ['id', 'rawId', 'response', 'type']);
  assert.deepEqual(passkey.check(body.credential), {
    isSigned: true,
    isOurs: true,
    forHost: true,
    type: 'webauthn.get',
    challenge: challenge.toString('base64url'),
    origin: WHATSAPP,
  });
  const tabs = await extension.page.browser().pages();
  assert.deepEqual(tabs.filter((tab) => tab.url().startsWith(WHATSAPP)), [], 'the tab of WhatsApp is closed');
});

test('hands over nothing where its person says no', async (t) => {
  const passkey = new Passkey();
  const answer = asking(passkey, randomBytes(32));
  const extension = await Extension.loaded(t, { host: HOST, answer, passkey, willing: false });
  await extension.uses(ADDRESS);
  await extension.says(/^The passkey was not used/);
  assert.deepEqual(calls(extension), [`GET ${ADDRESS}/state`, `GET ${WHATSAPP}/`]);
});

test('opens WhatsApp’s page for a passkey of WhatsApp alone', async (t) => {
  const passkey = new Passkey();
  const answer = asking(passkey, randomBytes(32), { origin: 'http://localhost' });
  const extension = await Extension.loaded(t, { host: HOST, answer, passkey });
  await extension.uses(ADDRESS);
  await extension.says(/^The passkey is not for/);
  assert.deepEqual(calls(extension), [`GET ${ADDRESS}/state`]);
  for (const wrong of [ADDRESS.replace('https', 'http'), `${HOST}/pair/short`, HOST]) {
    await extension.uses(wrong);
    await extension.says(/^This is not the address of a pairing page/);
  }
  assert.equal(calls(extension).length, 1);
});
