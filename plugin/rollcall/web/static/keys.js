"use strict";
// "?" shows the keys of the page: those that are described, and of the others what the buttons say that they press.
(() => {
  function fill(help) {
    const list = help.querySelector("dl"), described = new Set(), viewer = document.querySelector("dialog.viewer");
    list.querySelectorAll("[data-own]").forEach((one) => one.remove());
    for (const row of list.children) {
      // Above an enlarged photo its keys alone mean something.
      row.hidden = Boolean(row.dataset.for) && (!document.querySelector(row.dataset.for) || Boolean(viewer && !row.hasAttribute("data-viewer")));
      if (!row.hidden) row.querySelectorAll("dt kbd").forEach((key) => described.add({ "←": "ArrowLeft", "→": "ArrowRight", Esc: "Escape" }[key.textContent] || key.textContent));
    }
    if (viewer) return;
    for (const one of document.querySelectorAll("[data-key]")) {
      const { key } = one.dataset, label = one.cloneNode(true);
      label.querySelectorAll?.("kbd").forEach((hint) => hint.remove());
      const words = (one.getAttribute("aria-label") || label.textContent).trim();
      if (described.has(key) || /^[0-9]$/.test(key) || !words || one.closest("[hidden]")) continue;
      described.add(key);
      const row = document.createElement("div"), kbd = document.createElement("kbd"), [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
      row.dataset.own = "yes"; kbd.textContent = key; dt.append(kbd); dd.textContent = words; row.append(dt, dd);
      list.lastElementChild.previousElementSibling.before(row);
    }
  }
  document.addEventListener("keydown", (event) => {
    if (event.key !== "?" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.("input:not([type=checkbox], [type=range]), select, textarea")) return;
    const help = document.getElementById("keys");
    if (!help || document.querySelector("dialog[open]:not(.viewer)")) return;
    event.preventDefault();
    fill(help);
    help.showModal();
  });
  document.addEventListener("click", (event) => {
    if (event.target.id === "show-keys") document.dispatchEvent(new KeyboardEvent("keydown", { key: "?" }));
    if (event.target.id === "keys") event.target.close();
  });
})();
