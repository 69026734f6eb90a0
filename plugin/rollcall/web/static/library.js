"use strict";
// The library's grid: months, the scrubber, filters, places of results, and pictures that cannot be shown.
(() => {
  const $ = (id) => document.getElementById(id);

  // ---- Months: small ones stand side by side in a row, as tiles do.
  // A part that is loaded may begin or end with a month that is there already.
  function months() {
    let before = null;
    document.querySelectorAll(".grid > .month").forEach((month) => {
      if (before && before.nextElementSibling === month && before.dataset.month === month.dataset.month) {
        // What is looked at stays where it is: the tiles that have just come go to it.
        const [from, to] = before.dataset.there ? [month, before] : [before, month];
        to.lastElementChild[to === before ? "append" : "prepend"](...from.lastElementChild.children);
        from.remove();
        month = to;
        delete month.dataset.there;
      }
      before = month;
    });
    document.querySelectorAll(".grid > .month:not([data-there])").forEach((month) => {
      const tiles = [...month.lastElementChild.children];
      month.dataset.there = "yes";
      month.style.setProperty("--sum", tiles.reduce((sum, one) => sum + Number(one.dataset.ratio), 0));
      month.style.setProperty("--count", tiles.length);
    });
    pack();
  }
  // A month that fits into one row fills it to its end; in the last of several rows the tiles keep their size.
  function pack() {
    const grid = $("grid");
    if (!grid) return;
    const { width } = grid.getBoundingClientRect(), style = getComputedStyle(grid);
    const inside = width - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight), row = parseFloat(style.getPropertyValue("--row")), gap = parseFloat(style.rowGap);
    for (const month of grid.querySelectorAll(":scope > .month")) {
      const [sum, count] = ["--sum", "--count"].map((one) => Number(month.style.getPropertyValue(one)));
      month.classList.toggle("whole", sum * row + (count - 1) * gap <= inside + 0.5);
    }
  }
  const sized = new ResizeObserver(pack);

  // Pictures of photos that make room for others are not waited for: browsers go on with them, before those that came. Of
  // photos that come again they are: while folders are indexed, the same ones come every few seconds.
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.target?.id !== "results" || !event.detail.shouldSwap) return;
    const comes = (one) => event.detail.serverResponse.includes(one.getAttribute("src").split("?")[0]);
    for (const one of event.detail.target.querySelectorAll("img[src]")) if (!one.complete && !comes(one)) one.removeAttribute("src");
  });

  // What comes above the photos that are looked at moves them nowhere, also at the top of the page, where browsers let it.
  let anchor = null;
  document.addEventListener("htmx:beforeSwap", (event) => {
    const tile = event.detail.target?.matches?.(".newer") && document.querySelector(".tile");
    anchor = tile ? [tile, tile.getBoundingClientRect().top] : null;
  });
  function keepPlace() {
    if (anchor?.[0].isConnected) scrollBy({ top: anchor[0].getBoundingClientRect().top - anchor[1], behavior: "instant" });
    anchor = null;
  }

  // ---- The scrubber reaches any month in one movement; the photos come when it is let go, or rests.
  function scrubber() {
    const input = $("scrub"), shown = $("scrub-shown");
    if (!input || input.dataset.ready) return;
    input.dataset.ready = "yes";
    const all = input.dataset.months.split(" "), counts = input.dataset.counts.split(" ").map(Number);
    const name = (month) => month ? new Date(`${month}-15T12:00`).toLocaleDateString(lang, { year: "numeric", month: "long" }) : gettext("Without a date");
    let rest = 0, went = null;
    const show = () => {
      const month = all[input.value];
      shown.hidden = false; shown.textContent = `${name(month)} · ${number(counts[input.value])}`;
      shown.style.top = `${100 * input.value / Math.max(all.length - 1, 1)}%`;
      input.setAttribute("aria-valuetext", name(month));
    };
    // The month that was asked for stands at the top; the newer photos above it are asked for once one scrolls up.
    document.addEventListener("htmx:afterSwap", (event) => {
      if (event.detail.target?.id !== "results" || !input.isConnected || !event.detail.pathInfo?.requestPath?.includes("?until=")) return;
      const month = input.value > 0 && document.querySelector(`.timed > .month[data-month="${CSS.escape(went)}"]`);
      if (month) month.scrollIntoView({ block: "start", behavior: "instant" }); else scrollTo({ top: 0, behavior: "instant" });
    });
    const go = () => {
      clearTimeout(rest);
      const month = all[input.value];
      if (month === went) return;
      went = month;
      const address = `${base}/?until=${encodeURIComponent(month)}`;
      history.replaceState(null, "", address);
      htmx.ajax("GET", address, { source: "#results", target: "#results", swap: "innerHTML" });
    };
    input.addEventListener("input", () => { show(); clearTimeout(rest); rest = setTimeout(go, 250); });
    input.addEventListener("change", go);
    input.addEventListener("blur", () => { shown.hidden = true; });
    const until = new URLSearchParams(location.search).get("until");
    if (until !== null && all.includes(until)) { input.value = all.indexOf(until); went = until; }
    // While one scrolls it shows where one is, and goes on from there.
    let waiting = 0;
    document.addEventListener("scroll", () => {
      cancelAnimationFrame(waiting);
      waiting = requestAnimationFrame(() => {
        if (document.activeElement === input || !document.querySelector(".timed")) return;
        const month = [...document.querySelectorAll(".timed > .month")].find((one) => one.getBoundingClientRect().bottom > 120)?.dataset.month;
        if (month === undefined || !all.includes(month)) return;
        input.value = all.indexOf(month); went = month;
        input.setAttribute("aria-valuetext", name(month));
      });
    }, { passive: true });
  }

  // ---- Filters write the query, so that it can be read, changed and kept.
  const chipsOf = () => [...document.querySelectorAll("[data-chip]")];
  const words = (text) => ` ${text.trim().replace(/\s+/g, " ")} `;
  function mark() {
    const text = words($("q")?.value || "");
    if ($("memories")) $("memories").hidden = Boolean(text.trim()) || /[?&](until|near|at)=/.test(location.search);
    chipsOf().forEach((chip) => chip.setAttribute("aria-pressed", String(text.includes(` ${chip.dataset.chip} `))));
  }
  function toggle(part, others) {
    const q = $("q");
    let text = words(q.value);
    if (text.includes(` ${part} `)) text = text.replace(` ${part} `, " ");
    else {
      // Of a kind that excludes the others, the new one takes the place of the old one.
      for (const other of others) text = words(text.replace(other, " "));
      text += part;
    }
    q.value = text.trim().replace(/\s+/g, " ");
    mark();
    $("search").requestSubmit();
  }
  const FACES = / faces:[^ ]+(?= )/g, YEAR = / taken:[^ ]+(?= )/g;
  const ofKind = (kind) => kind ? [FACES, ...chipsOf().filter((one) => one.dataset.kind === kind).map((one) => ` ${one.dataset.chip} `)] : [];
  document.addEventListener("click", (event) => {
    const chip = event.target.closest?.("[data-chip]");
    if (chip) toggle(chip.dataset.chip, ofKind(chip.dataset.kind));
  });
  document.addEventListener("change", (event) => {
    const list = event.target.closest?.("[data-chips]");
    if (list && list.value) { const part = list.value; list.value = ""; toggle(part, part.startsWith("taken:") ? [YEAR] : []); }
    if (event.target.id === "order") localStorage.setItem("rollcall.order", event.target.value);
  });
  document.addEventListener("input", (event) => { if (event.target.id === "q") mark(); });

  // ---- The last searches that found something are offered while nothing else is typed; this browser alone knows them.
  const SEARCHES = "rollcall.searches", KEPT = 8;
  const searches = () => { try { return JSON.parse(localStorage.getItem(SEARCHES)) || []; } catch { return []; } };
  const searched = () => new URLSearchParams(location.search).get("q")?.trim() || "";
  function remember() {
    const query = searched();
    if (!query || !$("recent") || !document.querySelector(".tile") || searches()[0] === query) return;
    localStorage.setItem(SEARCHES, JSON.stringify([query, ...searches().filter((one) => one !== query)].slice(0, KEPT)));
  }
  function offer() {
    const q = $("q"), list = $("recent"), typed = q?.value.trim(), others = searches().filter((one) => one !== searched());
    if (!list) return;
    list.querySelectorAll("[data-again]").forEach((one) => one.remove());
    list.hidden = !others.length || !list.parentElement.contains(document.activeElement) || Boolean(typed && typed !== searched());
    if (list.hidden) return;
    for (const query of others) {
      const again = document.createElement("button");
      again.type = "button"; again.className = "chip"; again.dataset.again = again.textContent = query;
      list.insertBefore(again, $("forget-searches"));
    }
  }
  for (const change of ["focusin", "input"]) document.addEventListener(change, (event) => { if (event.target.id === "q") offer(); });
  // The focus stays in the box while the mouse chooses: else they would be gone before they are clicked.
  document.addEventListener("mousedown", (event) => { if (event.target.closest?.("#recent")) event.preventDefault(); });
  document.addEventListener("focusout", (event) => { if (event.target.closest?.("#search") && !event.relatedTarget?.closest("#search")) $("recent").hidden = true; });
  document.addEventListener("click", (event) => {
    const again = event.target.closest?.("[data-again]");
    if (event.target.id === "forget-searches") { localStorage.removeItem(SEARCHES); $("q").focus(); offer(); }
    if (!again) return;
    $("q").value = again.dataset.again; $("recent").hidden = true;
    mark(); $("search").requestSubmit();
  });
  document.addEventListener("submit", (event) => { if (event.target.id === "search") $("recent").hidden = true; });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !$("recent") || $("recent").hidden) return;
    event.preventDefault(); event.stopImmediatePropagation(); $("q").focus(); $("recent").hidden = true;
  }, true);

  // ---- The sort that was chosen last stays chosen.
  document.addEventListener("htmx:configRequest", (event) => {
    const { path, parameters } = event.detail, saved = localStorage.getItem("rollcall.order");
    if (event.target.id === "search" && saved && !parameters.order) parameters.order = saved;
    if (path === `${base}/` && !parameters.q) { delete parameters.order; delete parameters.sure; }
  });

  // A link to a search says no order: it is the one that was chosen last, too.
  function sorted() {
    const saved = localStorage.getItem("rollcall.order"), order = $("order"), address = new URL(location.href);
    if (!saved || !order || order.value === saved || address.searchParams.has("order")) return;
    address.searchParams.set("order", saved);
    history.replaceState(history.state, "", address);
    htmx.ajax("GET", `${address.pathname}${address.search}`, { source: "#results", target: "#results", swap: "innerHTML" });
  }

  // ---- Back to the results returns to the same place, also with the browser's own button.
  document.addEventListener("click", (event) => {
    const tile = event.target.closest?.(".tile");
    if (!tile || event.defaultPrevented) return;
    const address = new URL(location.href);
    if (address.searchParams.get("q") || address.pathname.includes("/album/")) address.searchParams.set("at", tile.dataset.at);
    else { address.searchParams.delete("until"); address.searchParams.set("near", tile.dataset.id); }
    address.hash = tile.id;
    history.replaceState(history.state, "", address);
  });
  function toPlace() {
    if (!location.hash.startsWith("#photo-")) return;
    // A correction may have taken it out of the results, or moved it: then its place is where one goes on.
    const at = new URLSearchParams(location.search).get("at");
    const place = document.querySelector(location.hash) || (at && document.querySelector(`.tile[data-at="${CSS.escape(at)}"]`));
    if (!place) return;
    place.scrollIntoView({ block: "center" });
    place.querySelector("a")?.focus({ preventScroll: true });
  }

  // ---- A picture that cannot be shown says why.
  async function explain(picture) {
    if (picture.tagName !== "IMG" || picture.dataset.failed || !picture.src.includes("/pictures/")) return;
    picture.dataset.failed = "yes";
    let reason = "";
    try {
      const answer = await ask(picture.src);
      if (!answer.ok) reason = (await answer.json()).detail || "";
    } catch { picture.dataset.failed = "unanswered"; return; }
    const note = document.createElement("span");
    note.className = "unshown"; note.textContent = reason || gettext("cannot be shown");
    if (!picture.closest(".tile, .frame")) {
      // It stands where the picture stood, between other things; a small one has no room for words.
      const { width, height } = picture.getBoundingClientRect(), { borderRadius } = getComputedStyle(picture);
      note.classList.add("inside");
      Object.assign(note.style, { width: `${width || picture.width}px`, height: `${height || picture.height}px`, borderRadius });
      note.title = note.textContent;
      note.classList.toggle("small", (width || picture.width) < 120);
    }
    picture.hidden = true;
    picture.after(note);
  }
  document.addEventListener("error", (event) => explain(event.target), true);
  // What was not answered is asked for again when the server is there: pictures, and what comes when one scrolls.
  document.addEventListener("rollcall:here", () => {
    for (const one of document.querySelectorAll("img[data-failed=unanswered]")) { delete one.dataset.failed; one.src = one.src; }
    for (const one of document.querySelectorAll(".more a[data-hx-revealed]")) htmx.trigger(one, "revealed");
  });
  // One that stands in the page itself may have failed before anybody listened.
  document.addEventListener("DOMContentLoaded", () => {
    for (const one of document.images) if (one.currentSrc && one.complete && !one.naturalWidth) explain(one);
  });

  // ---- While folders are looked at, their photos arrive in the grid; at the end a sentence says what was found.
  // A short run begins and ends between two reports, and the next may find as many photos: runs that ended are counted.
  let before = null, refreshed = 0;
  async function finished(now) {
    const values = { photos: ngettext("%(num)s new photo", "%(num)s new photos", now.done - now.failed), faces: ngettext("%(num)s face", "%(num)s faces", now.faces) };
    let text = gettext("Done: %(photos)s, %(faces)s.", values);
    try {
      const found = await (await fetch(`${base}/api/search?q=children&limit=1&min_probability=0.5`)).json();
      const children = ngettext("%(num)s photo of children", "%(num)s photos of children", found.total);
      text = gettext("Done: %(photos)s, %(faces)s, %(children)s.", { ...values, children });
    } catch { /* the sentence is shorter without it */ }
    if (now.failed) text += ` ${ngettext("%(num)s file could not be read.", "%(num)s files could not be read.", now.failed)}`;
    if (now.message) text += ` ${now.message}`;
    const toast = document.createElement("div");
    toast.className = "toast"; toast.setAttribute("role", "status");
    const words = document.createElement("span");
    words.textContent = text;
    toast.append(words);
    if (now.faces) {
      const people = document.createElement("a");
      people.href = `${base}/people`; people.textContent = gettext("Name the people");
      toast.append(people);
    }
    $("toasts").append(toast);
  }
  function refresh() {
    // Whoever has scrolled, or searches, is not disturbed.
    if (scrollY > 200 || ($("q")?.value || "").trim() || /[?&](until|near)=/.test(location.search) || document.querySelector("dialog[open], .selecting")) return;
    refreshed = Date.now();
    htmx.ajax("GET", `${base}/`, { source: "#results", target: "#results", swap: "innerHTML" });
  }
  // There are other months, years and folders now, and photos of this day. Each is asked for by its own element: of what
  // one element asks for at a time, htmx drops all but the last.
  function renew() {
    for (const [id, path] of [["scrubber", "/months"], ["more-chips", "/chips"], ["memories", "/on-this-day"]]) {
      if ($(id) && !$(id).contains(document.activeElement)) htmx.ajax("GET", base + path, { source: `#${id}`, target: `#${id}`, swap: "innerHTML" });
    }
  }
  document.addEventListener("rollcall:progress", (event) => {
    const now = event.detail, line = $("arriving");
    if (!now || !line) return;
    const going = now.state === "running";
    line.hidden = !going;
    if (going) line.textContent = gettext("Looking at photos: %(done)s of %(total)s", { done: number(now.done), total: number(now.total) });
    const ended = before && now.ended > before.ended, more = before && now.done > (ended ? 0 : before.done);
    if (more && (Date.now() - refreshed > 3000 || !going)) refresh();
    if (ended && now.done) renew();
    if (ended && now.state === "idle" && now.done) finished(now);
    before = now;
  });

  // ---- Photos of this day that come late, or when a run has ended, would move the photos that are looked at: they wait
  // until their place is out of sight.
  let held = null;
  const outOfSight = () => document.hidden || $("memories").closest("[hidden]") || $("memories").getBoundingClientRect().bottom <= 0 || !document.querySelector(".tile");
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { target, serverResponse, shouldSwap } = event.detail;
    if (target?.id !== "memories" || !shouldSwap) return;
    held = null;
    // As high as what is there already, it moves nothing.
    if (!seen || outOfSight() || Boolean(target.firstElementChild) === Boolean(serverResponse.trim())) return;
    held = serverResponse;
    event.detail.shouldSwap = false;
  });
  function letIn() {
    if (held === null || !$("memories") || !outOfSight()) return;
    const tile = [...document.querySelectorAll(".tile")].find((one) => one.getBoundingClientRect().bottom > 0);
    anchor = tile ? [tile, tile.getBoundingClientRect().top] : null;
    $("memories").innerHTML = held;
    held = null;
    keepPlace();
  }
  for (const change of ["scroll", "visibilitychange"]) document.addEventListener(change, letIn, { passive: true });

  // ---- Photos are seen once they have their places: sizes are set from here, and what comes above them moves them. What
  // that is is asked for at once, and not waited for any longer than this.
  const LONGEST_MS = 400;
  const coming = new Set(["memories", "scrubber", "more-chips"]);
  let seen = false;
  function reveal() {
    const due = [...coming].filter((id) => $(id) && !$(id).closest("[hidden]"));
    if (!seen && due.length) return;
    const first = !seen;
    seen = true;
    document.querySelectorAll(".grid:not([data-seen])").forEach((grid) => { grid.dataset.seen = "yes"; });
    // What is not seen takes no focus.
    if (first && document.activeElement === document.body) toPlace();
  }
  for (const end of ["htmx:afterSettle", "htmx:responseError", "htmx:sendError"]) {
    document.addEventListener(end, (event) => { if (coming.delete((event.detail.target || event.target).id)) reveal(); });
  }
  // On a slow network scripts that come after this one are still on their way then: the months have their sizes all the same.
  setTimeout(() => { coming.clear(); months(); reveal(); }, LONGEST_MS);

  function dress() { months(); keepPlace(); scrubber(); mark(); remember(); sized.disconnect(); if ($("grid")) sized.observe($("grid")); reveal(); }
  document.addEventListener("DOMContentLoaded", () => { dress(); toPlace(); sorted(); });
  // A browser goes to the place itself when all is loaded, and takes the focus away from it.
  addEventListener("load", () => setTimeout(() => { if (document.activeElement === document.body) toPlace(); }));
  document.addEventListener("htmx:afterSettle", () => { if ($("grid") || $("scrub")) dress(); });
})();
