"use strict";

/**
 * The verdicts on the cards of one audit, each of which can be undone.
 *
 * They are kept twice, under the audit's id and with a number that grows with every change: in the browser's storage, for all tabs and
 * for tomorrow, and in the name of the tab, which survives a reload even where the storage of a local file does not.
 */
class AuditState {
  static VERDICTS = ["accept", "reject"];
  static MAX_HISTORY = 2000;

  /** @param {Storage | null} storage null where the browser has none; `kept` then stays false. */
  constructor(auditId, cardCount, storage, tab) {
    this.key = `coemogen-audit/${auditId}`;
    this.cardCount = cardCount;
    this.storage = storage;
    this.tab = tab;
    this.revision = 0;
    this.current = 0;
    this.reviewer = "";
    this.shortcuts = true;
    this.verdicts = new Map(); // card index -> {verdict, note}
    this.history = []; // [card index, what stood there before or null], oldest first
    this.kept = false; // in the storage, that is
    this.#adopt(this.#latest());
  }

  /** Judge a card; what stood there before can be brought back. */
  judge(index, verdict, note) {
    this.update(() => {
      this.history.push([index, this.verdicts.get(index) ?? null]);
      this.history.splice(0, this.history.length - AuditState.MAX_HISTORY);
      this.verdicts.set(index, { verdict, note });
    });
  }

  /** Take the last verdict back; returns the index of its card, or null when there is none. */
  undo() {
    let index = null;
    this.update(() => {
      const last = this.history.pop();
      if (!last) return;
      index = last[0];
      if (last[1]) this.verdicts.set(index, last[1]);
      else this.verdicts.delete(index);
    });
    return index;
  }

  /** The first card after this one that has no verdict, from the start again after the last; null when all have one. */
  nextOpen(index) {
    for (let step = 1; step <= this.cardCount; step += 1) {
      const candidate = (index + step) % this.cardCount;
      if (!this.verdicts.has(candidate)) return candidate;
    }
    return null;
  }

  /** How many of these cards were accepted and rejected. */
  tally(indices) {
    const count = { accept: 0, reject: 0 };
    for (const index of indices) {
      const found = this.verdicts.get(index);
      if (found) count[found.verdict] += 1;
    }
    return { ...count, judged: count.accept + count.reject };
  }

  /** Change something on top of what other tabs have kept meanwhile, and keep it. */
  update(change) {
    this.refresh();
    change();
    this.revision += 1;
    const { key, revision, current, reviewer, shortcuts, history } = this;
    const text = JSON.stringify({ key, revision, current, reviewer, shortcuts, history, verdicts: [...this.verdicts] });
    this.tab.name = text;
    try {
      this.storage.setItem(key, text);
      this.kept = true;
    } catch {
      this.kept = false; // no storage, or it is full
    }
  }

  /** Take over the verdicts that another tab has kept; place, name and keys stay this tab's own. */
  refresh() {
    const latest = this.#latest();
    if (!latest || latest.revision <= this.revision) return;
    const { current, reviewer, shortcuts } = this;
    this.#adopt({ ...latest, current, reviewer, shortcuts });
  }

  /** The newest of what was kept, or null. */
  #latest() {
    const sources = [() => this.storage.getItem(this.key), () => this.tab.name];
    const found = sources.map((read) => {
      try {
        return JSON.parse(read());
      } catch {
        return null; // no storage, or the name of the tab is anything else
      }
    });
    const usable = found.filter((each) => each?.key === this.key && Number.isInteger(each.revision));
    return usable.sort((first, second) => second.revision - first.revision)[0] ?? null;
  }

  /** Become what was kept; anything in it that is not as `update` writes it is left out. */
  #adopt(kept) {
    if (kept === null) return;
    const pairs = (list) => (Array.isArray(list) ? list.filter((pair) => Array.isArray(pair) && this.#isCard(pair[0])) : []);
    this.revision = kept.revision;
    this.verdicts = new Map(pairs(kept.verdicts).filter(([, found]) => AuditState.#isVerdict(found)));
    this.history = pairs(kept.history).filter(([, before]) => before === null || AuditState.#isVerdict(before));
    this.current = this.#isCard(kept.current) ? kept.current : 0;
    this.reviewer = typeof kept.reviewer === "string" ? kept.reviewer : "";
    this.shortcuts = kept.shortcuts !== false;
  }

  #isCard(index) {
    return Number.isInteger(index) && index >= 0 && index < this.cardCount;
  }

  static #isVerdict(found) {
    return AuditState.VERDICTS.includes(found?.verdict) && (found.note === null || typeof found.note === "string");
  }
}
