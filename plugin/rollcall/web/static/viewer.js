"use strict";
// One photo as large as the screen: wheel, double click, pinch, drag and keys; sharp once it is enlarged; a slideshow.
(() => {
  const SLIDE_SECONDS = 5, STILL_MS = 2500;
  // From so many points of the screen to one of the picture on, it is seen that there are too few.
  const COARSE = 1.3;
  let dialog = null;

  // Drawn, since few fonts have signs for all of it.
  const PLAY = "M8 5l11 7-11 7z";
  function drawn(path) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), line = document.createElementNS(svg.namespaceURI, "path");
    svg.setAttribute("viewBox", "0 0 24 24"); svg.setAttribute("aria-hidden", "true");
    line.setAttribute("d", path);
    svg.append(line);
    return svg;
  }

  // Put the content of another page of this server in the place of this one's, with its title and its address.
  async function replace(address) {
    const answer = await ask(address, { headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html"), main = document.getElementById("main");
    const next = page.getElementById("main");
    if (!next) throw new Error(address);
    htmx.swap(main, next.innerHTML, { swapStyle: "innerHTML" });
    document.title = page.title;
    history.replaceState(history.state, "", answer.url);
  }

  // A finger that goes far enough to one side, and not up or down, asks for the next photo there.
  const SWIPE = 60;
  function swiping(element, may, go) {
    let start = null;
    element.addEventListener("pointerdown", (event) => { start = event.pointerType === "mouse" || start || !may() ? null : [event.pointerId, event.clientX, event.clientY]; });
    element.addEventListener("pointercancel", () => { start = null; });
    element.addEventListener("pointerup", (event) => {
      const [id, x, y] = start || [];
      start = null;
      const across = event.clientX - x, along = Math.abs(event.clientY - y);
      if (event.pointerId === id && may() && Math.abs(across) > SWIPE && along < Math.abs(across) / 2) go(across < 0 ? "ArrowRight" : "ArrowLeft");
    });
  }
  // On the page of a photo, too; what was a swipe is no touch of a face.
  document.addEventListener("DOMContentLoaded", () => {
    const main = document.getElementById("main");
    let swiped = 0;
    const frame = (event) => !event.target.closest?.("video") && event.target.closest?.("#frame:not(.drawable)");
    let inside = false;
    main.addEventListener("pointerdown", (event) => { inside = Boolean(frame(event)); }, true);
    swiping(main, () => inside && !dialog && !(visualViewport?.scale > 1.01), (key) => {
      const link = document.querySelector(`a[data-key=${key}]`);
      if (link) { swiped = Date.now(); link.click(); }
    });
    main.addEventListener("click", (event) => { if (frame(event) && Date.now() - swiped < 300) { event.preventDefault(); event.stopPropagation(); } }, true);
  });

  function open(playing) {
    const picture = document.getElementById("picture"), button = () => document.getElementById("enlarge");
    if (!picture || !button() || dialog) return;
    dialog = document.createElement("dialog");
    dialog.className = "viewer";
    dialog.setAttribute("aria-label", picture.alt);
    const image = new Image();
    image.src = picture.src; image.alt = picture.alt; image.draggable = false;
    const close = document.createElement("button");
    close.type = "button"; close.className = "close"; close.textContent = "✕"; close.setAttribute("aria-label", gettext("Close"));
    close.addEventListener("click", () => dialog.close());
    // Browsers let no dialog have the full screen, but what is in one.
    const stage = document.createElement("div");
    // What the keys do, for fingers and the mouse.
    const bar = document.createElement("div");
    bar.className = "controls";
    const control = (sign, label, act) => {
      const made = document.createElement("button");
      made.type = "button"; made.append(drawn(sign)); made.setAttribute("aria-label", label); made.title = label;
      made.addEventListener("click", act);
      bar.append(made);
      return made;
    };
    const before = control("M15 5l-7 7 7 7", gettext("Before"), () => turn("ArrowLeft"));
    const player = control(PLAY, gettext("Slideshow"), () => { playing = !playing; play(); });
    const next = control("M9 5l7 7-7 7", gettext("Next"), () => turn("ArrowRight"));
    // Phones of Apple have none for what is no video.
    if (document.fullscreenEnabled) control("M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5", gettext("Full screen"), screen);
    stage.append(image, close, bar);
    dialog.append(stage);
    document.body.append(dialog);
    dialog.showModal();
    // A frame may not be allowed to.
    const fill = () => document.fullscreenEnabled && stage.requestFullscreen().catch(() => {});
    function screen() { if (document.fullscreenElement) document.exitFullscreen(); else fill(); }
    if (playing) fill();
    // Nothing lies over the photos of a slideshow while nobody moves.
    let still = 0;
    const wake = () => { clearTimeout(still); dialog?.classList.remove("still"); still = setTimeout(() => { if (playing) dialog?.classList.add("still"); }, STILL_MS); };
    for (const one of ["pointermove", "pointerdown", "keydown", "focusin"]) dialog.addEventListener(one, wake);

    let scale = 1, x = 0, y = 0, sharp = false, slide = 0, turning = false, pressed = "";
    const pointers = new Map();
    const draw = () => {
      const most = [Math.max(image.clientWidth * scale - innerWidth, 0) / 2, Math.max(image.clientHeight * scale - innerHeight, 0) / 2];
      x = Math.min(Math.max(x, -most[0]), most[0]); y = Math.min(Math.max(y, -most[1]), most[1]);
      image.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
      dialog.classList.toggle("enlarged", scale > 1);
      // Sharp also where the screen has more points than the picture; not for the seconds of a slideshow.
      if (!sharp && (scale > 1.2 || (!playing && image.naturalWidth && Number(document.getElementById("picture")?.getAttribute("width")) > image.naturalWidth && image.clientWidth * devicePixelRatio > COARSE * image.naturalWidth))) {
        sharp = true;
        const large = new Image();
        large.src = button().dataset.large;
        // Shown when it is there whole: until then the small one stands in its place.
        large.decode().then(() => { if (button()?.dataset.large === large.getAttribute("src")) { image.src = large.src; image.dataset.sharp = "yes"; } }).catch(() => {});
      }
    };
    // It fills the screen, also where it is smaller.
    const fit = () => {
      const { naturalWidth, naturalHeight } = image, factor = Math.min(innerWidth / naturalWidth, innerHeight / naturalHeight);
      if (!naturalWidth) return;
      image.style.width = `${naturalWidth * factor}px`; image.style.height = `${naturalHeight * factor}px`;
      draw();
    };
    image.addEventListener("load", fit);
    addEventListener("resize", fit);
    const zoom = (factor, cx = innerWidth / 2, cy = innerHeight / 2) => {
      const to = Math.min(Math.max(scale * factor, 1), 12);
      // What lies under the pointer stays there.
      x = (x - (cx - innerWidth / 2)) * to / scale + (cx - innerWidth / 2);
      y = (y - (cy - innerHeight / 2)) * to / scale + (cy - innerHeight / 2);
      scale = to; draw();
    };
    // The page of the next photo takes the place of this one behind the viewer: another page would leave the full screen.
    const turn = async (key) => {
      if (turning) { pressed = key; return; }
      const link = document.querySelector(`a[data-key=${key}]`);
      if (!link) { dialog.close(); return; }
      turning = true;
      clearTimeout(slide);
      try { await replace(link.href); } catch { dialog?.close(); return; } finally { turning = false; }
      if (!dialog) return;
      const next = document.getElementById("picture");
      if (!next || !button()) { dialog.close(); return; }
      scale = 1; x = y = 0; sharp = false; draw();
      const shown = new Image(), from = next.src;
      shown.src = from;
      dialog.setAttribute("aria-label", next.alt);
      // Shown when it is there whole; one that cannot be shown is passed over by a slideshow, too.
      shown.decode().catch(() => {}).then(() => {
        if (!dialog || document.getElementById("picture")?.src !== from) return;
        sharp = false; image.src = from; image.alt = next.alt; delete image.dataset.sharp;
        play();
      });
      if (pressed) { const again = pressed; pressed = ""; turn(again); }
    };
    dialog.addEventListener("wheel", (event) => { event.preventDefault(); zoom(Math.exp(-event.deltaY / 400), event.clientX, event.clientY); }, { passive: false });
    dialog.addEventListener("dblclick", (event) => zoom(scale > 1 ? 0 : 3, event.clientX, event.clientY));
    image.addEventListener("pointerdown", (event) => { image.setPointerCapture(event.pointerId); pointers.set(event.pointerId, [event.clientX, event.clientY]); });
    image.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId);
      if (!before) return;
      const now = [event.clientX, event.clientY];
      if (pointers.size === 1) { x += now[0] - before[0]; y += now[1] - before[1]; pointers.set(event.pointerId, now); draw(); return; }
      const other = [...pointers].find(([id]) => id !== event.pointerId)[1];
      const far = (one) => Math.hypot(one[0] - other[0], one[1] - other[1]);
      zoom(far(now) / Math.max(far(before), 1), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
      pointers.set(event.pointerId, now);
    });
    for (const end of ["pointerup", "pointercancel"]) image.addEventListener(end, (event) => pointers.delete(event.pointerId));
    swiping(image, () => scale === 1 && pointers.size < 2, turn);
    // Wherever the focus is: a browser takes it away for a moment as it fills the screen.
    const keys = (event) => {
      if (document.querySelector("dialog[open]:not(.viewer)")) return; // the keys are shown above it
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const pan = { ArrowUp: [0, 80], ArrowDown: [0, -80], ArrowLeft: [80, 0], ArrowRight: [-80, 0] }[event.key];
      if (event.key === "+" || event.key === "=") zoom(1.5); else if (event.key === "-") zoom(1 / 1.5); else if (event.key === "0") zoom(0);
      else if (event.key === "f" || event.key === "F") screen();
      else if (pan && scale > 1) { x += pan[0]; y += pan[1]; draw(); }
      else if (event.key === "ArrowLeft" || event.key === "ArrowRight") turn(event.key);
      else if (event.key === " " && !event.target.closest?.(".controls")) { playing = !playing; play(); }
      else return;
      event.preventDefault(); event.stopPropagation();
    };
    document.addEventListener("keydown", keys, true);
    function play() {
      clearTimeout(slide); wake();
      if (playing) slide = setTimeout(() => turn("ArrowRight"), 1000 * SLIDE_SECONDS);
      player.replaceChildren(drawn(playing ? "M8 5v14M16 5v14" : PLAY)); player.setAttribute("aria-pressed", String(playing));
      for (const [one, key] of [[before, "ArrowLeft"], [next, "ArrowRight"]]) one.disabled = !document.querySelector(`a[data-key=${key}]`);
    }
    play();
    dialog.addEventListener("close", () => { clearTimeout(slide); clearTimeout(still); document.removeEventListener("keydown", keys, true); removeEventListener("resize", fit); dialog.remove(); dialog = null; button()?.focus({ preventScroll: true }); });
  }

  document.addEventListener("click", (event) => { if (event.target.id === "enlarge") open(false); });
  document.addEventListener("dblclick", (event) => { if (event.target.id === "picture" && !document.querySelector("#frame.drawable")) open(false); });
  document.addEventListener("click", (event) => { if (event.target.id === "slideshow") open(true); });
  // The slideshow of an album begins at its first photo.
  document.addEventListener("DOMContentLoaded", () => {
    if (location.hash !== "#slideshow") return;
    history.replaceState(history.state, "", location.pathname + location.search);
    open(true);
  });
})();
