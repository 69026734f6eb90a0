"use strict";
// Drawing a face that was missed, and moving or sizing the box of one.
(() => {
  // A press of the mouse that moves less than this, in pixels, is a click and draws nothing.
  const SMALLEST = 12;
  // From so many pixels inside or outside of an edge the edge is dragged, and not the box; small boxes have less inside.
  const GRIP = 14;
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
    // Faces of a crowd in a large picture are small: a box has four points of the picture at least.
    const picture = document.getElementById("picture");
    const least = [picture.getAttribute("width"), picture.getAttribute("height")].map((points) => Math.min(4 / Number(points), 0.005));
    const show = () => { shown.hidden = !box; if (box) place(shown, box); };
    const stop = () => {
      frame.classList.remove("drawable"); draw.setAttribute("aria-pressed", "false"); move?.setAttribute("aria-pressed", "false");
      form.hidden = true; box = from = null; leave = null; show(); frame.removeAttribute("tabindex");
    };
    const take = () => {
      if (!box || box[2] < least[0] || box[3] < least[1]) return;
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
    // A box that was found may reach a little beyond the picture; one that is sent may not.
    const inside = ([x, y, width, height]) => [Math.max(x, 0), Math.max(y, 0), Math.min(x + width, 1) - Math.max(x, 0), Math.min(y + height, 1) - Math.max(y, 0)];
    move?.addEventListener("click", () => begin(move, "move", inside(move.dataset.from.split(",").map(Number))));

    frame.addEventListener("pointerdown", (event) => {
      // A second finger is none that draws, and another button of the mouse opens the browser's menu.
      if (!frame.classList.contains("drawable") || event.button || !event.isPrimary) return;
      event.preventDefault(); frame.setPointerCapture(event.pointerId);
      from = at(event); start = box; grip = "new";
      if (what.value !== "move") return;
      const [x, y] = pixels([from[0] - box[0], from[1] - box[1]]), [width, height] = pixels(box.slice(2));
      const side = (value, size, [first, last]) => {
        const deep = Math.min(GRIP, size / 4);
        return value < deep ? first : value > size - deep ? last : "";
      };
      grip = x < -GRIP || y < -GRIP || x > width + GRIP || y > height + GRIP ? "new" : side(x, width, "we") + side(y, height, "ns") || "all";
    });
    frame.addEventListener("pointermove", (event) => {
      if (!from || !event.isPrimary) return;
      const to = at(event), dx = to[0] - from[0], dy = to[1] - from[1];
      if (grip === "new") box = [Math.min(from[0], to[0]), Math.min(from[1], to[1]), Math.abs(dx), Math.abs(dy)];
      else if (grip === "all") box = [Math.min(Math.max(start[0] + dx, 0), 1 - start[2]), Math.min(Math.max(start[1] + dy, 0), 1 - start[3]), start[2], start[3]];
      else {
        let [left, top, right, bottom] = [start[0], start[1], start[0] + start[2], start[1] + start[3]];
        // By as much as the pointer went: it does not begin just on the edge.
        if (grip.includes("w")) left = Math.max(Math.min(left + dx, right - least[0]), 0); if (grip.includes("e")) right = Math.min(Math.max(right + dx, left + least[0]), 1);
        if (grip.includes("n")) top = Math.max(Math.min(top + dy, bottom - least[1]), 0); if (grip.includes("s")) bottom = Math.min(Math.max(bottom + dy, top + least[1]), 1);
        box = [left, top, right - left, bottom - top];
      }
      show();
    });
    frame.addEventListener("pointerup", (event) => {
      if (!from || !event.isPrimary) return;
      const to = at(event), [across, down] = pixels([Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1])]);
      from = null;
      if (grip === "new" && (across < SMALLEST || down < SMALLEST)) { box = start; show(); return; }
      // A box that was moved may be moved again, until Enter or a click on the button.
      if (what.value === "draw") take();
    });
    frame.addEventListener("pointercancel", (event) => { if (from && event.isPrimary) { from = null; box = start; show(); } });
    frame.addEventListener("dblclick", () => { if (what.value === "move" && frame.classList.contains("drawable")) take(); });
    form.addEventListener("click", (event) => { if (event.target.id === "take-box") take(); else if (event.target.id === "leave-box") leave?.(); });
    frame.addEventListener("keydown", (event) => {
      if (!frame.classList.contains("drawable") || !box) return;
      // A small box goes by small steps: by an eighth of itself.
      const [across, down] = [box[2], box[3]].map((size) => Math.min(0.01, size / 8));
      const moves = { ArrowLeft: [-across, 0], ArrowRight: [across, 0], ArrowUp: [0, -down], ArrowDown: [0, down] }[event.key];
      if (event.key === "Enter") take();
      else if (moves) {
        box = [...box];
        const first = event.shiftKey ? 2 : 0;
        box[first] += moves[0]; box[first + 1] += moves[1];
        box[2] = Math.min(Math.max(box[2], least[0]), 1); box[3] = Math.min(Math.max(box[3], least[1]), 1);
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
