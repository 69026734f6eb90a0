"use strict";
// The path of this start of the server; every address of the page lies below it.
const base = document.documentElement.dataset.base || "";
// Style sheets may not be written into the page (its policy forbids it): what depends on a photo is set from here.
const each = (root, selector, act) => { if (root.matches?.(selector)) act(root); root.querySelectorAll?.(selector).forEach(act); };

function place(element, box) {
  const [x, y, width, height] = box;
  Object.assign(element.style, { left: `${100 * x}%`, top: `${100 * y}%`, width: `${100 * width}%`, height: `${100 * height}%` });
}

// What is written at a face stays inside of the picture, whose edge would cut it off.
function keepInside(frame) {
  const edge = frame.getBoundingClientRect(), labels = [...frame.querySelectorAll(".face span, .called")];
  labels.forEach((one) => { one.style.translate = ""; });
  const into = (least, most, low, high) => low < least ? least - low : Math.min(most - high, 0);
  labels.map((one) => [one, one.getBoundingClientRect()]).forEach(([one, own]) => {
    if (own.width) one.style.translate = `${into(edge.left, edge.right, own.left, own.right)}px ${into(edge.top, edge.bottom, own.top, own.bottom)}px`;
  });
}
const framed = new ResizeObserver((changes) => changes.forEach((one) => keepInside(one.target)));

function dress(root) {
  each(root, "[data-ratio]", (one) => { one.style.setProperty("--ratio", one.dataset.ratio); one.dataset.sized = "yes"; });
  each(root, "[data-box]", (one) => place(one, one.dataset.box.split(",").map(Number)));
  each(root, "#frame", (frame) => { window.rollcallDrawing?.(frame); framed.observe(frame); });
  each(root, "#run", watchRun);
  each(root, "#more-tools", (one) => one.setAttribute("aria-expanded", String(tools)));
}
// On a phone the tools that are seldom used are behind a button, and stay where they are while faces are gone through.
let tools = false;
document.addEventListener("click", (event) => { if (event.target.id === "more-tools") event.target.setAttribute("aria-expanded", String(tools = !tools)); });

document.addEventListener("DOMContentLoaded", () => {
  dress(document);
  // On a narrow screen the names of the pages go on beyond its edge: the one that is open is seen.
  document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
});
// htmx takes whatever it shows for a success, refusals as well.
const accepted = ({ detail }) => detail.xhr.status >= 200 && detail.xhr.status < 400;
// A menu has done its work with the form in it.
document.addEventListener("htmx:afterRequest", (event) => {
  const menu = event.target.closest?.("details.menu");
  if (!menu || !accepted(event)) return;
  const inside = menu.contains(document.activeElement);
  menu.open = false;
  if (inside) menu.querySelector("summary").focus();
});
document.addEventListener("htmx:afterSwap", (event) => {
  const target = document.getElementById(event.detail.target?.id) || event.detail.target || document;
  dress(target.parentElement || document);
  const status = target.querySelector?.("[role=status]");
  if (status) document.getElementById("live").textContent = status.textContent;
  // Whoever works with the keyboard goes on from the same place.
  if (target.id === "photo") (target.querySelector(".face.open") || target.querySelector("h1"))?.focus?.({ preventScroll: true });
});
// What was refused stands in its fields again, to be corrected: the answer brings the page with what is known. At once:
// after a moment somebody may have begun to type.
let refused = [];
document.addEventListener("htmx:beforeSwap", (event) => {
  const form = event.detail.requestConfig.elt, fields = "[id]:is(input:not([type=hidden], [type=checkbox]), select, textarea)";
  refused = event.detail.xhr.status >= 400 && form?.tagName === "FORM" ? [...form.elements].filter((one) => one.matches(fields)).map((one) => [one.id, one.value]) : [];
});
document.addEventListener("htmx:afterSwap", () => {
  for (const [id, value] of refused.reverse()) {
    const field = document.getElementById(id);
    if (field) { field.value = value; field.focus({ preventScroll: true }); }
  }
  refused = [];
});
// Messages go by themselves, but not while they are read.
new MutationObserver((changes) => changes.forEach((change) => change.addedNodes.forEach((one) => {
  if (one.nodeType !== 1) return;
  // On a phone more of them would hide what they are about.
  for (const other of [...document.getElementById("toasts").children].slice(0, -3)) other.remove();
  // What is refused again is said once.
  if (one.matches("[role=alert]")) for (const other of [...document.getElementById("toasts").children]) if (other !== one && other.textContent.trim() === one.textContent.trim()) other.remove();
  const go = () => { if (one.matches(":hover, :focus-within")) setTimeout(go, 3000); else one.remove(); };
  setTimeout(go, 10000);
}))).observe(document.getElementById("toasts"), { childList: true });

// The way back that a message offers is that of the last step: what is done after it takes the offer away.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, requestConfig } = event.detail;
  if (requestConfig.verb !== "post" || xhr.status >= 400) return;
  // One that asked stays until it is answered: of what has left the page no end is told, and keys would wait for it.
  for (const one of document.querySelectorAll("#toasts .toast form")) if (one === requestConfig.elt) one.hidden = true; else one.remove();
});

document.addEventListener("click", (event) => {
  const pressed = event.target.closest?.("[data-press]");
  if (pressed) press(pressed.dataset.press);
  const path = event.target.dataset?.copy;
  if (path) navigator.clipboard.writeText(path).then(() => { document.getElementById("live").textContent = ngettext("%(num)s path copied", "%(num)s paths copied", 1); });
});
document.addEventListener("input", (event) => {
  if (event.target.id === "age") document.getElementById("age-shown").textContent = event.target.value;
  if (event.target.id === "above") document.getElementById("above-shown").textContent = percent(Number(event.target.value));
});

// What fields complete is fetched when one of them is gone to, and again after a change.
let completed = false;
document.addEventListener("focusin", (event) => {
  if (completed || !event.target.getAttribute?.("list")?.startsWith("known-")) return;
  completed = true;
  htmx.ajax("GET", `${base}/completions`, { source: "#completions", target: "#completions", swap: "innerHTML" });
});
document.addEventListener("htmx:afterRequest", (event) => { if (event.detail.requestConfig.verb === "post") completed = false; });

// A server that takes no requests, or answers none for so long, in milliseconds, is asked whether it is there.
const PATIENCE = 8000;
const unanswered = () => document.dispatchEvent(new CustomEvent("rollcall:unanswered"));
const waiting = new Map();
document.addEventListener("htmx:sendError", unanswered);
document.addEventListener("htmx:beforeSend", ({ detail }) => waiting.set(detail.xhr, setTimeout(unanswered, PATIENCE)));
document.addEventListener("htmx:afterRequest", ({ detail }) => {
  clearTimeout(waiting.get(detail.xhr));
  waiting.delete(detail.xhr);
  // Whoever is refused may not be let in any more, or the server was started anew.
  if (detail.xhr.status === 403) unanswered();
});
// As fetch; who waits for it is told in people's words, and whoever is refused is told why, as above.
async function ask(address, options) {
  try {
    const answer = await fetch(address, options);
    if (answer.status === 403) unanswered();
    return answer;
  } catch { unanswered(); throw new Error(gettext("Rollcall does not answer at present. Try again in a moment.")); }
}

// Each tab undoes its own corrections.
document.addEventListener("htmx:configRequest", (event) => {
  if (!sessionStorage.getItem("tab")) sessionStorage.setItem("tab", Math.random().toString(36).slice(2));
  event.detail.headers["X-Tab"] = sessionStorage.getItem("tab");
  // A form of more than a thousand fields is refused: of many that are ticked the numbers are one field.
  for (const name of ["faces", "people"]) {
    const all = event.detail.formData.getAll(name);
    if (all.length > 500) event.detail.parameters[name] = all.join(",");
  }
});

// One key, one answer. What is typed while an answer is under way waits until the next question stands there whole.
let busy = false, typed = [];
document.addEventListener("htmx:beforeRequest", (event) => { if (event.detail.requestConfig.verb === "post") busy = true; });
for (const end of ["htmx:afterSettle", "htmx:sendError", "htmx:swapError", "htmx:onLoadError"]) {
  document.addEventListener(end, () => { busy = false; if (typed.length) press(typed.shift()); });
}

// What takes long says that it is under way.
const UNDER_WAY_MS = 700;
let working = 0;
document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.requestConfig.verb !== "post") return;
  clearTimeout(working);
  working = setTimeout(() => { document.getElementById("working").hidden = false; }, UNDER_WAY_MS);
});
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.requestConfig.verb !== "post") return;
  clearTimeout(working);
  document.getElementById("working").hidden = true;
});

// What comes by itself waits while a name is typed or a box is moved: it would take away what is not sent yet.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (!event.target.matches?.("[data-waits]")) return;
  const typed = [...document.querySelectorAll("#photo input:not([type=hidden])")].some((one) => one === document.activeElement || one.value !== one.defaultValue);
  if (typed || document.querySelector("#frame.drawable")) event.preventDefault();
});

function press(key) {
  const all = [...document.querySelectorAll("[data-key]")].filter((one) => one.dataset.key === key && !one.disabled);
  // Of what Escape closes the selection is the innermost: the page is left after it.
  const wanted = all.find((one) => one.closest("#selected:not([hidden])")) || all[0];
  // Of look-alikes the next question is of another kind: a key that is pressed twice would answer it unseen.
  if (wanted && busy) { if (typed.length < 8 && !wanted.closest(".review.wide")) typed.push(key); } else if (wanted) wanted.click();
  return Boolean(wanted);
}

// Escape closes the innermost: a menu before the page, a field of what is selected before the selection, and what is ticked.
const openMenu = () => [...document.querySelectorAll("details.menu[open]")].pop();
function closed(event) {
  if (document.querySelector("dialog[open], #frame.drawable")) return false;
  const menu = openMenu(), field = event.target.closest?.("#selected input");
  const ticked = event.target.closest?.("input:not([type=checkbox], [type=range]), select, textarea") ? [] : document.querySelectorAll(".pick input:checked, input[form=chosen]:checked");
  if (menu) { menu.open = false; menu.querySelector("summary").focus(); } else if (field) field.blur();
  else ticked.forEach((one) => { one.checked = false; one.dispatchEvent(new Event("change", { bubbles: true })); });
  return Boolean(menu || field || ticked.length);
}
document.addEventListener("click", (event) => { const menu = openMenu(); if (menu && !menu.contains(event.target)) menu.open = false; });

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.key === "Escape" && closed(event)) { event.preventDefault(); return; }
  const typing = event.target.closest?.("input:not([type=checkbox], [type=range]), select, textarea");
  if (typing || document.querySelector("#frame.drawable, dialog[open]")) return;
  if (event.key === "/" && document.getElementById("q")) { event.preventDefault(); document.getElementById("q").focus(); return; }
  if (event.target.type === "range" && event.key.startsWith("Arrow")) return;
  if (press(event.key)) event.preventDefault();
});

// ---- Indexing

async function post(path, body) {
  const answer = await ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: body ? JSON.stringify(body) : undefined });
  const content = await answer.json();
  if (!answer.ok) throw new Error(typeof content.detail === "string" ? content.detail : gettext("That was not understood; check what you typed."));
  return content;
}

function watchRun(card) {
  if (card.dataset.ready) return;
  card.dataset.ready = "yes";
  const get = (id) => document.getElementById(id);
  const done = (now) => {
    const photos = ngettext("%(num)s new photo", "%(num)s new photos", now.done - now.failed), faces = ngettext("%(num)s face", "%(num)s faces", now.faces);
    return now.failed ? gettext("Done: %(photos)s with %(faces)s; %(failed)s could not be read.", { photos, faces, failed: number(now.failed) })
      : gettext("Done: %(photos)s with %(faces)s.", { photos, faces });
  };
  // A run that ended with the server has left photos behind; one since then tells by itself.
  const left = (now) => now.state === "idle" && !now.seconds ? Number(card.dataset.left) : 0;
  const labels = {
    idle: (now) => now.seconds ? done(now) : left(now) ? ngettext("%(num)s photo was not looked at yet.", "%(num)s photos were not looked at yet.", left(now)) : gettext("All photos that are known were looked at."),
    running: (now) => now.total && !now.done ? gettext("Getting ready: the first photos take a moment …") : gettext("Looking at photos …"), pausing: () => gettext("Pausing after the photos in flight …"), paused: () => gettext("Paused: the rest is looked at when you go on."),
  };
  const detail = (now) => {
    const seconds = Math.round(now.seconds);
    const counts = [
      now.total && gettext("%(done)s of %(total)s photos", { done: number(now.done), total: number(now.total) }),
      now.faces && ngettext("%(num)s face", "%(num)s faces", now.faces),
      now.skipped && gettext("%(count)s unchanged", { count: number(now.skipped) }),
      now.failed && gettext("%(count)s could not be read", { count: number(now.failed) }),
      seconds < 120 ? gettext("%(count)s s", { count: number(seconds) }) : gettext("%(count)s min", { count: number(Math.round(seconds / 60)) }),
    ].filter(Boolean).join(" · ");
    return now.last && now.state !== "idle" ? gettext("%(counts)s. Last: %(last)s", { counts, last: now.last }) : counts;
  };
  let before = "", known = null;
  const show = (now) => {
    const state = labels[now.state]?.(now) || now.state;
    if (state !== before) get("run-state").textContent = before = state;
    if (now.state !== "idle") card.hidden = false;
    get("run-bar").hidden = now.state === "idle";
    get("run-bar").max = Math.max(now.total, 1); get("run-bar").value = now.done;
    get("run-detail").textContent = now.state === "idle" && !now.seconds && !now.total && !now.skipped ? "" : detail(now);
    get("run-message").hidden = !now.message; get("run-message").textContent = now.message;
    // What is disabled loses the focus; what only says so keeps it.
    const going = now.state === "running" || now.state === "pausing", looked = now.state === "idle" && now.seconds > 0;
    get("run-start").setAttribute("aria-disabled", String(going)); get("run-pause").setAttribute("aria-disabled", String(now.state !== "running"));
    get("run-start").textContent = now.state === "paused" || left(now) ? gettext("Go on") : gettext("Look for new photos");
    // What one would do next stands out.
    get("run-start").classList.toggle("primary", !going && !looked); get("run-photos").classList.toggle("primary", going || looked);
    get("run-people").hidden = !(looked && now.faces);
    // The list of folders changes when one is added and when its turn comes.
    const folders = `${now.state} ${now.waiting}`;
    if (known !== null && folders !== known) htmx.trigger(document.body, "rollcall-changed");
    known = folders;
  };
  show(JSON.parse(card.dataset.progress));
  document.addEventListener("rollcall:progress", (event) => { if (event.detail) show(event.detail); });
  const told = (error) => { get("run-message").hidden = false; get("run-message").textContent = error.message; };
  const pressed = (id, path) => get(id).addEventListener("click", (event) => { if (event.currentTarget.ariaDisabled !== "true") post(`${base}${path}`).catch(told); });
  pressed("run-start", "/api/index"); pressed("run-pause", "/api/pause");
  const add = async (path) => {
    const problem = get("folder-problem");
    try { await post(`${base}/api/folders`, { path }); problem.hidden = true; get("folder").value = ""; htmx.trigger(document.body, "rollcall-changed"); card.hidden = false; get("chooser").open = false; get("run-photos").focus({ preventScroll: true }); card.scrollIntoView({ block: "nearest" }); }
    catch (error) { problem.hidden = false; problem.textContent = error.message; }
  };
  get("add-folder").addEventListener("submit", (event) => { event.preventDefault(); add(get("folder").value); });
  document.addEventListener("click", (event) => { const chosen = event.target.closest?.("[data-add-folder]"); if (chosen) add(chosen.dataset.addFolder); });
}
