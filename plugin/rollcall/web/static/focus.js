"use strict";
// An answer that takes away what has the focus gives it to what stands in its place: whoever works with the keyboard
// would begin at the top of the page otherwise. What has an id is found again by htmx itself.
(() => {
  const FOCUSABLE = "a[href], button:not(:disabled), input:not([type=hidden], :disabled), select:not(:disabled), textarea:not(:disabled), summary, [tabindex='0']";
  // What a menu holds that is closed is nowhere; old browsers cannot tell.
  const seen = (one) => one.checkVisibility ? one.checkVisibility({ visibilityProperty: true }) : one.getClientRects().length;
  const reachable = (root) => [...root.querySelectorAll(FOCUSABLE)].filter(seen);
  const called = (one) => one.getAttribute("aria-label") || one.textContent.trim() || one.value;
  // The same link, or the same button of the same form, may say something else by now.
  const doesSame = (one, other) => one.tagName === other.tagName && (one.getAttribute("href") || one.getAttribute("hx-get") || "") === (other.getAttribute("href") || other.getAttribute("hx-get") || "") && called(one) === called(other);
  let lost = null;

  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    const active = document.activeElement, { target } = detail;
    lost = null;
    if (!detail.shouldSwap || active === document.body || !target?.contains?.(active)) return;
    const all = reachable(document);
    lost = {
      active, target, at: reachable(target).indexOf(active), before: all.slice(0, all.indexOf(active)),
      // What was asked for by hand may say where one goes on; what comes by itself leaves one where one is.
      own: Boolean(detail.requestConfig?.elt?.contains(active)),
    };
  });
  function place({ active, target, at, before, own }) {
    const root = target.isConnected ? target : target.id && document.getElementById(target.id);
    if (!root) { // as a link to further photos, which leaves its place to them
      const last = before.filter((one) => one.isConnected).pop(), all = reachable(document);
      return all[all.indexOf(last) + 1];
    }
    const all = reachable(root), next = own && root.querySelector("[data-focus]");
    const same = next || [...root.querySelectorAll(FOCUSABLE)].find((one) => doesSame(one, active)), menu = same?.closest("details:not([open])");
    return (menu ? menu.querySelector("summary") : same) || all[Math.min(at, all.length - 1)];
  }
  document.addEventListener("htmx:afterSettle", () => {
    if (!lost || lost.active.isConnected) return;
    const given = lost;
    lost = null;
    // Another script may know better.
    if (document.activeElement === document.body) (place(given) || document.getElementById("main")).focus({ preventScroll: !given.own });
  });
})();
