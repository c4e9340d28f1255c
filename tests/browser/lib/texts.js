// What the page says, by language and name.

import { readFileSync } from 'node:fs';

const FOLDER = new URL('../../../functions/src/management/pair/texts/', import.meta.url);

/** The languages of the page. */
export const LANGUAGES = ['en', 'pt', 'es', 'id'];

const TEXTS = Object.fromEntries(LANGUAGES.map((tag) => [tag, JSON.parse(readFileSync(new URL(`${tag}.json`, FOLDER), 'utf8'))]));

/** A text, with these values in it. */
export function text(name, { language = 'en', ...values } = {}) {
  const found = TEXTS[language][name];
  if (!found) throw new Error(`there is no text ${name} in ${language}`);
  return found.replace(/\{(\w+)\}/g, (_, key) => values[key]);
}
