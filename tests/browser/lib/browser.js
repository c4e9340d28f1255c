// The browser of a test file: started by whoever needs it first, and ended with the file.

import { after } from 'node:test';

import puppeteer from 'puppeteer-core';

import { DEADLINE } from '../../node/stack.mjs';

const executablePath = process.env.WAXWING_BROWSER;
if (!executablePath) throw new Error('WAXWING_BROWSER is not set: start the suite with tests/browser/run.sh');

/** A browser of its own. It opens pages of the local stack alone, and works for root too, so it has no sandbox around it. */
export function launch(options = {}) {
  return puppeteer.launch({ executablePath, pipe: true, timeout: DEADLINE, ...options, args: ['--no-sandbox', ...(options.args ?? [])] });
}

let shared;

/** The browser that the tests of a file share. */
export function browser() {
  shared ??= launch();
  return shared;
}

after(async () => (await shared)?.close());
