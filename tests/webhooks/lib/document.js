// What docs/webhooks.md shows of receivers.

import { readFileSync } from 'node:fs';

const text = readFileSync(new URL('../../../docs/webhooks.md', import.meta.url), 'utf8');

/** The programs that it prints: the language, the file's name, the command that starts it, and the file itself. */
export const programs = [...text.matchAll(/as `(\S+)` under `([^`]+)`:\n\n```(\w+)\n([\s\S]*?)^```$/gm)].map(
  ([, file, command, language, source]) => ({ language, file, command, source }),
);

const signed = text.match(
  /under\s+the\s+secret\s+`([^`]+)`,\s+with\s+the\s+id\s+`([^`]+)`,\s+the\s+timestamp\s+`(\d+)`\s+and\s+the\s+body\s+`([^`]+)`,\s+the\s+signature\s+is\s+`([^`]+)`/,
);

/** The example of a signature; `null` where there is none. */
export const example = signed && { secret: signed[1], id: signed[2], seconds: signed[3], body: signed[4], signature: signed[5] };
