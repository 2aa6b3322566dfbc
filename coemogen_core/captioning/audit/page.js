"use strict";

(() => {
  const WORDS = { accept: "accepted", reject: "rejected" };
  const SIGNS = { accept: "✓", reject: "✗" };
  const KEYS = {
    a: "accept", arrowright: "accept", r: "reject", x: "reject", n: "note", u: "undo", e: "export", "?": "help",
    j: "next", arrowdown: "next", k: "previous", arrowup: "previous", arrowleft: "previous",
  };
  const at = (id) => document.getElementById(id);
  const data = JSON.parse(at("audit").textContent);
  const cards = data.cards;
  const everyCard = [...cards.keys()];
  const groups = data.emotions.map((emotion) => ({ emotion, indices: everyCard.filter((index) => cards[index].emotion === emotion) }));
  const chips = new Map(); // card index -> its button in the overview
  const state = new AuditState(data.audit_id, cards.length, openStorage(), window);

  function openStorage() {
    try {
      return window.localStorage;
    } catch {
      return null; // the browser forbids it
    }
  }

  /** A new element with text; text is never read as markup. */
  function element(name, text = "", className = "") {
    const made = document.createElement(name);
    made.textContent = text;
    made.className = className;
    return made;
  }

  function percent(part, whole) {
    return `${Math.round((100 * part) / whole)} %`;
  }

  function rate({ accept, judged }) {
    return judged ? `${accept} of ${judged} accepted, ${percent(accept, judged)}` : "none judged";
  }

  function buildOverview() {
    for (const { emotion, indices } of groups) {
      if (!indices.length) continue;
      const group = element("div", "", "group");
      const heading = element("h3", emotion);
      const standing = element("span", "", "quiet");
      heading.append(standing);
      const row = element("div", "", "chips");
      indices.forEach((index, place) => {
        const chip = element("button", "", "chip");
        chip.type = "button";
        chip.dataset.name = `${emotion} ${place + 1}`;
        chip.title = cards[index].caption;
        chip.addEventListener("click", () => { moveTo(index); bringCardIntoView(); });
        chips.set(index, chip);
        row.append(chip);
      });
      group.append(heading, row);
      at("groups").append(group);
      groups.find((found) => found.emotion === emotion).standing = standing;
    }
  }

  function showChip(index) {
    const chip = chips.get(index);
    const verdict = state.verdicts.get(index)?.verdict;
    const isCurrent = index === state.current;
    chip.textContent = verdict ? SIGNS[verdict] : "";
    chip.dataset.verdict = verdict ?? "";
    chip.setAttribute("aria-label", `${chip.dataset.name}: ${verdict ? WORDS[verdict] : "not judged"}`);
    chip.tabIndex = isCurrent ? 0 : -1; // one stop for the Tab key; the arrows move on from there
    if (isCurrent) chip.setAttribute("aria-current", "true");
    else chip.removeAttribute("aria-current");
  }

  function showOverview() {
    everyCard.forEach(showChip);
    for (const { indices, standing } of groups) {
      if (standing) standing.textContent = rate(state.tally(indices));
    }
    if (document.activeElement?.classList.contains("chip")) chips.get(state.current).focus({ preventScroll: true });
  }

  function showProgress() {
    const { accept, reject, judged } = state.tally(everyCard);
    const bar = at("bar");
    bar.querySelector(".accept").style.width = `${(100 * accept) / cards.length}%`;
    bar.querySelector(".reject").style.width = `${(100 * reject) / cards.length}%`;
    bar.setAttribute("aria-valuemax", cards.length);
    bar.setAttribute("aria-valuenow", judged);
    bar.setAttribute("aria-valuetext", `${judged} of ${cards.length} judged`);
    at("tally").textContent = `${judged} of ${cards.length} judged` + (judged ? `, ${percent(accept, judged)} accepted` : "");
    at("unkept").hidden = state.kept;
  }

  function showCard() {
    const card = cards[state.current];
    const picture = at("picture");
    picture.src = card.picture;
    picture.alt = `The picture that the caption is about, labelled ${card.emotion}`;
    picture.classList.toggle("small", card.small);
    at("position").textContent = `Card ${state.current + 1} of ${cards.length}`;
    at("emotion").textContent = card.emotion;
    at("caption").textContent = card.caption;
    at("fields").replaceChildren(...card.fields.flatMap(([name, text]) => [element("dt", name), element("dd", text)]));
    const similarity = card.similarity === null ? "" : `similarity ${card.similarity.toFixed(3)} · `;
    at("origin").textContent = `${similarity}${card.recipe_id}, attempt ${card.attempt}`;
    showStanding();
  }

  function showStanding() {
    const found = state.verdicts.get(state.current);
    at("standing").textContent = found ? `${SIGNS[found.verdict]} ${WORDS[found.verdict]}` : "not judged";
    at("standing").dataset.verdict = found?.verdict ?? "";
    at("noted").hidden = !found?.note;
    at("noted").textContent = found?.note ?? "";
    document.querySelector("[data-action=undo]").disabled = !state.history.length;
    for (const verdict of AuditState.VERDICTS) {
      document.querySelector(`.verdicts [data-action=${verdict}]`).setAttribute("aria-pressed", found?.verdict === verdict);
    }
  }

  function show(message = "") {
    showCard();
    showOverview();
    showProgress();
    at("message").textContent = message;
    const card = cards[state.current];
    at("announcer").textContent = `${message} Card ${state.current + 1} of ${cards.length}, ${card.emotion}: ${card.caption}`.trim();
  }

  function bringCardIntoView() {
    if (at("card").getBoundingClientRect().top < 0) at("card").scrollIntoView();
  }

  function moveTo(index, message = "") {
    state.update(() => { state.current = Math.min(Math.max(index, 0), cards.length - 1); });
    show(message);
  }

  function judge(verdict, note = null) {
    const index = state.current;
    state.judge(index, verdict, note);
    const next = state.nextOpen(index);
    const done = `Card ${index + 1} ${WORDS[verdict]}${note ? " with a note" : ""}.`;
    moveTo(next ?? index, next === null ? `${done} All ${cards.length} are judged: export the verdicts.` : done);
    bringCardIntoView();
  }

  function undo() {
    const index = state.undo();
    if (index !== null) moveTo(index, `Card ${index + 1} is as it was before.`);
  }

  function askForNote() {
    at("note-text").value = state.verdicts.get(state.current)?.note ?? "";
    at("note").showModal();
    at("note-text").focus();
  }

  function saveNote() {
    const text = at("note-text").value.trim();
    at("note").close();
    judge("reject", wellFormed(text) || null);
  }

  /** Text without halves of characters, which no JSON reader takes. */
  function wellFormed(text) {
    return text.toWellFormed ? text.toWellFormed() : text;
  }

  function exportedDocument() {
    const verdicts = [...state.verdicts].sort(([first], [second]) => first - second).map(([index, { verdict, note }]) => {
      const { image_id, recipe_id, attempt, emotion } = cards[index];
      return { image_id, recipe_id, attempt, emotion, verdict, ...(note ? { note } : {}) };
    });
    const reviewer = wellFormed(state.reviewer.trim());
    const { format, audit_id, source } = data;
    return { format, audit_id, source, exported_at: new Date().toISOString(), ...(reviewer ? { reviewer } : {}), verdicts };
  }

  function exportVerdicts() {
    if (!state.verdicts.size) return show("There is nothing to export yet.");
    const blob = new Blob([`${JSON.stringify(exportedDocument(), null, 2)}\n`], { type: "application/json" });
    const link = element("a");
    link.href = URL.createObjectURL(blob);
    link.download = `verdicts-${data.audit_id}.json`;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    return show(`${state.verdicts.size} verdicts exported as ${link.download}.`);
  }

  const actions = {
    accept: () => judge("accept"),
    reject: () => judge("reject"),
    note: askForNote,
    undo,
    next: () => moveTo(state.current + 1),
    previous: () => moveTo(state.current - 1),
    export: exportVerdicts,
    help: () => at("help").showModal(),
  };

  function onKey(event) {
    const isText = event.target.matches("textarea, input:not([type=checkbox])");
    const isGone = event.target.closest("dialog:not([open])"); // a dialog that just closed keeps the focus until the next frame
    if ((isText && !isGone) || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const action = KEYS[event.key.toLowerCase()];
    if (!action || !(state.shortcuts || action === "help")) return;
    event.preventDefault();
    const moves = action === "next" || action === "previous";
    if (!event.repeat || moves) actions[action](); // a key held down judges one card only
  }

  function listen() {
    document.addEventListener("keydown", onKey);
    for (const button of document.querySelectorAll("[data-action]")) {
      button.addEventListener("click", () => actions[button.dataset.action]());
    }
    at("export").addEventListener("click", exportVerdicts);
    at("help-open").addEventListener("click", actions.help);
    at("help-close").addEventListener("click", () => at("help").close());
    at("note-cancel").addEventListener("click", () => at("note").close());
    at("note-save").addEventListener("click", saveNote);
    at("note-text").addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      saveNote();
    });
    at("reviewer").addEventListener("input", ({ target }) => state.update(() => { state.reviewer = target.value; }));
    at("shortcuts").addEventListener("change", ({ target }) => state.update(() => { state.shortcuts = target.checked; }));
    window.addEventListener("storage", ({ key }) => { if (key === state.key) takeOver(); });
    window.addEventListener("focus", takeOver);
    window.addEventListener("beforeunload", (event) => { if (!state.kept && state.verdicts.size) event.preventDefault(); });
  }

  /** Show what the same page in another tab has judged. */
  function takeOver() {
    state.refresh();
    showStanding();
    showOverview();
    showProgress();
  }

  buildOverview();
  listen();
  at("reviewer").value = state.reviewer;
  at("shortcuts").checked = state.shortcuts;
  state.update(() => {}); // tells whether this browser keeps anything
  show();
})();
