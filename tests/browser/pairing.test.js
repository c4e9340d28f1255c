// The three ways to pair: a QR code, a code to type, and a passkey on top of either.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { API } from '../node/stack.mjs';
import { Maker, Phone } from './lib/people.js';
import { Reader } from './lib/reader.js';
import { text } from './lib/texts.js';

test('pairs by the QR code on the screen', async (t) => {
  const [maker, phone] = await Promise.all([Maker.with('sales'), Phone.of('Ada')]);
  const reader = await Reader.opens(t, await maker.address());
  await reader.hears('status.DISCONNECTED');
  assert.equal(await reader.at('whose'), `${text('whose', { instance: 'sales' })} ${text('sandbox')}`);
  await reader.asksForQr();
  await reader.sees('scan');
  assert.equal(await reader.at('hint'), text('scan.left', { attempt: 1, most: 3 }));
  assert.equal(await reader.focus(), 'scan-title', 'a screen reader goes on where the way goes on');
  await reader.fits();
  await phone.scan(await reader.qr());
  await reader.hears('link.used');
  assert.equal(await reader.at('hint'), text('link.used.hint'));
  for (const id of ['whose', 'scan', 'begin', 'ask']) assert.equal(await reader.at(id), null, id);
  assert.equal(await maker.connected(), phone.phone);
});

test('pairs by the code that is typed on the phone', async (t) => {
  const [maker, phone] = await Promise.all([Maker.with(), Phone.of('Ada')]);
  const reader = await Reader.opens(t, await maker.address());
  await reader.hears('status.DISCONNECTED');
  reader.awaits(/400/);
  // The request for the code may still be out when the phone is linked, and is refused then.
  reader.awaits(/status of 409/);
  await reader.page.type('#phone', '0155');
  await reader.page.keyboard.press('Enter');
  await reader.reads('phone-fault', text('fault.VALIDATION_ERROR'));

  await reader.page.$eval('#phone', (input) => { input.value = ''; });
  await reader.page.type('#phone', phone.phone.replace(/^(\d)(\d{3})(\d{3})/, '+$1 ($2) $3-'));
  await reader.presses('phone-send');
  await reader.hears('status.AWAITING_PAIRING_CODE');
  const code = await reader.sees('code');
  assert.match(code, /^[A-Z0-9]{4}-[A-Z0-9]{4}$/);
  assert.equal(await reader.at('code-spelt'), [...code.replace('-', '')].join(' '), 'it is spelt to whoever hears it');
  assert.equal(await reader.at('phone-fault'), null);
  assert.equal(await reader.focus(), 'type-title');
  await reader.fits();
  await reader.presses('copy-code');
  await reader.reads('copy-code', text('copied'));
  assert.equal(await reader.clipboard(), code.replace('-', ''));
  await phone.type(code);
  await reader.hears('link.used');
  assert.equal(await maker.connected(), phone.phone);
});

test('a QR code instead of a code that waits', async (t) => {
  const [maker, phone] = await Promise.all([Maker.with(), Phone.of('Ada')]);
  const reader = await Reader.opens(t, await maker.address());
  // The request for the code may still be out, and is refused where a QR code is wanted meanwhile.
  reader.awaits(/status of 409/);
  await reader.hears('status.DISCONNECTED');
  await reader.page.type('#phone', phone.phone);
  await reader.presses('phone-send');
  await reader.hears('status.AWAITING_PAIRING_CODE');
  assert.equal(await reader.at('connect'), text('connect.instead'));
  await reader.asksForQr();
  assert.equal(await reader.at('type'), null);
  await phone.scan(await reader.qr());
  await reader.hears('link.used');
});

test('pairs with a passkey of the page’s own host', async (t) => {
  const [maker, phone] = await Promise.all([Maker.with(), Phone.of('Ada', { passkey: true })]);
  const reader = await Reader.opens(t, await maker.address());
  const person = await reader.has(phone, { willing: false });
  await reader.hears('status.DISCONNECTED');
  await reader.asksForQr();
  const linked = phone.scan(await reader.qr());
  await reader.hears('status.AWAITING_PASSKEY');
  await reader.sees('passkey');
  assert.equal(await reader.at('passkey-elsewhere'), null);
  await reader.fits();

  // Its person says no, and thinks better of it.
  await reader.presses('use-passkey');
  await reader.reads('passkey-fault', text('fault.cancelled'));
  await person.will(true);
  await reader.presses('use-passkey');
  const shown = await reader.sees('compared');
  assert.equal(await reader.at('passkey-fault'), null);
  assert.equal(shown, await phone.codeToCompare());
  assert.equal(await reader.at('compared-spelt'), [...shown.replace('-', '')].join(' '));
  assert.equal(await reader.focus(), 'confirm-title');
  await reader.fits();
  await reader.presses('confirm-code');
  await linked;
  await reader.hears('link.used');
  assert.equal(await maker.connected(), phone.phone);
});

test('leads to the extension where the passkey is another host’s', async (t) => {
  const [maker, phone] = await Promise.all([Maker.with(), Phone.of('Ada', { passkey: true })]);
  const address = await maker.address(API);
  const reader = await Reader.opens(t, address);
  await reader.hears('status.DISCONNECTED');
  await reader.asksForQr();
  // Nobody gives the passkey, so nobody waits for the end of this.
  phone.scan(await reader.qr()).catch(() => {});
  await reader.hears('status.AWAITING_PASSKEY');
  await reader.sees('passkey-elsewhere');
  assert.equal(await reader.at('passkey-here'), null);
  await reader.fits();
  await reader.presses('copy-address');
  await reader.reads('copy-address', text('copied'));
  assert.equal(await reader.clipboard(), address);
});
