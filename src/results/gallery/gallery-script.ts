/**
 * The script of a gallery. Rows and thumbnails are in blocks of JSON, one of each per page, read when they are needed. Texts of
 * contacts are set as text, never as markup.
 */
export const gallerySource = `
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const read = (id) => JSON.parse(byId(id).textContent);
  const { pages, pageSize, counts, meanings } = read("facts");
  const rowsOf = [];
  const thumbs = new Map();
  const state = { status: "", text: "", page: 0 };
  const getRows = (page) => (rowsOf[page] ??= read("rows-" + page));
  function getThumb(page, at) {
    if (!thumbs.has(page)) {
      if (thumbs.size >= 4) thumbs.delete(thumbs.keys().next().value);
      thumbs.set(page, read("thumbs-" + page));
    }
    return thumbs.get(page)[at];
  }
  function* found() {
    const text = state.text.toLowerCase();
    for (let page = 0; page < pages; page += 1) {
      const rows = getRows(page);
      for (let at = 0; at < rows.length; at += 1) {
        const [chatId, ref, status] = rows[at];
        if (state.status !== "" && status !== state.status) continue;
        if (text !== "" && !(chatId + " " + ref).toLowerCase().includes(text)) continue;
        yield [page, at];
      }
    }
  }
  const toNumber = (chatId) => (chatId.endsWith("@c.us") ? "+" + chatId.slice(0, -5) : chatId);
  const svg = "http://www.w3.org/2000/svg";
  function drawFigure() {
    const figure = document.createElementNS(svg, "svg");
    figure.setAttribute("viewBox", "0 0 64 64");
    figure.setAttribute("class", "face");
    figure.setAttribute("aria-hidden", "true");
    for (const [name, values] of [
      ["circle", { cx: 32, cy: 24, r: 10 }],
      ["path", { d: "M15 53c0-9 7-15 17-15s17 6 17 15a27 27 0 0 1-34 0z" }],
    ]) {
      const part = document.createElementNS(svg, name);
      for (const key of Object.keys(values)) part.setAttribute(key, values[key]);
      part.setAttribute("fill", "var(--figure)");
      figure.append(part);
    }
    return figure;
  }
  function add(parent, name, className, text) {
    const element = document.createElement(name);
    element.className = className;
    element.textContent = text;
    parent.append(element);
    return element;
  }
  function drawCard([page, at]) {
    const [chatId, ref, status, checkedAt, isOld] = getRows(page)[at];
    const thumb = getThumb(page, at);
    const card = document.createElement("li");
    if (thumb === "") card.append(drawFigure());
    else {
      const face = document.createElement("img");
      face.className = "face";
      face.alt = "";
      face.decoding = "async";
      face.src = thumb;
      card.append(face);
    }
    const name = add(card, "span", ref ? "name" : "name number", ref || toNumber(chatId));
    name.title = ref || chatId;
    name.dir = "auto";
    if (ref) add(card, "span", "chat", toNumber(chatId)).title = chatId;
    const told = isOld && thumb !== "" ? status + ", an earlier picture" : status;
    add(card, "span", "status", told).title = meanings[status] + (checkedAt === "" ? "" : "; asked " + checkedAt);
    return card;
  }
  function draw() {
    const all = [...found()];
    const last = Math.max(0, Math.ceil(all.length / pageSize) - 1);
    state.page = Math.min(state.page, last);
    const shown = all.slice(state.page * pageSize, (state.page + 1) * pageSize);
    byId("faces").replaceChildren(...shown.map(drawCard));
    byId("empty").hidden = all.length > 0;
    byId("shown").textContent =
      all.length === 1 ? "1 contact" : all.length.toLocaleString("en") + " contacts";
    byId("place").textContent = "page " + (state.page + 1) + " of " + (last + 1);
    byId("pages").hidden = last === 0;
    byId("before").disabled = state.page === 0;
    byId("after").disabled = state.page === last;
    for (const button of byId("statuses").children)
      button.setAttribute("aria-pressed", String(button.dataset.status === state.status));
  }
  function addFilter(status, text, count) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.status = status;
    button.textContent = text;
    button.title = meanings[status] ?? "all contacts";
    const number = document.createElement("b");
    number.textContent = count.toLocaleString("en");
    button.append(number);
    button.addEventListener("click", () => { state.status = status; state.page = 0; draw(); });
    byId("statuses").append(button);
  }
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  addFilter("", "all", total);
  for (const status of Object.keys(counts)) addFilter(status, status, counts[status]);
  byId("search").addEventListener("input", (event) => {
    state.text = event.target.value.trim();
    state.page = 0;
    draw();
  });
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  const go = (by) => { state.page += by; draw(); scrollTo(0, 0); };
  byId("before").addEventListener("click", () => go(-1));
  byId("after").addEventListener("click", () => go(1));
  draw();
})();
`.trim();
