"use strict";
// Several photos at once: the button, Ctrl or Shift with a click, or a long press begin; what is done, is done with all.
// On the page of a person they are those of the faces that are ticked.
(() => {
  const $ = (id) => document.getElementById(id), chosen = new Set();
  // Before the browser shows its own menu of a picture; a finger that rests is never quite still.
  const LONG_MS = 400, STILL = 10;
  let last = null, press = 0, held = false, from = [0, 0], query = "";
  const selecting = () => document.body.classList.contains("selecting");

  function show() {
    document.querySelectorAll(".tile").forEach((tile) => {
      const on = chosen.has(tile.dataset.id);
      tile.classList.toggle("chosen", on);
      const link = tile.querySelector("a");
      if (selecting()) { link.setAttribute("role", "checkbox"); link.setAttribute("aria-checked", String(on)); }
      else { link.removeAttribute("role"); link.removeAttribute("aria-checked"); }
    });
    const form = $("selected");
    if (!form) return;
    form.hidden = !selecting();
    $("selected-count").textContent = ngettext("%(num)s selected", "%(num)s selected", chosen.size);
    $("select")?.setAttribute("aria-pressed", String(selecting()));
    allow(form, chosen.size);
  }
  function allow(form, count) {
    for (const button of form.querySelectorAll("button:not(#selected-none)")) button.disabled = button.matches("[data-single]") ? count !== 1 : !count;
  }

  const ticks = () => [...document.querySelectorAll("input[form=chosen]")];
  // A photo may show several of the faces, as twins or in a mirror.
  const meant = (form) => form.id === "ticked" ? [...new Set(ticks().filter((one) => one.checked).map((one) => one.dataset.photo))] : [...chosen];
  function showTicked() {
    const form = $("ticked");
    if (!form) return;
    const count = ticks().filter((one) => one.checked).length;
    $("ticked-count").textContent = count ? ngettext("%(num)s selected", "%(num)s selected", count) : "";
    allow(form, meant(form).length);
  }
  const searched = () => new URLSearchParams(location.search).get("q") || "";
  function begin() { query = searched(); document.body.classList.add("selecting"); show(); }
  function end() { if ($("selected")?.contains(document.activeElement)) $("select")?.focus(); document.body.classList.remove("selecting"); chosen.clear(); last = null; show(); }
  function toggle(tile, range) {
    const tiles = [...document.querySelectorAll(".tile")], from = tiles.findIndex((one) => one.dataset.id === last), to = tiles.indexOf(tile);
    if (range && from >= 0) tiles.slice(Math.min(from, to), Math.max(from, to) + 1).forEach((one) => chosen.add(one.dataset.id));
    else if (!chosen.delete(tile.dataset.id)) chosen.add(tile.dataset.id);
    last = tile.dataset.id;
    show();
  }

  document.addEventListener("click", (event) => {
    const id = event.target.id, tile = event.target.closest?.(".tile");
    if (id === "select") { if (selecting()) end(); else begin(); return; }
    if (id === "selected-none") { end(); return; }
    const act = event.target.closest?.("[data-zip], [data-paths]");
    if (act?.form) { if (act.dataset.zip) zip(act.dataset.zip, meant(act.form)); else copy(meant(act.form)); return; }
    if (!tile) return;
    if (held) { held = false; event.preventDefault(); event.stopImmediatePropagation(); return; }
    if (!selecting() && !event.shiftKey && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault(); event.stopImmediatePropagation();
    if (!selecting()) begin();
    toggle(tile, event.shiftKey);
  }, true);
  document.addEventListener("pointerdown", (event) => {
    const tile = event.target.closest?.(".tile");
    if (!tile || event.pointerType === "mouse") return;
    held = false; from = [event.clientX, event.clientY];
    press = setTimeout(() => { held = true; if (!selecting()) begin(); toggle(tile, false); }, LONG_MS);
  });
  for (const over of ["pointerup", "pointercancel", "scroll"]) document.addEventListener(over, () => clearTimeout(press), true);
  document.addEventListener("pointermove", (event) => { if (Math.hypot(event.clientX - from[0], event.clientY - from[1]) > STILL) clearTimeout(press); }, true);
  document.addEventListener("contextmenu", (event) => { if (held) event.preventDefault(); });
  document.addEventListener("keydown", (event) => {
    if (selecting() && (event.ctrlKey || event.metaKey) && event.key === "a" && !event.target.closest?.("input, select, textarea")) {
      document.querySelectorAll(".tile").forEach((tile) => chosen.add(tile.dataset.id));
      event.preventDefault(); show(); return;
    }
    if (event.key !== " " || !selecting() || !event.target.closest?.(".tile")) return;
    event.preventDefault(); toggle(event.target.closest(".tile"), event.shiftKey);
  });

  document.addEventListener("htmx:configRequest", (event) => {
    if (event.target.matches?.("#selected, #ticked")) event.detail.parameters.photos = meant(event.target).join(",") || [];
  });
  // An answer that is to be saved leaves the page where it is.
  const MOST = 5000;
  function zip(to, photos) {
    if (photos.length > MOST) {
      const note = document.createElement("p");
      note.className = "note"; note.setAttribute("role", "alert");
      note.textContent = gettext("more than %(most)s photos are selected; select fewer, or save a search as an album", { most: number(MOST) });
      $("toasts").append(note);
      return;
    }
    location.href = `${to}?numbers=${photos.join(",")}`;
  }
  async function copy(photos) {
    const paths = await Promise.all(photos.map(async (id) => (await (await ask(`${base}/api/photos/${id}`)).json()).path));
    await navigator.clipboard.writeText(paths.join("\n"));
    $("live").textContent = ngettext("%(num)s path copied", "%(num)s paths copied", paths.length);
  }
  // What another search does not show is not done anything with; months that one goes to are of the same photos.
  document.addEventListener("htmx:afterSettle", () => {
    showTicked();
    if (!$("selected")) return;
    if (selecting() && searched() !== query) end(); else show();
  });
  document.addEventListener("change", (event) => { if (event.target.form?.id === "chosen") showTicked(); });
  document.addEventListener("DOMContentLoaded", () => { if ($("selected")) show(); showTicked(); });
})();
