// The page follows the realtime feed. Where it cannot, it asks now and again.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { API, until } from '../node/stack.mjs';
import { Maker, Phone } from './lib/people.js';
import { Reader } from './lib/reader.js';
import { Relay } from './lib/relay.js';
import { text } from './lib/texts.js';

/** Leaves the page no clock to look again by: what it shows then, it was told to look for. Runs in the page. */
function withoutClock() {
  window.setTimeout = () => 0;
}

/** The events in what a page has heard. */
function events({ heard }) {
  return heard.filter((packet) => packet.startsWith('42')).map((packet) => JSON.parse(packet.slice(2)));
}

test('whatever happens is shown when the feed tells of it', async (t) => {
  const [maker, phone] = await Promise.all([Maker.with(), Phone.of('Ada', { passkey: true })]);
  const address = await maker.address();
  const reader = await Reader.opens(t, address, { first: withoutClock });
  await reader.has(phone);
  await reader.hears('status.DISCONNECTED');
  await until('a socket that is in', () => reader.heard.some((packet) => packet.startsWith('40')));
  await reader.asksForQr();
  const linked = phone.scan(await reader.qr());
  await reader.hears('status.AWAITING_PASSKEY');
  await reader.sees('passkey');
  await reader.presses('use-passkey');
  assert.equal(await reader.sees('compared'), await phone.codeToCompare());
  await reader.presses('confirm-code');
  await linked;
  await reader.hears('link.used');

  const [socket] = reader.sockets;
  assert.equal(socket, `${new URL(address).origin.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`);
  const told = events(reader);
  assert.ok(told.length > 3, `${told.length} events`);
  for (const [name, { data, instance }] of told) {
    assert.equal(name, 'pairing:update');
    assert.deepEqual([data, instance], [{}, null], 'it says no more than that something has changed');
  }
});

test('another tab is told as well', async (t) => {
  const [maker, phone] = await Promise.all([Maker.with(), Phone.of('Ada')]);
  const address = await maker.address();
  const [acts, looks] = await Promise.all([Reader.opens(t, address), Reader.opens(t, address, { first: withoutClock })]);
  await Promise.all([acts.hears('status.DISCONNECTED'), looks.hears('status.DISCONNECTED')]);
  await until('a socket that is in', () => looks.heard.some((packet) => packet.startsWith('40')));
  await acts.asksForQr();
  await looks.hears('status.AWAITING_QR');
  await phone.scan(await looks.qr());
  await looks.hears('link.used');
});

test('a page to which no socket is given asks instead', async (t) => {
  const [maker, phone, relay] = await Promise.all([Maker.with(), Phone.of('Ada'), Relay.to(t, API)]);
  relay.cutsSockets();
  const reader = await Reader.opens(t, await maker.address(relay.url));
  reader.awaits(/WebSocket connection to .* failed/);
  await reader.hears('status.DISCONNECTED');
  await until('a try', () => reader.sockets.length > 0);
  await reader.page.type('#phone', phone.phone);
  await reader.presses('phone-send');
  await phone.type(await reader.sees('code'));
  await reader.hears('link.used');
  assert.deepEqual(reader.heard, []);
  assert.equal(await reader.at('fault'), null, 'it is nothing to trouble its reader with');
});

test('a page in a browser without sockets asks instead', async (t) => {
  const [maker, phone] = await Promise.all([Maker.with(), Phone.of('Ada')]);
  const reader = await Reader.opens(t, await maker.address(), { first: () => { delete window.WebSocket; } });
  await reader.hears('status.DISCONNECTED');
  await reader.asksForQr();
  await phone.scan(await reader.qr());
  await reader.hears('link.used');
  assert.deepEqual(reader.sockets, []);
});

test('a page whose socket is cut asks, and follows again', async (t) => {
  const [maker, phone, relay] = await Promise.all([Maker.with(), Phone.of('Ada'), Relay.to(t, API)]);
  const reader = await Reader.opens(t, await maker.address(relay.url));
  reader.awaits(/WebSocket connection to .* failed/);
  await reader.hears('status.DISCONNECTED');
  const joined = () => reader.heard.filter((packet) => packet.startsWith('40')).length;
  await until('a socket that is in', joined);
  relay.cutsSockets();
  await reader.asksForQr();
  await reader.reads('hint', text('scan.left', { attempt: 1, most: 3 }));
  relay.takesSockets();
  await until('another socket that is in', () => joined() > 1);
  await phone.scan(await reader.qr());
  await reader.hears('link.used');
});
