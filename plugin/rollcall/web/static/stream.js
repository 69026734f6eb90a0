"use strict";
// What the server tells all the time comes over one connection for all tabs: a browser opens six to a server at most.
// The tab that holds the lock listens, and tells the others; when it is closed, the next one gets the lock. One that
// stands still (a question or a print dialog is open) keeps the lock: another listens, too, until it goes on.
(() => {
  const base = document.documentElement.dataset.base || "";
  const channel = new BroadcastChannel(`rollcall${base}`);
  const me = Math.random();
  let leading = false, standsIn = false, leaving = false, progress = null, state = "here";

  function receive(message) {
    if (message.progress) progress = message.progress;
    if (message.state) {
      if (message.state === "here" && state !== "here") document.dispatchEvent(new CustomEvent("rollcall:here"));
      state = message.state; show();
    }
    document.dispatchEvent(new CustomEvent("rollcall:progress", { detail: progress }));
  }
  const tell = (message) => { receive(message); channel.postMessage(message); };
  channel.onmessage = (event) => {
    if (event.data === "changed") { stale = true; renew(); }
    else if (event.data.listens) hearsFor(event.data);
    else if (event.data !== "what is known?") receive(event.data);
    else if (leading || standsIn) channel.postMessage({ progress, state });
  };

  // What was said in another tab: people may have other names, or be one. A page that somebody looks at is made anew,
  // one that is hidden when it is looked at again; never under what is being typed or ticked there.
  let stale = false;
  const touched = (one) => one.type === "checkbox" || one.type === "radio" ? one.checked !== one.defaultChecked
    : one.tagName === "SELECT" ? one.selectedIndex !== Math.max([...one.options].findIndex((option) => option.defaultSelected), 0)
    : one.value !== one.defaultValue;
  function renew() {
    if (!stale || document.hidden) return;
    if (document.querySelector("#frame.drawable, #video, dialog[open]")) return;
    if ([...document.querySelectorAll("main input, main textarea, main select")].some(touched)) return;
    stale = false;
    htmx.trigger(document.body, "rollcall-elsewhere");
  }
  document.addEventListener("visibilitychange", renew);
  addEventListener("focus", renew);
  document.addEventListener("htmx:afterRequest", (event) => {
    if (accepted(event) && event.detail.requestConfig.verb !== "get") channel.postMessage("changed");
  });

  function show() {
    const note = document.getElementById("server");
    if (!note) return;
    note.hidden = state === "here";
    note.textContent = note.dataset[state] || "";
  }

  async function probe() {
    const given = new AbortController(), timer = setTimeout(() => given.abort(), PATIENCE);
    try {
      return (await fetch(`${base}/api/status`, { signal: given.signal })).status === 403 ? "other" : "here";
    } catch {
      return given.signal.aborted ? "silent" : "stopped";
    } finally {
      clearTimeout(timer);
    }
  }

  // The server says every five seconds that it is there; one that was stopped in the middle says nothing, and its
  // connection stays open.
  const SILENCE = 12000;
  let source = null, checking = false, silence = 0;
  const sign = () => channel.postMessage({ listens: me, leads: leading });
  function heard() {
    sign();
    clearTimeout(silence);
    silence = setTimeout(() => { drop(); if (!leaving) check(); }, SILENCE);
  }
  function drop() {
    clearTimeout(silence);
    if (source) source.close();
    source = null;
  }
  function listen() {
    source = new EventSource(`${base}/api/progress`);
    source.onopen = heard;
    source.addEventListener("here", heard);
    source.onmessage = (event) => { heard(); tell({ progress: JSON.parse(event.data), state: "here" }); };
    source.onerror = () => { drop(); if (!leaving) check(); };
    heard();
  }

  // Until the server answers again, which it may after a while: the machine slept, or the network was away.
  async function check() {
    if (checking) return;
    checking = true;
    for (;;) {
      if (leading || standsIn) sign();
      const found = await probe();
      if (leaving) break;
      if (found !== state) tell({ state: found });
      if (found === "here") break;
      await new Promise((done) => setTimeout(done, 2000));
    }
    checking = false;
    if ((leading || standsIn) && !leaving) setTimeout(() => { if ((leading || standsIn) && !source) listen(); }, 500);
  }

  // Whoever listens gives a sign each five seconds, or ten while it asks whether the server is there. Where none comes,
  // somebody who is looked at stands in; not all at once.
  const LONELY = 14000;
  let lonely = 0;
  function hearsFor({ listens, leads }) {
    if (leading) return;
    if (standsIn && (leads || listens < me)) { standsIn = false; drop(); }
    clearTimeout(lonely);
    lonely = setTimeout(standIn, LONELY * (1 + Math.random() / 3));
  }
  function standIn() {
    clearTimeout(lonely);
    if (leading || standsIn || leaving) return;
    // Browsers open few connections to a server, and hidden tabs may be many.
    if (document.hidden) { lonely = setTimeout(standIn, LONELY); return; }
    standsIn = true;
    listen();
  }

  addEventListener("pagehide", () => { leaving = true; });
  addEventListener("pageshow", () => { leaving = false; if (leading && !source) check(); });
  document.addEventListener("rollcall:unanswered", check);
  document.addEventListener("DOMContentLoaded", () => {
    const lead = () => { leading = true; if (!source) listen(); return new Promise(() => {}); };
    hearsFor({});
    // Without locks, which old browsers lack, each tab has its own connection.
    if (navigator.locks) navigator.locks.request(`rollcall${base}`, lead); else lead();
    channel.postMessage("what is known?");
  });
  window.rollcallProgress = () => progress;
})();
