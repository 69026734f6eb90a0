"use strict";
// People: one dragged onto another is the same person; naming goes on with the next group; ranges of faces with Shift.
(() => {
  const card = (event) => event.target.closest?.(".person[data-person]");
  let carried = null, lastTicked = null;

  document.addEventListener("dragstart", (event) => {
    carried = card(event);
    if (!carried) return;
    event.dataTransfer.setData("text/plain", carried.dataset.person);
    event.dataTransfer.effectAllowed = "link";
    carried.classList.add("carried");
  });
  document.addEventListener("dragover", (event) => {
    const over = card(event);
    document.querySelectorAll(".person.over").forEach((one) => { if (one !== over) one.classList.remove("over"); });
    if (!carried || !over || over === carried) return;
    event.preventDefault(); event.dataTransfer.dropEffect = "link"; over.classList.add("over");
  });
  document.addEventListener("dragend", () => { document.querySelectorAll(".person.over, .person.carried").forEach((one) => one.classList.remove("over", "carried")); carried = null; });
  document.addEventListener("drop", (event) => {
    const over = card(event);
    if (!carried || !over || over === carried) return;
    event.preventDefault();
    const form = document.getElementById("picked");
    document.querySelectorAll(".pick input:checked").forEach((one) => { one.checked = false; });
    for (const one of [over, carried]) one.querySelector(".pick input").checked = true;
    form.querySelector("[value=merge]")?.click();
  });

  const fields = () => [...document.querySelectorAll(".person input[name=name]")];
  document.addEventListener("keydown", (event) => {
    if (event.key !== "n" || event.ctrlKey || event.metaKey || event.altKey || !document.querySelector("#people") || event.target.closest?.("input:not([type=checkbox]), select, textarea")) return;
    const next = fields()[0];
    if (next) { event.preventDefault(); next.focus(); }
  });
  // Names are typed one after another, faster than the answers come: the next field is there at once, and what stands in
  // fields that were not sent yet stands there again when an answer takes the place of the list.
  const drafts = new Map(), owner = (one) => one?.closest(".person")?.dataset.person;
  let focused = null;
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.requestConfig.verb !== "post") return;
    const sent = event.target.querySelector?.(".person input[name=name]");
    if (!sent) return;
    const all = fields(), at = all.indexOf(sent);
    drafts.delete(owner(sent));
    sent.readOnly = true;
    (all[at + 1] || all[at - 1])?.focus();
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.target?.id !== "people") return;
    const failed = event.detail.xhr.status >= 400, sent = event.detail.requestConfig.elt?.querySelector?.("input[name=name]");
    for (const one of fields()) {
      if (one.value && (!one.readOnly || (failed && one === sent))) drafts.set(owner(one), one.value);
    }
    const active = document.activeElement;
    focused = failed && sent ? owner(sent) : active?.matches(".person input[name=name]") ? owner(active) : null;
  });
  // At once: what is typed before the focus is back is lost.
  document.addEventListener("htmx:afterSwap", () => {
    for (const one of fields()) {
      const draft = drafts.get(owner(one));
      if (draft !== undefined && !one.value) one.value = draft;
      drafts.delete(owner(one));
      if (owner(one) === focused) { focused = null; one.focus(); one.setSelectionRange(one.value.length, one.value.length); }
    }
  });

  // What another change brings anew leaves the ticks as they are; faces further down come later, with theirs.
  const ticks = () => document.querySelectorAll("input[form=chosen]");
  let ticked = new Set();
  document.addEventListener("change", (event) => {
    if (event.target.form?.id !== "chosen" || event.target.type !== "checkbox") return;
    for (const one of ticks()) { if (one.checked) ticked.add(one.value); else ticked.delete(one.value); }
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    const { verb, elt } = event.detail.requestConfig || {}; // none where the viewer brings the next photo
    // Whatever is said of the faces is done with them.
    if (verb === "post" && elt?.id === "chosen" && event.detail.xhr.status < 400) ticked = new Set();
    for (const one of ticks()) one.checked = ticked.has(one.value);
  });

  document.addEventListener("click", (event) => {
    const box = event.target.closest?.(".choose input[type=checkbox]");
    if (!box) return;
    const all = [...document.querySelectorAll(".choose input[type=checkbox]")];
    if (event.shiftKey && lastTicked && all.includes(lastTicked)) {
      const [from, to] = [all.indexOf(lastTicked), all.indexOf(box)].sort((a, b) => a - b);
      all.slice(from, to + 1).forEach((one) => { one.checked = box.checked; });
    }
    lastTicked = box;
  });
})();
