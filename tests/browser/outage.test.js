// The service goes away in the middle, and comes back.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { API } from '../node/stack.mjs';
import { Maker, Phone } from './lib/people.js';
import { Reader } from './lib/reader.js';
import { Relay } from './lib/relay.js';
import { text } from './lib/texts.js';

test('the page says that nobody answers, and goes on by itself', async (t) => {
  const [maker, phone, relay] = await Promise.all([Maker.with(), Phone.of('Ada'), Relay.to(t, API)]);
  const reader = await Reader.opens(t, await maker.address(relay.url));
  reader.awaits(/net::ERR_/);
  await reader.hears('status.DISCONNECTED');
  await reader.asksForQr();
  const qr = await reader.qr();
  await relay.away();
  await reader.reads('fault', text('fault.lost'));
  assert.equal(await reader.qr(), qr, 'what is on the page may be good still');
  await reader.fits();
  await phone.scan(qr);
  await relay.back();
  await reader.hears('link.used');
  assert.equal(await reader.at('fault'), null);
});

test('what a person asks of a service that is away is not lost without a word', async (t) => {
  const [maker, relay] = await Promise.all([Maker.with(), Relay.to(t, API)]);
  const reader = await Reader.opens(t, await maker.address(relay.url));
  reader.awaits(/net::ERR_/);
  await reader.hears('status.DISCONNECTED');
  await relay.away();
  await reader.page.type('#phone', '+1 555 010 0001');
  await reader.presses('phone-send');
  await reader.reads('phone-fault', text('fault.lost'));
  await relay.back();
  await reader.asksForQr();
  assert.equal(await reader.at('fault'), null);
});
