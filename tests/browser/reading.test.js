// The page for whoever reads another language, has a small screen, sees little, or hears it.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Maker, Phone } from './lib/people.js';
import { Reader, SMALL } from './lib/reader.js';
import { LANGUAGES, text } from './lib/texts.js';

/** Unfolds every part of the page. */
function unfold() {
  for (const at of document.querySelectorAll('main [hidden]')) at.hidden = false;
}

for (const [accepts, language] of [
  ['en-GB,en', 'en'],
  ['pt-BR,pt;q=0.9,en;q=0.8', 'pt'],
  ['es-419', 'es'],
  ['id,en;q=0.5', 'id'],
  ['fr-FR', 'en'],
]) {
  test(`the page speaks the language of a reader of ${accepts}`, async (t) => {
    const maker = await Maker.with();
    const reader = await Reader.opens(t, await maker.address(), { accepts, language });
    await reader.hears('status.DISCONNECTED');
    assert.equal(await reader.at('connect'), text('connect.begin', { language }));
    const { lang, title, chosen } = await reader.page.evaluate(() => ({
      lang: document.documentElement.lang,
      title: document.title,
      chosen: document.getElementById('language').value,
    }));
    assert.deepEqual({ lang, title, chosen }, { lang: language, title: text('title', { language }), chosen: language });
  });
}

test('a reader chooses another language, and loses nothing by it', async (t) => {
  const maker = await Maker.with();
  const reader = await Reader.opens(t, await maker.address());
  await reader.hears('status.DISCONNECTED');
  await reader.asksForQr();
  const qr = await reader.qr();
  for (const language of [...LANGUAGES].reverse()) {
    await reader.page.select('#language', language);
    await reader.reads('what', text('status.AWAITING_QR', { language }));
    assert.equal(await reader.at('hint'), text('scan.left', { attempt: 1, most: 3, language }));
    assert.equal(await reader.page.evaluate(() => document.documentElement.lang), language);
    assert.equal(await reader.qr(), qr);
  }
});

test('nothing stands out of a small screen, in any language', async (t) => {
  const maker = await Maker.with('x'.repeat(63));
  const address = await maker.address();
  for (const language of LANGUAGES) {
    const reader = await Reader.opens(t, address, { accepts: language });
    await reader.hears('status.DISCONNECTED');
    await reader.page.evaluate(unfold);
    for (const width of [360, 320]) {
      await reader.page.setViewport({ ...SMALL, width });
      await reader.fits();
    }
  }
});

test('every control, picture and part has a name, and headings lie one below the other', async (t) => {
  const maker = await Maker.with();
  const reader = await Reader.opens(t, await maker.address());
  await reader.hears('status.DISCONNECTED');
  await reader.page.evaluate(unfold);
  const { nodes } = await reader.devtools.send('Accessibility.getFullAXTree');
  const heard = nodes.filter(({ ignored }) => !ignored).map(({ role, name, properties = [] }) => ({
    role: role.value,
    name: name?.value ?? '',
    level: properties.find((property) => property.name === 'level')?.value.value,
  }));
  const of = (...roles) => heard.filter(({ role }) => roles.includes(role));
  const named = of('button', 'textbox', 'combobox', 'image', 'region', 'heading', 'link');
  assert.ok(named.length > 15, `${named.length} of them`);
  assert.deepEqual(named.filter(({ name }) => !name.trim()), []);
  assert.deepEqual(of('image').map(({ name }) => name), [text('scan.alt')]);
  assert.deepEqual(of('textbox').map(({ name }) => name), [text('ask.label')]);
  assert.deepEqual(of('combobox').map(({ name }) => name), [text('language.label')]);
  assert.deepEqual(of('main', 'contentinfo').map(({ role }) => role).sort(), ['contentinfo', 'main']);
  const levels = of('heading').map(({ level }) => level);
  assert.deepEqual([levels[0], levels.filter((level) => level === 1).length], [1, 1]);
  assert.ok(levels.every((level) => level <= 2), `${levels}`);
  const twice = await reader.page.evaluate(() => {
    const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
    const meant = [...document.querySelectorAll('[aria-labelledby], [aria-describedby], [for]')].flatMap((at) =>
      ['aria-labelledby', 'aria-describedby', 'for'].flatMap((name) => at.getAttribute(name)?.split(' ') ?? []));
    return { twice: ids.filter((id, at) => ids.indexOf(id) !== at), nowhere: meant.filter((id) => !ids.includes(id)) };
  });
  assert.deepEqual(twice, { twice: [], nowhere: [] });
});

test('what is going on is said once, when it changes', async (t) => {
  const [maker, phone] = await Promise.all([Maker.with(), Phone.of('Ada')]);
  const reader = await Reader.opens(t, await maker.address());
  await reader.hears('status.DISCONNECTED');
  const { nodes } = await reader.devtools.send('Accessibility.getFullAXTree');
  const region = nodes.find(({ role }) => role?.value === 'status');
  const live = Object.fromEntries(region.properties.map(({ name, value }) => [name, value.value]));
  assert.deepEqual([live.live, live.atomic], ['polite', true]);
  assert.equal(nodes.filter(({ role, ignored }) => role?.value === 'status' && !ignored).length, 1);
  await reader.page.evaluate(() => {
    window.said = [];
    const at = document.getElementById('status');
    const note = () => window.said.push(at.innerText);
    new MutationObserver(note).observe(at, { subtree: true, childList: true, characterData: true });
  });
  await reader.asksForQr();
  await phone.scan(await reader.qr());
  await reader.hears('link.used');
  const said = await reader.page.evaluate(() => window.said);
  assert.ok(said.length > 0);
  const again = said.filter((one, at) => one === said[at - 1]);
  assert.deepEqual(again, [], 'nothing is said twice in a row');
});

test('whoever has a keyboard alone reaches all that is to be done', async (t) => {
  const maker = await Maker.with();
  const reader = await Reader.opens(t, await maker.address());
  await reader.hears('status.DISCONNECTED');
  const reached = [];
  for (const wanted of ['connect', 'phone', 'phone-send', 'language']) {
    await reader.page.keyboard.press('Tab');
    reached.push(await reader.focus());
    const ring = await reader.page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    assert.equal(ring, 'solid', `${wanted} shows that it has the focus`);
  }
  assert.deepEqual(reached, ['connect', 'phone', 'phone-send', 'language']);
});

for (const scheme of ['light', 'dark']) {
  test(`all that is written is to be told from its ground where it is ${scheme}`, async (t) => {
    const maker = await Maker.with();
    const reader = await Reader.opens(t, await maker.address());
    await reader.hears('status.DISCONNECTED');
    await reader.page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    await reader.page.evaluate(unfold);
    const faint = await reader.page.evaluate(contrasts);
    assert.ok(faint.looked > 20, `${faint.looked} texts`);
    // WCAG 2.2, 1.4.3.
    assert.deepEqual(faint.ratios.filter(({ ratio }) => ratio < 4.5), []);
  });
}

/** The contrast of each text to what it stands on. Runs in the page. */
function contrasts() {
  const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
  const luminance = (colour) => {
    const [r, g, b] = channels(colour).slice(0, 3).map((one) => one / 255)
      .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (at) => {
    for (let under = at; under; under = under.parentElement) {
      const colour = getComputedStyle(under).backgroundColor;
      if ((channels(colour)[3] ?? 1) > 0) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const texts = [...document.querySelectorAll('body *')].filter((at) => at.checkVisibility() && !at.closest('.unseen, noscript') &&
    [...at.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim()));
  const ratios = texts.map((at) => {
    const [light, dark] = [luminance(getComputedStyle(at).color), luminance(ground(at))].sort((a, b) => b - a);
    return { text: at.textContent, ratio: (light + 0.05) / (dark + 0.05) };
  });
  return { looked: texts.length, ratios };
}
