"use strict";
// Drawing a face that was missed, and moving or sizing the box of one.
(() => {
  // A press of the mouse that moves less than this, in pixels, is a click and draws nothing.
  const SMALLEST = 12;
  let leave = null;

  function drawing(frame) {
    if (frame.dataset.ready) return;
    frame.dataset.ready = "yes";
    leave = null;
    const draw = document.getElementById("draw"), move = document.getElementById("move");
    const form = document.getElementById("drawn"), shown = document.getElementById("drawing");
    if (!draw) return;
    const what = form.elements.what, face = form.elements.face;
    let box = null, from = null, start = null, grip = "", button = draw;
    const at = (event) => {
      const edge = frame.getBoundingClientRect();
      return [Math.min(Math.max((event.clientX - edge.left) / edge.width, 0), 1), Math.min(Math.max((event.clientY - edge.top) / edge.height, 0), 1)];
    };
    const pixels = (size) => [size[0] * frame.clientWidth, size[1] * frame.clientHeight];
    const show = () => { shown.hidden = !box; if (box) place(shown, box); };
    const stop = () => {
      frame.classList.remove("drawable"); draw.setAttribute("aria-pressed", "false"); move?.setAttribute("aria-pressed", "false");
      form.hidden = true; box = from = null; leave = null; show(); frame.removeAttribute("tabindex");
    };
    const take = () => {
      if (!box || box[2] < 0.005 || box[3] < 0.005) return;
      document.getElementById("drawn-box").value = box.map((value) => value.toFixed(5)).join(",");
      form.requestSubmit();
      stop();
    };
    const begin = (pressed, value, first) => {
      if (frame.classList.contains("drawable")) { stop(); return; }
      fetch(`${base}/api/warm-up`, { method: "POST" }).catch(() => {});
      button = pressed; what.value = value; face.disabled = value === "draw"; face.value = pressed.dataset.face || "";
      frame.classList.add("drawable"); pressed.setAttribute("aria-pressed", "true"); form.hidden = false;
      frame.tabIndex = 0; box = first; show(); frame.focus();
      leave = () => { stop(); button.focus(); };
    };
    draw.addEventListener("click", () => begin(draw, "draw", [0.4, 0.4, 0.2, 0.2]));
    move?.addEventListener("click", () => begin(move, "move", move.dataset.from.split(",").map(Number)));

    frame.addEventListener("pointerdown", (event) => {
      if (!frame.classList.contains("drawable")) return;
      event.preventDefault(); frame.setPointerCapture(event.pointerId);
      from = at(event); start = box; grip = "new";
      if (what.value !== "move") return;
      const [x, y] = pixels([from[0] - box[0], from[1] - box[1]]), [width, height] = pixels(box.slice(2));
      const near = (value, edge) => Math.abs(value - edge) < 14;
      const side = (near(x, 0) ? "w" : near(x, width) ? "e" : "") + (near(y, 0) ? "n" : near(y, height) ? "s" : "");
      grip = x < -14 || y < -14 || x > width + 14 || y > height + 14 ? "new" : side || "all";
    });
    frame.addEventListener("pointermove", (event) => {
      if (!from) return;
      const to = at(event), dx = to[0] - from[0], dy = to[1] - from[1];
      if (grip === "new") box = [Math.min(from[0], to[0]), Math.min(from[1], to[1]), Math.abs(dx), Math.abs(dy)];
      else if (grip === "all") box = [Math.min(Math.max(start[0] + dx, 0), 1 - start[2]), Math.min(Math.max(start[1] + dy, 0), 1 - start[3]), start[2], start[3]];
      else {
        let [left, top, right, bottom] = [start[0], start[1], start[0] + start[2], start[1] + start[3]];
        if (grip.includes("w")) left = Math.min(to[0], right - 0.005); if (grip.includes("e")) right = Math.max(to[0], left + 0.005);
        if (grip.includes("n")) top = Math.min(to[1], bottom - 0.005); if (grip.includes("s")) bottom = Math.max(to[1], top + 0.005);
        box = [left, top, right - left, bottom - top];
      }
      show();
    });
    frame.addEventListener("pointerup", (event) => {
      if (!from) return;
      const to = at(event), [across, down] = pixels([Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1])]);
      from = null;
      if (grip === "new" && (across < SMALLEST || down < SMALLEST)) { box = start; show(); return; }
      // A box that was moved may be moved again, until Enter or a click on the button.
      if (what.value === "draw") take();
    });
    frame.addEventListener("pointercancel", () => { if (from) { from = null; box = start; show(); } });
    frame.addEventListener("dblclick", () => { if (what.value === "move" && frame.classList.contains("drawable")) take(); });
    form.addEventListener("click", (event) => { if (event.target.id === "take-box") take(); });
    frame.addEventListener("keydown", (event) => {
      if (!frame.classList.contains("drawable") || !box) return;
      const step = 0.01, moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
      if (event.key === "Enter") take();
      else if (moves) {
        box = [...box];
        const first = event.shiftKey ? 2 : 0;
        box[first] += moves[0]; box[first + 1] += moves[1];
        box[2] = Math.min(Math.max(box[2], step), 1); box[3] = Math.min(Math.max(box[3], step), 1);
        box[0] = Math.min(Math.max(box[0], 0), 1 - box[2]); box[1] = Math.min(Math.max(box[1], 0), 1 - box[3]); show();
      } else return;
      event.preventDefault(); event.stopPropagation();
    });
  }

  // Wherever the focus is.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !leave) return;
    event.preventDefault(); event.stopImmediatePropagation(); leave();
  }, true);
  window.rollcallDrawing = drawing;
  document.addEventListener("DOMContentLoaded", () => { const frame = document.getElementById("frame"); if (frame) drawing(frame); });
})();
