"use strict";
// What the server tells all the time comes over one connection for all tabs: a browser opens six to a server at most.
// The tab that holds the lock listens, and tells the others; when it is closed, the next one gets the lock.
(() => {
  const base = document.documentElement.dataset.base || "";
  const channel = new BroadcastChannel(`rollcall${base}`);
  let leading = false, leaving = false, progress = null, state = "here";

  function receive(message) {
    if (message.progress) progress = message.progress;
    if (message.state) { state = message.state; show(); }
    document.dispatchEvent(new CustomEvent("rollcall:progress", { detail: progress }));
  }
  const tell = (message) => { receive(message); channel.postMessage(message); };
  channel.onmessage = (event) => {
    if (event.data === "changed") { stale = true; renew(); }
    else if (event.data !== "what is known?") receive(event.data);
    else if (leading) channel.postMessage({ progress, state });
  };

  // What was said in another tab: people may have other names, or be one. A page that somebody looks at is made anew,
  // one that is hidden when it is looked at again; never under what is being typed or ticked there.
  let stale = false;
  const touched = (one) => one.type === "checkbox" || one.type === "radio" ? one.checked !== one.defaultChecked
    : one.tagName === "SELECT" ? one.selectedIndex !== Math.max([...one.options].findIndex((option) => option.defaultSelected), 0)
    : one.value !== one.defaultValue;
  function renew() {
    if (!stale || document.hidden) return;
    if ([...document.querySelectorAll("main input, main textarea, main select")].some(touched)) return;
    stale = false;
    htmx.trigger(document.body, "rollcall-elsewhere");
  }
  document.addEventListener("visibilitychange", renew);
  addEventListener("focus", renew);
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful && event.detail.requestConfig.verb !== "get") channel.postMessage("changed");
  });

  function show() {
    const note = document.getElementById("server");
    if (!note) return;
    note.hidden = state === "here";
    note.textContent = note.dataset[state] || "";
  }

  // So long an answer may take before the server is asked whether it is there, and as long that one, in milliseconds.
  const PATIENCE = 8000;

  async function ask() {
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
  function heard() {
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
      const found = await ask();
      if (leaving) break;
      if (found !== state) tell({ state: found });
      if (found === "here") break;
      await new Promise((done) => setTimeout(done, 2000));
    }
    checking = false;
    if (leading && !source && !leaving) setTimeout(listen, 500);
  }

  addEventListener("pagehide", () => { leaving = true; });
  addEventListener("pageshow", () => { leaving = false; if (leading && !source) check(); });
  document.addEventListener("htmx:sendError", check);
  // A server that was stopped in the middle, or sleeps, takes requests and answers none.
  const waiting = new Map();
  document.addEventListener("htmx:beforeSend", (event) => waiting.set(event.detail.xhr, setTimeout(check, PATIENCE)));
  document.addEventListener("htmx:afterRequest", (event) => {
    clearTimeout(waiting.get(event.detail.xhr));
    waiting.delete(event.detail.xhr);
  });
  document.addEventListener("DOMContentLoaded", () => {
    const lead = () => { leading = true; listen(); return new Promise(() => {}); };
    // Without locks, which old browsers lack, each tab has its own connection.
    if (navigator.locks) navigator.locks.request(`rollcall${base}`, lead); else lead();
    channel.postMessage("what is known?");
  });
  window.rollcallProgress = () => progress;
})();
