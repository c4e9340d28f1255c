// A link from its first use to its end.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { PASSWORD } from '../node/stack.mjs';
import { Maker, Phone } from './lib/people.js';
import { Reader } from './lib/reader.js';
import { text } from './lib/texts.js';

test('two tabs of a link show the same, and it pairs once', async (t) => {
  const [maker, phone] = await Promise.all([Maker.with(), Phone.of('Ada')]);
  const address = await maker.address();
  const [first, second] = await Promise.all([Reader.opens(t, address), Reader.opens(t, address)]);
  await Promise.all([first.hears('status.DISCONNECTED'), second.hears('status.DISCONNECTED')]);
  await first.asksForQr();
  await second.hears('status.AWAITING_QR');
  assert.equal(await second.focus(), '', 'nothing takes the focus of whoever did nothing');
  await second.sees('scan');
  assert.equal(await second.qr(), await first.qr());
  await phone.scan(await second.qr());
  await Promise.all([first.hears('link.used'), second.hears('link.used')]);
  const third = await Reader.opens(t, address);
  await third.hears('link.used');
  for (const reader of [first, second, third]) assert.equal(await reader.at('begin'), null);
});

test('a link that another one has replaced, or that is none, leads nowhere', async (t) => {
  const maker = await Maker.with();
  const address = await maker.address();
  const reader = await Reader.opens(t, address);
  reader.awaits(/404/);
  await reader.hears('status.DISCONNECTED');
  const next = await maker.address();
  await reader.hears('link.unknown');
  assert.equal(await reader.at('hint'), text('link.unknown.hint'));
  for (const id of ['whose', 'begin', 'ask']) assert.equal(await reader.at(id), null, id);
  const broken = await Reader.opens(t, next.slice(0, -4));
  broken.awaits(/404/);
  await broken.hears('link.unknown');
  await (await Reader.opens(t, next)).hears('status.DISCONNECTED');
});

test('a link that has ended says whom to ask', async (t) => {
  const maker = await Maker.with();
  const reader = await Reader.opens(t, await maker.address());
  await reader.hears('status.DISCONNECTED');
  const newPassword = 'another horse battery';
  await maker.user.api('POST', '/api/auth/change-password', { currentPassword: PASSWORD, newPassword });
  await reader.hears('link.ended');
  assert.equal(await reader.at('hint'), text('link.ended.hint'));
  assert.equal(await reader.at('begin'), null);
});

test('what was refused is said until something changes', async (t) => {
  const maker = await Maker.with();
  const address = await maker.address();
  const reader = await Reader.opens(t, address);
  reader.awaits(/429/);
  await reader.hears('status.DISCONNECTED');
  // Whoever has a link may ask for so much in an hour.
  let status;
  do ({ status } = await fetch(`${address}/connect`, { method: 'POST' })); while (status === 202);
  assert.equal(status, 429);
  // What was asked for is over before it is asked for again.
  await reader.hears('status.AWAITING_QR');
  await maker.user.api('POST', `/api/instances/${maker.instance.id}/disconnect`);
  await reader.hears('status.DISCONNECTED');
  await reader.presses('connect');
  await reader.reads('connect-fault', text('fault.RATE_LIMITED'));
  const looked = reader.page.waitForResponse((response) => response.url() === `${address}/state`);
  await reader.page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
  await looked;
  await reader.page.evaluate(() => new Promise(requestAnimationFrame));
  assert.equal(await reader.at('connect-fault'), text('fault.RATE_LIMITED'));
  await maker.user.api('POST', `/api/instances/${maker.instance.id}/connect`);
  await reader.hears('status.AWAITING_QR');
  assert.equal(await reader.at('connect-fault'), null);
});
