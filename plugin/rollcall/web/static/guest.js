"use strict";
// Nobody tells guests of the server: it is asked when an answer does not come, until there is one.
(() => {
  let asking = false, leaving = false;
  async function here() {
    const given = new AbortController(), timer = setTimeout(() => given.abort(), PATIENCE);
    try { await fetch(`${base}/static/icon.svg`, { method: "HEAD", cache: "no-store", signal: given.signal }); return true; }
    catch { return false; }
    finally { clearTimeout(timer); }
  }
  async function check() {
    if (asking) return;
    asking = true;
    const note = document.getElementById("server");
    for (;;) {
      const found = await here();
      if (leaving) break;
      note.hidden = found;
      note.textContent = found ? "" : note.dataset.silent;
      if (found) { document.dispatchEvent(new CustomEvent("rollcall:here")); break; }
      await new Promise((done) => setTimeout(done, 2000));
    }
    asking = false;
  }
  document.addEventListener("rollcall:unanswered", check);
  addEventListener("pagehide", () => { leaving = true; });
  addEventListener("pageshow", () => { leaving = false; });
})();
