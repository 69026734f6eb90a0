"use strict";
// People: one dragged onto another is the same person; naming goes on with the next group; ranges of faces with Shift.
(() => {
  const card = (event) => event.target.closest?.(".person[data-person]");
  let carried = null, lastTicked = null, field = null;

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
  // The group that was named leaves its place to the next one.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.requestConfig.verb !== "post") return;
    const from = event.target.querySelector?.(".person input[name=name]");
    field = from ? fields().indexOf(from) : null;
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.detail.target?.id !== "people" || field === null || field < 0) return;
    const next = fields()[Math.min(field, fields().length - 1)];
    field = null; next?.focus();
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
