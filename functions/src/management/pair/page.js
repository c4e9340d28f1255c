// The page on which whoever holds the phone pairs an instance. The token of the link is in the page's own address. It goes
// nowhere but into requests to that address.
'use strict';

(() => {
  // Milliseconds between two looks: usually, while the realtime feed tells what changes, where nobody sees the page, and at most
  // where looks fail.
  const USUAL = 2_000;
  const TOLD = 5_000;
  const UNSEEN = 15_000;
  const LONGEST = 30_000;
  // How long a request may take: a little longer than the service lets it.
  const DEADLINE = 32_000;
  // A link lives for half an hour, so nothing is to be seen after this.
  const END = 45 * 60_000;
  // Nothing happens by itself in these.
  const RESTS = ['DISCONNECTED', 'FORCE_DISCONNECTED', 'LOGGED_OUT', 'BANNED', 'UNKNOWN'];

  const address = location.pathname.replace(/\/+$/, '');
  const element = (id) => document.getElementById(id);
  let language = document.documentElement.lang;
  let latest = null;
  // What a person asked for here and waits to see.
  let awaited = null;

  // --- Words ---------------------------------------------------------------------------------------------------

  const has = (name) => name in TEXTS[language];

  function say(name, values = {}) {
    return TEXTS[language][name].replace(/\{(\w+)\}/g, (_, key) => values[key] ?? '');
  }

  // Writes a text where it is another one, so that a screen reader says what is new and nothing twice.
  function write(id, text) {
    const at = element(id);
    at.hidden = !text;
    if (at.textContent !== text) at.textContent = text;
  }

  function translate() {
    document.documentElement.lang = language;
    document.title = say('title');
    for (const at of document.querySelectorAll('[data-text]')) at.textContent = say(at.dataset.text);
    for (const at of document.querySelectorAll('[data-alt]')) at.alt = say(at.dataset.alt);
  }

  // --- Requests ------------------------------------------------------------------------------------------------

  async function ask(method, what, body) {
    const response = await fetch(`${address}/${what}`, {
      method,
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
      referrerPolicy: 'no-referrer',
      signal: AbortSignal.timeout?.(DEADLINE),
      headers: body ? { 'content-type': 'application/json' } : {},
      body: body ? JSON.stringify(body) : undefined,
    });
    const answer = await response.json();
    return answer.success
      ? { state: answer.data }
      : { fault: answer.error.code, wait: Number(response.headers.get('retry-after')) * 1_000 };
  }

  // Follows the realtime feed: Socket.IO (protocol 5) over Engine.IO (4), over WebSocket. It says no more than that something has
  // changed. `tells` is called with whether it does, and `changed` when something has. Answers how to end it.
  function follow(tells, changed) {
    const feed = document.querySelector('meta[name="waxwing-feed"]').content;
    if (!feed) return () => {};
    const url = new URL(feed, location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    url.search = 'EIO=4&transport=websocket';
    let socket = null;
    let failures = 0;
    let timer = null;
    let silence = 0;

    // A connection of which nothing is heard, not even the server's pings, is none.
    function hear() {
      clearTimeout(timer);
      timer = setTimeout(lose, silence || DEADLINE);
    }

    function close() {
      clearTimeout(timer);
      if (!socket) return;
      socket.onmessage = null;
      socket.onclose = null;
      socket.close();
    }

    function lose() {
      close();
      failures += 1;
      timer = setTimeout(open, Math.min(USUAL * 2 ** failures, LONGEST) * (0.75 + Math.random() / 2));
      tells(false);
    }

    function take(packet) {
      hear();
      if (packet.startsWith('0')) {
        const { pingInterval, pingTimeout } = JSON.parse(packet.slice(1));
        silence = pingInterval + pingTimeout;
        socket.send(`40${JSON.stringify({ token: address.split('/').pop() })}`);
      } else if (packet === '2') {
        socket.send('3');
      } else if (packet.startsWith('40')) {
        failures = 0;
        socket.send('42["subscribe",{}]');
        tells(true);
      } else if (packet.startsWith('42')) {
        changed();
      } else if (packet.startsWith('41') || packet.startsWith('44')) {
        lose();
      }
    }

    function open() {
      try {
        socket = new WebSocket(url);
      } catch {
        // Nothing of this browser's passes to there: the page asks instead.
        return;
      }
      hear();
      socket.onmessage = ({ data }) => take(data);
      socket.onclose = lose;
    }

    open();
    return close;
  }

  // Where the page has its data from: it calls `show` with each new state, and with `null` where there is no such link.
  // Answers how to look at once.
  function watch(show, lost) {
    const begun = Date.now();
    let failures = 0;
    let timer = null;
    let looks = 0;
    let isTold = false;
    let isOver = false;
    let unfollow = null;

    async function look() {
      clearTimeout(timer);
      if (isOver) return;
      const mine = ++looks;
      let pause = isTold ? TOLD : USUAL;
      try {
        const { state, fault, wait } = await ask('GET', 'state');
        if (mine !== looks) return;
        if (fault === 'NOT_FOUND') return end(null);
        if (fault) throw Object.assign(new Error(fault), { wait });
        failures = 0;
        if (state.link !== 'open') return end(state);
        show(state);
        unfollow ??= follow(told, look);
      } catch (error) {
        if (mine !== looks) return;
        failures += 1;
        pause = Math.max(Math.min(USUAL * 2 ** failures, LONGEST), error.wait || 0);
        if (failures > 1) lost();
      }
      if (Date.now() - begun > END) return stop();
      // Not all pages that failed at once come back at once.
      pause *= failures ? 0.75 + Math.random() / 2 : 1;
      timer = setTimeout(look, document.hidden ? Math.max(pause, UNSEEN) : pause);
    }

    // What has changed before the feed tells, or since it told last, is to be looked for.
    function told(is) {
      if (isTold !== is) {
        isTold = is;
        look();
      }
    }

    function end(state) {
      stop();
      show(state);
    }

    function stop() {
      isOver = true;
      unfollow?.();
    }

    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) look();
    });
    look();
    return look;
  }

  // --- What is shown -------------------------------------------------------------------------------------------

  const sections = ['scan', 'type', 'passkey', 'confirm', 'begin', 'ask'];

  function only(...shown) {
    for (const id of sections) element(id).hidden = !shown.includes(id);
  }

  function show(state) {
    // What was said of a request is said until something is another.
    if (latest?.state?.status !== state?.status) forget();
    latest = { state };
    write('fault', '');
    if (state === null || state.link !== 'open') {
      const how = state === null ? 'unknown' : state.link;
      only();
      write('whose', '');
      write('what', say(`link.${how}`));
      write('hint', say(`link.${how}.hint`));
      return;
    }
    const network = state.network === 'sandbox' ? ` ${say('sandbox')}` : '';
    write('whose', say('whose', { instance: state.instance }) + network);
    const status = has(`status.${state.status}`) ? state.status : 'UNKNOWN';
    write('what', say(`status.${status}`));
    write('hint', hint(state, status));
    const isAtRest = RESTS.includes(status);
    const shown = [];
    if (state.qr) shown.push('scan');
    if (state.code) shown.push('type');
    if (state.passkey?.options) shown.push('passkey');
    if (state.passkey?.code) shown.push('confirm');
    if (isAtRest || status === 'AWAITING_PAIRING_CODE') shown.push('begin');
    // It stays while one QR code follows another.
    if (isAtRest || status === 'AWAITING_QR' || status === 'AWAITING_PAIRING_CODE') shown.push('ask');
    if (state.qr) showQr(state.qr.image);
    if (state.code) showCode('code', state.code.code);
    if (state.passkey?.options) showPasskey(state.passkey.options);
    if (state.passkey?.code) showCode('compared', state.passkey.code);
    element('connect').textContent = say(isAtRest ? 'connect.begin' : 'connect.instead');
    only(...shown);
    if (awaited && shown.includes(awaited)) {
      element(`${awaited}-title`).focus();
      awaited = null;
    }
  }

  function hint(state, status) {
    if (state.reason && has(`reason.${state.reason}`)) return say(`reason.${state.reason}`);
    if (status === 'AWAITING_PASSKEY' && !state.passkey) return say('passkey.checking');
    if (state.qr) return say('scan.left', { attempt: state.qr.attempt, most: state.qr.maxAttempts });
    return '';
  }

  function showQr(image) {
    if (element('qr').src !== image) element('qr').src = image;
  }

  function showCode(id, code) {
    const whole = code.length === 8 ? `${code.slice(0, 4)}-${code.slice(4)}` : code;
    if (element(id).textContent === whole) return;
    element(id).textContent = whole;
    element(`${id}-spelt`).textContent = [...code.replace('-', '')].join(' ');
  }

  // A browser makes an assertion only for the page's own host, or for one that this one is below.
  function showPasskey({ rpId = location.hostname }) {
    const isOurs = location.hostname === rpId || location.hostname.endsWith(`.${rpId}`);
    element('passkey-here').hidden = !isOurs;
    element('passkey-elsewhere').hidden = isOurs;
  }

  // Nothing was to be had twice in a row. What is on the page stays: it may be good still.
  function lost() {
    latest ??= {};
    latest.lost = true;
    write('fault', say('fault.lost'));
  }

  // Takes away what was said of requests.
  function forget() {
    for (const at of document.querySelectorAll('section .fault')) write(at.id, '');
  }

  function sayFault(id, fault) {
    write(id, say(has(`fault.${fault}`) ? `fault.${fault}` : 'fault.OTHER'));
  }

  // --- What a person does --------------------------------------------------------------------------------------

  // Does something once at a time. The button keeps the focus, which one that is disabled would lose.
  async function once(button, faultAt, act) {
    if (button.getAttribute('aria-disabled') === 'true') return;
    button.setAttribute('aria-disabled', 'true');
    button.setAttribute('aria-busy', 'true');
    write(faultAt, '');
    let fault = null;
    try {
      ({ fault } = await act());
    } catch {
      fault = 'lost';
    }
    button.removeAttribute('aria-disabled');
    button.removeAttribute('aria-busy');
    await look();
    if (fault) sayFault(faultAt, fault);
  }

  // --- Passkeys ------------------------------------------------------------------------------------------------

  function toBytes(text) {
    const binary = atob(text.replace(/-/g, '+').replace(/_/g, '/'));
    return Uint8Array.from(binary, (character) => character.charCodeAt(0));
  }

  function toText(buffer) {
    const binary = String.fromCharCode(...new Uint8Array(buffer));
    return btoa(binary).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
  }

  // Asks the browser for an assertion, and gives it as the service takes it. Browsers have both conversions of their own only
  // since lately.
  async function assertion(options) {
    const listed = options.allowCredentials ?? [];
    const publicKey = {
      ...options,
      challenge: toBytes(options.challenge),
      allowCredentials: listed.map((one) => ({ ...one, id: toBytes(one.id) })),
    };
    const { id, rawId, type, response } = await navigator.credentials.get({ publicKey });
    return {
      id,
      rawId: toText(rawId),
      type,
      response: {
        clientDataJSON: toText(response.clientDataJSON),
        authenticatorData: toText(response.authenticatorData),
        signature: toText(response.signature),
        userHandle: response.userHandle ? toText(response.userHandle) : null,
      },
    };
  }

  async function usePasskey() {
    if (!window.PublicKeyCredential) return { fault: 'unsupported' };
    let credential;
    try {
      credential = await assertion(latest.state.passkey.options);
    } catch {
      // Its person has said no, or there is no such passkey: browsers do not tell which.
      return { fault: 'cancelled' };
    }
    return ask('POST', 'passkey', { credential });
  }

  async function copy(button, text) {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = say('copied');
    } catch {
      button.textContent = say('copy.failed');
    }
  }

  element('connect').addEventListener('click', (event) => {
    awaited = 'scan';
    once(event.currentTarget, 'connect-fault', () => ask('POST', 'connect'));
  });

  element('phone-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const phone = element('phone').value.replace(/[\s().-]/g, '');
    awaited = 'type';
    once(element('phone-send'), 'phone-fault', () => ask('POST', 'code', { phone }));
  });

  element('use-passkey').addEventListener('click', (event) => {
    awaited = 'confirm';
    once(event.currentTarget, 'passkey-fault', usePasskey);
  });

  element('copy-address').addEventListener('click', (event) => copy(event.currentTarget, location.href));

  element('confirm-code').addEventListener('click', (event) => {
    const { code } = latest.state.passkey ?? {};
    once(event.currentTarget, 'confirm-fault', () => ask('POST', 'passkey/confirm', { code }));
  });

  element('copy-code').addEventListener('click', (event) => {
    copy(event.currentTarget, element('code').textContent.replace('-', ''));
  });

  element('language').addEventListener('change', (event) => {
    language = event.currentTarget.value;
    translate();
    forget();
    write('fault', '');
    if (latest && latest.state !== undefined) show(latest.state);
    else write('what', say('loading'));
    if (latest?.lost) lost();
  });

  const look = watch(show, lost);
})();
