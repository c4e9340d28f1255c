// Takes what WhatsApp wants from the state of a pairing link, has the passkey used on WhatsApp's own page, and hands the answer to the
// link. Nothing is stored, and nobody else is asked.
'use strict';

const WHATSAPP = 'https://web.whatsapp.com';
const DEADLINE = 30_000;
const LOADED = 60_000;

const element = (id) => document.getElementById(id);
const say = (text) => { element('said').textContent = text; };

// The address of a pairing page, without what may stand behind it.
function pairing(text) {
  const url = new URL(text.trim());
  const token = /\/pair\/([A-Za-z0-9_-]{54})$/.exec(url.pathname.replace(/\/+$/, ''));
  if (url.protocol !== 'https:' || !token) throw new Error('This is not the address of a pairing page.');
  return { origin: url.origin, base: url.origin + url.pathname.replace(/\/+$/, '') };
}

async function ask(method, url, body) {
  const response = await fetch(url, {
    method,
    cache: 'no-store',
    credentials: 'omit',
    redirect: 'error',
    referrerPolicy: 'no-referrer',
    signal: AbortSignal.timeout(DEADLINE),
    headers: body ? { 'content-type': 'application/json' } : {},
    body: body ? JSON.stringify(body) : undefined,
  });
  const answer = await response.json();
  if (!answer.success) throw new Error(answer.error.message);
  return answer.data;
}

// Runs on WhatsApp's page: the browser asks the person, and signs for that page's origin. It has to be one function, since it is sent
// there as text.
async function assertion(options) {
  const toBytes = (text) => {
    const binary = atob(text.replace(/-/g, '+').replace(/_/g, '/'));
    return Uint8Array.from(binary, (character) => character.charCodeAt(0));
  };
  const toText = (buffer) => {
    const binary = String.fromCharCode(...new Uint8Array(buffer));
    return btoa(binary).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
  };
  const listed = options.allowCredentials ?? [];
  const publicKey = {
    ...options,
    challenge: toBytes(options.challenge),
    allowCredentials: listed.map((one) => ({ ...one, id: toBytes(one.id) })),
  };
  try {
    const { id, rawId, type, response } = await navigator.credentials.get({ publicKey });
    return {
      credential: {
        id,
        rawId: toText(rawId),
        type,
        response: {
          clientDataJSON: toText(response.clientDataJSON),
          authenticatorData: toText(response.authenticatorData),
          signature: toText(response.signature),
          userHandle: response.userHandle ? toText(response.userHandle) : null,
        },
      },
    };
  } catch (error) {
    return { fault: String(error?.message ?? error) };
  }
}

function loaded(tab) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => done(reject, new Error('WhatsApp Web did not load in time.')), LOADED);
    const listen = (id, change) => {
      if (id === tab && change.status === 'complete') done(resolve);
    };
    const done = (end, value) => {
      clearTimeout(timer);
      chrome.tabs.onUpdated.removeListener(listen);
      end(value);
    };
    chrome.tabs.onUpdated.addListener(listen);
  });
}

async function usePasskey(options) {
  const tab = await chrome.tabs.create({ url: `${WHATSAPP}/`, active: true });
  try {
    await loaded(tab.id);
    const [{ result }] = await chrome.scripting.executeScript({
      target: { tabId: tab.id },
      func: assertion,
      args: [options],
    });
    if (!result?.credential) throw new Error(`The passkey was not used: ${result?.fault ?? 'the page was closed'}`);
    return result.credential;
  } finally {
    await chrome.tabs.remove(tab.id).catch(() => {});
  }
}

/** Asks for leave to call the pairing page where it has none, acts, and gives back the leave that it was given. */
async function run() {
  const { origin, base } = pairing(element('link').value);
  const leave = { origins: [`${origin}/*`] };
  if (await chrome.permissions.contains(leave)) return hand(origin, base);
  if (!(await chrome.permissions.request(leave))) {
    throw new Error('Without leave to call the pairing page nothing can be done.');
  }
  try {
    await hand(origin, base);
  } finally {
    await chrome.permissions.remove(leave);
  }
}

async function hand(origin, base) {
  say('Asking the pairing page what WhatsApp wants…');
  const { passkey } = await ask('GET', `${base}/state`);
  if (!passkey?.options) throw new Error('WhatsApp does not ask for a passkey now. Look at the pairing page.');
  if (passkey.origin !== WHATSAPP) throw new Error(`The passkey is not for ${WHATSAPP}: use it on the pairing page.`);
  say('Waiting for your passkey…');
  const credential = await usePasskey(passkey.options);
  say('Handing the answer over…');
  await ask('POST', `${base}/passkey`, { credential });
  say(`Done: ${origin} has the answer. Go back to the pairing page, and compare the code with your phone.`);
}

element('form').addEventListener('submit', async (event) => {
  event.preventDefault();
  element('go').disabled = true;
  try {
    await run();
  } catch (error) {
    say(String(error?.message ?? error));
  }
  element('go').disabled = false;
});
