// Everything that happened to one party of a test, in order, so that a test can wait for one thing of it, the past
// included, and a test that fails can show what came instead.

/** How long anything may take before a test fails, in ms: far more than it takes on a busy machine. */
export const DEADLINE = 60_000;

/** The most entries that are shown of a log. */
const SHOWN = process.env.WAXWING_BAILEYS_TRACE ? 1_000 : 60;

export class Log {
  #entries = [];
  #waiting = new Set();

  /** @param {string} owner whose log it is, for its failures */
  constructor(owner) {
    this.owner = owner;
  }

  /** Where the log ends now; a wait can begin here instead of at the start. */
  get length() {
    return this.#entries.length;
  }

  /** Notes that `name` happened, with `data`. */
  add(name, data) {
    this.#entries.push({ at: new Date(), name, data });
    for (const look of this.#waiting) look();
  }

  /**
   * The first answer other than `undefined` that `pick(name, data)` gives for an entry at or after `from`.
   * Rejects at the deadline.
   */
  wait(what, pick, { from = 0, deadline = DEADLINE } = {}) {
    let next = from;
    return new Promise((resolve, reject) => {
      const end = (settle, value) => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        settle(value);
      };
      const look = () => {
        while (next < this.#entries.length) {
          const { name, data } = this.#entries[next++];
          try {
            const found = pick(name, data);
            if (found !== undefined) return end(resolve, found);
          } catch (error) {
            return end(reject, error);
          }
        }
      };
      const timer = setTimeout(() => {
        end(reject, new Error(`${this.owner}: no ${what} within ${deadline / 1000} s`));
      }, deadline);
      this.#waiting.add(look);
      look();
    });
  }

  /** How many entries match. */
  count(matches) {
    return this.#entries.filter(({ name, data }) => matches(name, data)).length;
  }

  /** The end of the log as text. */
  show() {
    const left = Math.max(0, this.#entries.length - SHOWN);
    const lines = this.#entries.slice(left).map(({ at, name, data }) => {
      return `  ${at.toISOString().slice(11, 23)} ${name} ${brief(data)}`;
    });
    return [...(left ? [`  (${left} before)`] : []), ...lines].join('\n') || '  nothing';
  }
}

/** A value on one line, its byte strings by their lengths. */
function brief(value) {
  const text = JSON.stringify(value, (_key, part) => {
    if (part instanceof Error) return String(part);
    if (part?.type === 'Buffer' || part instanceof Uint8Array) return `<${(part.data ?? part).length} bytes>`;
    return typeof part === 'bigint' ? String(part) : part;
  });
  return (text ?? '').slice(0, 600);
}

/**
 * Asks again and again until `look` answers something other than `undefined`.
 * For what can only be asked for; what announces itself is waited for in a log.
 */
export async function until(what, look, { deadline = DEADLINE } = {}) {
  const end = Date.now() + deadline;
  for (;;) {
    const { found, seen } = await look();
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error(`no ${what} within ${deadline / 1000} s, but ${JSON.stringify(seen)}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
