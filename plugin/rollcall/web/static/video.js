"use strict";
// A video on its page: it plays from the frame that is shown; while it is paused, the faces seen then have their boxes.
(() => {
  // Boxes of faces are shown at most so far from their own moment, in seconds.
  const NEAR = 0.3;

  function boxes(frame, seconds) {
    for (const one of frame.querySelectorAll("[data-time]")) one.hidden = seconds === null || Math.abs(Number(one.dataset.time) - seconds) > NEAR;
    keepInside(frame);
  }

  // What is shown at first is what the box of the open face belongs to.
  function keep(button) {
    button.dataset.first ||= button.dataset.at;
    document.getElementById("picture").dataset.first ||= document.getElementById("picture").src;
  }

  function back(frame, button) {
    keep(button);
    document.getElementById("video")?.remove();
    document.getElementById("picture").src = document.getElementById("picture").dataset.first;
    button.dataset.at = button.dataset.first;
    boxes(frame, Number(button.dataset.first));
  }

  // The frame where the video is paused takes its place, so that a face can be drawn on it.
  function still(frame, button, video) {
    const seconds = video.currentTime;
    video.pause();
    keep(button);
    document.getElementById("picture").src = `${button.dataset.frame}?at=${seconds.toFixed(3)}`;
    const drawn = document.getElementById("drawn-time");
    if (drawn) drawn.value = seconds.toFixed(3);
    button.dataset.at = seconds.toFixed(3);
    video.remove();
    boxes(frame, seconds);
  }

  // A video that is not given says so by its number; what is given, this browser does not know.
  async function why(address) {
    const unknown = gettext("This browser cannot play the video; the frames in which faces were found are shown all the same.");
    let status = 0;
    try { status = (await fetch(address, { headers: { Range: "bytes=0-0" } })).status; } catch { return unknown; }
    if (status === 413) return gettext("This video is too large to be shown here; ask for a copy.");
    if (status === 415) return gettext("What this video tells of places and people cannot be taken out of it, so guests do not get it.");
    if (status >= 400) return gettext("The video cannot be shown at present.");
    return document.getElementById("draw") ? unknown : gettext("This browser cannot play the video.");
  }

  function play(button) {
    const frame = document.getElementById("frame");
    let video = document.getElementById("video");
    if (video) { if (video.paused) video.play().catch(() => {}); else video.pause(); return; }
    video = document.createElement("video");
    video.id = "video"; video.controls = true; video.playsInline = true; video.preload = "metadata";
    video.setAttribute("aria-label", document.getElementById("picture").alt);
    video.addEventListener("loadedmetadata", () => { video.currentTime = Math.max(Number(button.dataset.at) || 0, 0); }, { once: true });
    video.addEventListener("play", () => boxes(frame, null));
    for (const name of ["pause", "seeked"]) video.addEventListener(name, () => { if (video.paused && video.isConnected) boxes(frame, video.currentTime); });
    video.addEventListener("error", () => {
      if (!video.isConnected) return;
      video.remove();
      boxes(frame, Number(button.dataset.at));
      button.disabled = true;
      const note = document.createElement("p");
      note.className = "note"; note.setAttribute("role", "alert");
      // In the page before its text, which is said then.
      frame.after(note);
      why(button.dataset.video).then((text) => { note.textContent = text; });
    });
    video.src = button.dataset.video;
    document.getElementById("picture").after(video);
    video.play().catch(() => {});
  }

  document.addEventListener("click", (event) => {
    const button = document.getElementById("play");
    if (event.target.id === "play") play(event.target);
    else if (button && event.target.id === "draw") {
      const video = document.getElementById("video");
      if (video) still(document.getElementById("frame"), button, video);
    } else if (button && event.target.id === "move") back(document.getElementById("frame"), button);
  }, true);
})();
