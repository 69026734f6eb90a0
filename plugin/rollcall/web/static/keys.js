"use strict";
// "?" shows the keys of the page.
(() => {
  document.addEventListener("keydown", (event) => {
    if (event.key !== "?" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.("input:not([type=checkbox], [type=range]), select, textarea")) return;
    const help = document.getElementById("keys");
    if (!help || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    help.querySelectorAll("[data-for]").forEach((one) => { one.hidden = !document.querySelector(one.dataset.for); });
    help.showModal();
  });
  document.addEventListener("click", (event) => {
    if (event.target.id === "show-keys") document.dispatchEvent(new KeyboardEvent("keydown", { key: "?" }));
    if (event.target.id === "keys") event.target.close();
  });
})();
