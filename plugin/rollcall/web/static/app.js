"use strict";
// The path of this start of the server; every address of the page lies below it.
const base = document.documentElement.dataset.base || "";
// Style sheets may not be written into the page (its policy forbids it): what depends on a photo is set from here.
const each = (root, selector, act) => { if (root.matches?.(selector)) act(root); root.querySelectorAll?.(selector).forEach(act); };

function place(element, box) {
  const [x, y, width, height] = box;
  Object.assign(element.style, { left: `${100 * x}%`, top: `${100 * y}%`, width: `${100 * width}%`, height: `${100 * height}%` });
}

function dress(root) {
  each(root, "[data-ratio]", (one) => one.style.setProperty("--ratio", one.dataset.ratio));
  each(root, "[data-box]", (one) => place(one, one.dataset.box.split(",").map(Number)));
  each(root, "#frame", drawable);
  each(root, "#run", watchRun);
}

document.addEventListener("DOMContentLoaded", () => dress(document));
document.addEventListener("htmx:afterSwap", (event) => {
  const target = document.getElementById(event.detail.target?.id) || event.detail.target || document;
  dress(target.parentElement || document);
  const status = target.querySelector?.("[role=status]");
  if (status) document.getElementById("live").textContent = status.textContent;
  // Whoever works with the keyboard goes on from the same place.
  if (target.id === "photo") (target.querySelector(".face.open") || target.querySelector("h1"))?.focus?.({ preventScroll: true });
});
document.addEventListener("htmx:sendError", () => { document.getElementById("live").textContent = "Rollcall does not answer. Is it still running?"; });

document.addEventListener("input", (event) => {
  if (event.target.id === "age") document.getElementById("age-shown").textContent = event.target.value;
  if (event.target.id === "above") document.getElementById("above-shown").textContent = `${Math.round(100 * event.target.value)}%`;
});

// One key, one answer. What is typed while an answer is under way waits until the next question stands there whole.
let busy = false, typed = [];
document.addEventListener("htmx:beforeRequest", (event) => { if (event.detail.requestConfig.verb === "post") busy = true; });
for (const end of ["htmx:afterSettle", "htmx:sendError", "htmx:swapError", "htmx:onLoadError"]) {
  document.addEventListener(end, () => { busy = false; if (typed.length) press(typed.shift()); });
}

function press(key) {
  const wanted = [...document.querySelectorAll("[data-key]")].find((one) => one.dataset.key === key && !one.disabled);
  if (wanted && busy) { if (typed.length < 8) typed.push(key); } else if (wanted) wanted.click();
  return Boolean(wanted);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const typing = event.target.closest?.("input:not([type=checkbox], [type=range]), select, textarea");
  if (typing || event.target.closest?.("#frame.drawable")) return;
  if (event.key === "/" && document.getElementById("q")) { event.preventDefault(); document.getElementById("q").focus(); return; }
  if (event.target.type === "range" && event.key.startsWith("Arrow")) return;
  if (press(event.key)) event.preventDefault();
});

// ---- Drawing a face that was missed

function drawable(frame) {
  if (frame.dataset.ready) return;
  frame.dataset.ready = "yes";
  const button = document.getElementById("draw"), form = document.getElementById("drawn"), shown = document.getElementById("drawing");
  if (!button) return;
  let box = null, from = null;
  const at = (event) => {
    const edge = frame.getBoundingClientRect();
    return [Math.min(Math.max((event.clientX - edge.left) / edge.width, 0), 1), Math.min(Math.max((event.clientY - edge.top) / edge.height, 0), 1)];
  };
  const show = () => { shown.hidden = !box; if (box) place(shown, box); };
  const stop = () => { frame.classList.remove("drawable"); button.setAttribute("aria-pressed", "false"); form.hidden = true; box = null; show(); frame.removeAttribute("tabindex"); };
  const take = () => {
    if (!box || box[2] < 0.005 || box[3] < 0.005) return;
    document.getElementById("drawn-box").value = box.map((value) => value.toFixed(5)).join(",");
    form.requestSubmit();
    stop();
  };
  button.addEventListener("click", () => {
    if (frame.classList.contains("drawable")) { stop(); return; }
    fetch(`${base}/api/warm-up`, { method: "POST" }).catch(() => {});
    frame.classList.add("drawable"); button.setAttribute("aria-pressed", "true"); form.hidden = false;
    frame.tabIndex = 0; box = [0.4, 0.4, 0.2, 0.2]; show(); frame.focus();
  });
  frame.addEventListener("pointerdown", (event) => {
    if (!frame.classList.contains("drawable")) return;
    event.preventDefault(); frame.setPointerCapture(event.pointerId); from = at(event);
  });
  frame.addEventListener("pointermove", (event) => {
    if (!from) return;
    const to = at(event);
    box = [Math.min(from[0], to[0]), Math.min(from[1], to[1]), Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1])]; show();
  });
  frame.addEventListener("pointerup", () => { if (from) { from = null; take(); } });
  frame.addEventListener("keydown", (event) => {
    if (!frame.classList.contains("drawable") || !box) return;
    const step = 0.01, moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
    if (event.key === "Enter") take(); else if (event.key === "Escape") { stop(); button.focus(); }
    else if (moves) {
      const first = event.shiftKey ? 2 : 0;
      box[first] += moves[0]; box[first + 1] += moves[1];
      box[2] = Math.min(Math.max(box[2], step), 1); box[3] = Math.min(Math.max(box[3], step), 1);
      box[0] = Math.min(Math.max(box[0], 0), 1 - box[2]); box[1] = Math.min(Math.max(box[1], 0), 1 - box[3]); show();
    } else return;
    event.preventDefault(); event.stopPropagation();
  });
}

// ---- Indexing

async function post(path, body) {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: body ? JSON.stringify(body) : undefined });
  const content = await answer.json();
  if (!answer.ok) throw new Error(typeof content.detail === "string" ? content.detail : "That was not understood; check what you typed.");
  return content;
}

function watchRun(card) {
  if (card.dataset.ready) return;
  card.dataset.ready = "yes";
  const get = (id) => document.getElementById(id);
  const labels = { idle: "Nothing is going on.", running: "Looking at photos …", pausing: "Pausing after the photos in flight …", paused: "Paused: what is left stays pending." };
  let before = "";
  const show = (now) => {
    const state = labels[now.state] || now.state;
    if (state !== before) get("run-state").textContent = before = state;
    get("run-bar").max = Math.max(now.total, 1); get("run-bar").value = now.done;
    get("run-detail").textContent = now.state === "idle" && !now.seconds && !now.total && !now.skipped ? "" :
      `${now.done.toLocaleString()} of ${now.total.toLocaleString()} photos, ${now.faces.toLocaleString()} faces, ${now.skipped.toLocaleString()} unchanged, ${now.failed.toLocaleString()} failed, ${Math.round(now.seconds)} s` + (now.last ? `. Last: ${now.last}` : "");
    get("run-message").hidden = !now.message; get("run-message").textContent = now.message;
    get("run-start").disabled = now.state === "running" || now.state === "pausing"; get("run-pause").disabled = now.state !== "running";
    get("run-start").textContent = now.state === "paused" ? "Go on" : "Look for new photos";
  };
  show(JSON.parse(card.dataset.progress));
  const source = new EventSource(`${base}/api/progress`);
  source.onmessage = (event) => show(JSON.parse(event.data));
  addEventListener("pagehide", () => source.close());
  get("run-start").addEventListener("click", () => post(`${base}/api/index`));
  get("run-pause").addEventListener("click", () => post(`${base}/api/pause`));
  get("add-folder").addEventListener("submit", async (event) => {
    event.preventDefault();
    const problem = get("folder-problem");
    try { await post(`${base}/api/folders`, { path: get("folder").value }); problem.hidden = true; get("folder").value = ""; }
    catch (error) { problem.hidden = false; problem.textContent = error.message; }
  });
}
