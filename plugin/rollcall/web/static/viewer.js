"use strict";
// One photo as large as the screen: wheel, double click, pinch, drag and keys; sharp once it is enlarged; a slideshow.
(() => {
  const SLIDE_SECONDS = 5;
  let dialog = null;

  function open(playing) {
    const picture = document.getElementById("picture"), button = document.getElementById("enlarge");
    if (!picture || !button || dialog) return;
    dialog = document.createElement("dialog");
    dialog.className = "viewer";
    dialog.setAttribute("aria-label", picture.alt);
    const image = new Image();
    image.src = picture.src; image.alt = picture.alt; image.draggable = false;
    const close = document.createElement("button");
    close.type = "button"; close.className = "close"; close.textContent = "✕"; close.setAttribute("aria-label", gettext("Close"));
    close.addEventListener("click", () => dialog.close());
    dialog.append(image, close);
    document.body.append(dialog);
    dialog.showModal();
    if (playing) dialog.requestFullscreen?.().catch(() => {});

    let scale = 1, x = 0, y = 0, sharp = false, slide = 0;
    const pointers = new Map();
    const draw = () => {
      const most = [Math.max(image.clientWidth * scale - innerWidth, 0) / 2, Math.max(image.clientHeight * scale - innerHeight, 0) / 2];
      x = Math.min(Math.max(x, -most[0]), most[0]); y = Math.min(Math.max(y, -most[1]), most[1]);
      image.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
      dialog.classList.toggle("enlarged", scale > 1);
      if (scale > 1.2 && !sharp) {
        sharp = true;
        const large = new Image();
        large.src = button.dataset.large;
        // Shown when it is there whole: until then the small one stands in its place.
        large.decode().then(() => { image.src = large.src; image.dataset.sharp = "yes"; }).catch(() => {});
      }
    };
    const zoom = (factor, cx = innerWidth / 2, cy = innerHeight / 2) => {
      const to = Math.min(Math.max(scale * factor, 1), 12);
      // What lies under the pointer stays there.
      x = (x - (cx - innerWidth / 2)) * to / scale + (cx - innerWidth / 2);
      y = (y - (cy - innerHeight / 2)) * to / scale + (cy - innerHeight / 2);
      scale = to; draw();
    };
    const turn = (key) => {
      const link = document.querySelector(`a[data-key=${key}]`);
      if (!link) { dialog.close(); return; }
      sessionStorage.setItem("rollcall.viewer", playing ? "playing" : "open");
      link.click();
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
    dialog.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const pan = { ArrowUp: [0, 80], ArrowDown: [0, -80], ArrowLeft: [80, 0], ArrowRight: [-80, 0] }[event.key];
      if (event.key === "+" || event.key === "=") zoom(1.5); else if (event.key === "-") zoom(1 / 1.5); else if (event.key === "0") zoom(0);
      else if (event.key === "f" || event.key === "F") { if (document.fullscreenElement) document.exitFullscreen(); else dialog.requestFullscreen?.(); }
      else if (pan && scale > 1) { x += pan[0]; y += pan[1]; draw(); }
      else if (event.key === "ArrowLeft" || event.key === "ArrowRight") turn(event.key);
      else if (event.key === " ") { playing = !playing; play(); }
      else return;
      event.preventDefault(); event.stopPropagation();
    });
    function play() { clearTimeout(slide); if (playing) slide = setTimeout(() => turn("ArrowRight"), 1000 * SLIDE_SECONDS); }
    play();
    dialog.addEventListener("close", () => { clearTimeout(slide); dialog.remove(); dialog = null; button.focus({ preventScroll: true }); });
  }

  document.addEventListener("click", (event) => { if (event.target.id === "enlarge") open(false); });
  document.addEventListener("dblclick", (event) => { if (event.target.id === "picture" && !document.querySelector("#frame.drawable")) open(false); });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "p" || dialog || event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, select, textarea")) return;
    open(true);
  });
  document.addEventListener("DOMContentLoaded", () => {
    const state = sessionStorage.getItem("rollcall.viewer");
    sessionStorage.removeItem("rollcall.viewer");
    if (state) open(state === "playing");
  });
})();
