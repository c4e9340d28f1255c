// Nobody scans: one QR code follows another, and then the attempt is over.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { until } from '../node/stack.mjs';
import { Maker, Phone } from './lib/people.js';
import { Reader } from './lib/reader.js';
import { text } from './lib/texts.js';

/** The first code stands for a minute, the next ones for less. */
const PATIENCE = 120_000;

test('the QR code changes, the attempt ends, and another one begins', async (t) => {
  const [maker, phone] = await Promise.all([Maker.with(), Phone.of('Ada')]);
  const reader = await Reader.opens(t, await maker.address());
  await reader.hears('status.DISCONNECTED');
  await reader.asksForQr();
  const seen = new Set();
  for (const attempt of [1, 2, 3]) {
    await reader.reads('hint', text('scan.left', { attempt, most: 3 }), PATIENCE);
    await until('another picture', async () => {
      const before = seen.size;
      return seen.add(await reader.qr()).size > before;
    });
    assert.equal(await reader.focus(), 'scan-title', 'a code that changes takes the focus from nobody');
  }
  await reader.hears('status.FORCE_DISCONNECTED');
  assert.equal(await reader.at('hint'), text('reason.QR_NOT_SCANNED'));
  assert.equal(await reader.at('scan'), null);
  await reader.asksForQr();
  await reader.reads('hint', text('scan.left', { attempt: 1, most: 3 }));
  await phone.scan(await reader.qr());
  await reader.hears('link.used');
});
