// Images and documents: up to the media host, through a message, and down again, byte for byte.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { downloadMediaMessage } from 'baileys';

import { BaileysClient } from './lib/client.js';
import { sha256 } from './lib/files.js';
import { Peer } from './lib/peer.js';
import { Phone } from './lib/sandbox.js';
import { scenario } from './lib/scenario.js';

/** Baileys makes thumbnails with packages that are not here; without one given it tries. */
const THUMBNAIL = { jpegThumbnail: randomBytes(64).toString('base64') };

scenario('an image and a document from Baileys', async (t) => {
  const client = await BaileysClient.paired(t, 'Ada');
  const peer = await Peer.paired(t, 'Bob');
  const [image, document] = [randomBytes(300_001), randomBytes(64_000)];

  const first = await client.send(peer.phone.jid, { image, caption: 'look', mimetype: 'image/png', ...THUMBNAIL });
  const seen = await peer.message('image', ({ id }) => id === first);
  assert.equal(seen.kind, 'image', seen.error);
  assert.equal(seen.sha256, sha256(image));
  assert.equal(seen.caption, 'look');
  assert.equal(seen.mimeType, 'image/png');
  const shown = await peer.phone.shown('image', ({ id, mediaSha256 }) => id === first && mediaSha256);
  assert.equal(shown.kind, 'image');
  assert.equal(shown.mediaSha256, sha256(image));

  const paper = { document, mimetype: 'application/pdf', fileName: 'terms.pdf' };
  const second = await client.send(peer.phone.jid, paper);
  const read = await peer.message('document', ({ id }) => id === second);
  assert.equal(read.kind, 'document', read.error);
  assert.equal(read.sha256, sha256(document));
  assert.equal(read.fileName, 'terms.pdf');
  const kept = await peer.phone.shown('document', ({ id, mediaSha256 }) => id === second && mediaSha256);
  assert.equal(kept.mediaSha256, sha256(document));
  assert.equal(kept.fileName, 'terms.pdf');
});

scenario('an image and a document from whatsapp-rust', async (t) => {
  const client = await BaileysClient.paired(t, 'Ada');
  const peer = await Peer.paired(t, 'Bob');
  const folder = await mkdtemp(join(process.env.WAXWING_BAILEYS_FOLDERS ?? tmpdir(), 'media-'));
  t.after(() => rm(folder, { recursive: true }));
  const [image, document] = [randomBytes(150_000), randomBytes(5)];
  await writeFile(join(folder, 'image'), image);
  await writeFile(join(folder, 'document'), document);

  const first = await peer.sendImage(client.phone.jid, join(folder, 'image'), 'image/jpeg', 'and you?');
  const seen = await client.message('image', ({ key }) => key.id === first);
  assert.equal(seen.message.imageMessage.caption, 'and you?');
  assert.equal(await downloaded(seen), sha256(image));

  const second = await peer.sendDocument(client.phone.jid, join(folder, 'document'), 'text/plain', 'note.txt');
  const read = await client.message('document', ({ key }) => key.id === second);
  assert.equal(read.message.documentMessage.fileName, 'note.txt');
  assert.equal(await downloaded(read), sha256(document));
});

scenario('an image and a document from a phone', async (t) => {
  const client = await BaileysClient.paired(t, 'Ada');
  const bob = await Phone.create('Bob');
  const [image, document] = [randomBytes(80_000), randomBytes(3_000)];

  const picture = { kind: 'image', base64: image.toString('base64'), mime: 'image/png', caption: 'hi' };
  const first = await bob.send(client.phone.number, picture);
  const seen = await client.message('image', ({ key }) => key.id === first);
  assert.equal(seen.message.imageMessage.caption, 'hi');
  assert.equal(seen.message.imageMessage.mimetype, 'image/png');
  assert.equal(await downloaded(seen), sha256(image));

  const paper = { kind: 'document', base64: document.toString('base64'), fileName: 'list.txt' };
  const second = await bob.send(client.phone.number, paper);
  const read = await client.message('document', ({ key }) => key.id === second);
  assert.equal(read.message.documentMessage.fileName, 'list.txt');
  assert.equal(await downloaded(read), sha256(document));
});

async function downloaded(message) {
  return sha256(await downloadMediaMessage(message, 'buffer', {}));
}
