"use strict";
// Asks every second how the run stands, and draws it anew when that has changed.
(() => {
  const main = document.querySelector("main"), state = document.getElementById("state");
  const kinds = "button, .plane, input, select, summary, .scroll";
  let tag = null, shown = "", pressed = false;
  addEventListener("pointerdown", () => { pressed = true; });
  addEventListener("pointerup", () => { pressed = false; });
  addEventListener("pointercancel", () => { pressed = false; });

  async function ask() {
    try {
      const answer = await fetch("progress.json", { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
      if (answer.status === 200) {
        const found = await answer.json();
        if (found.html !== shown && !pressed) {
          draw(found.html);
          tag = answer.headers.get("ETag");
        }
        state.textContent = found.state;
        document.title = `${found.state} liftax watch`;
      }
    } catch {
      state.textContent = "The server is gone; what is shown was the last state.";
    }
    setTimeout(ask, 1000);
  }

  function draw(html) {
    const place = [...main.querySelectorAll(kinds)].indexOf(document.activeElement);
    const open = [...main.querySelectorAll("details")].map((node) => node.open);
    main.innerHTML = html;
    shown = html;
    liftax.enhance(main);
    main.querySelectorAll("details").forEach((node, i) => { node.open = open[i] ?? false; });
    if (place >= 0) main.querySelectorAll(kinds)[place]?.focus({ preventScroll: true });
  }
  ask();
})();
