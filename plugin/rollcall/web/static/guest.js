"use strict";
// Nobody tells guests of the server: it is asked when an answer does not come, or refuses, until there is one.
(() => {
  let asking = false, leaving = false;
  async function state() {
    const given = new AbortController(), timer = setTimeout(() => given.abort(), PATIENCE);
    try { return (await fetch(`${base}/static/icon.svg`, { method: "HEAD", cache: "no-store", signal: given.signal })).status === 403 ? "ended" : "here"; }
    catch { return "silent"; }
    finally { clearTimeout(timer); }
  }
  function show(found) {
    const note = document.getElementById("server");
    note.hidden = found === "here";
    note.textContent = note.dataset[found] || "";
    if (found !== "ended") return;
    const again = document.createElement("a");
    again.href = "/pair"; again.textContent = note.dataset.again;
    note.append(" ", again);
  }
  async function check() {
    if (asking) return;
    asking = true;
    for (;;) {
      const found = await state();
      if (leaving) break;
      show(found);
      if (found === "here") document.dispatchEvent(new CustomEvent("rollcall:here"));
      if (found !== "silent") break;
      await new Promise((done) => setTimeout(done, 2000));
    }
    asking = false;
  }
  document.addEventListener("rollcall:unanswered", check);
  addEventListener("pagehide", () => { leaving = true; });
  addEventListener("pageshow", () => { leaving = false; });
})();
