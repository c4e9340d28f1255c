// Files as small as they can be, of the kinds that clients look into.

import { createHash } from 'node:crypto';

/** The SHA-256 of bytes, in hexadecimal. */
export function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

/** A picture of four pixels. */
export const PICTURE = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR4nGM4oaEBRAwQCgAhLgRhHuBtwgAAAABJRU5ErkJggg==',
  'base64',
);

/** A second of a tone (WAV, 16 bits, 16,000 samples a second). */
export function tone() {
  const samples = Buffer.alloc(32_000);
  for (let n = 0; n < 16_000; n += 1) samples.writeInt16LE(Math.round(8_000 * Math.sin(n / 6)), 2 * n);
  const head = Buffer.alloc(44);
  head.write('RIFF', 0);
  head.writeUInt32LE(36 + samples.length, 4);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(16_000, 24);
  head.writeUInt32LE(32_000, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write('data', 36);
  head.writeUInt32LE(samples.length, 40);
  return Buffer.concat([head, samples]);
}

function box(kind, ...parts) {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(body.length + 8, 0);
  head.write(kind, 4, 'latin1');
  return Buffer.concat([head, body]);
}

/** A film (MP4) of 1,280 by 720 pixels that says that it plays for two seconds and a half. */
export function film() {
  const head = Buffer.alloc(100);
  head.writeUInt32BE(1_000, 12);
  head.writeUInt32BE(2_500, 16);
  const track = Buffer.alloc(84);
  track.writeUInt32BE(0x10000, 40);
  track.writeUInt16BE(1_280, 76);
  track.writeUInt16BE(720, 80);
  const handler = Buffer.concat([Buffer.alloc(8), Buffer.from('vide'), Buffer.alloc(12)]);
  const movie = box('moov', box('mvhd', head), box('trak', box('tkhd', track), box('mdia', box('hdlr', handler))));
  return Buffer.concat([box('ftyp', Buffer.from('isom\0\0\x02\0isom', 'latin1')), box('mdat', Buffer.alloc(1_000, 7)), movie]);
}
