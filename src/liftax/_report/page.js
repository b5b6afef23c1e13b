"use strict";
// Charts that zoom and read out values, pictures with a slider. Without this script the page shows
// the same charts and pictures, still.
const liftax = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const states = new Map(); // of charts, by their place: kept where a live page redraws them

  const make = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };
  const draw = (tag, attributes, text) => {
    const node = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const short = (value) => {
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size >= 1e5 || size < 1e-3) return value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e");
    return String(Number(value.toPrecision(4)));
  };

  const limits = (values, log) => {
    const known = values.filter((v) => v !== null && v !== undefined);
    if (!known.length) return log ? [1, 10] : [0, 1];
    const low = Math.min(...known), high = Math.max(...known);
    if (log) {
      const room = Math.max(1.05, (high / low) ** 0.04);
      return [low / room, high * room];
    }
    const room = 0.04 * (high - low) || 0.1 * Math.abs(high) || 0.5;
    return [low - room, high + room];
  };
  const ticks = (low, high, log, count, least = 0) => {
    if (log && high / low >= 9) {
      const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9);
      const every = Math.max(1, Math.ceil((last - first) / count)), found = [];
      if (last - first > 1) {
        for (let k = first; k <= last; k += every) found.push(10 ** k);
      } else {
        for (let k = first - 1; k <= last; k++) for (const m of [1, 2, 5]) found.push(m * 10 ** k);
      }
      return found.filter((t) => t >= low * (1 - 1e-9) && t <= high * (1 + 1e-9));
    }
    const rough = (high - low) / count, size = 10 ** Math.floor(Math.log10(rough));
    const step = Math.max(least, [1, 2, 5, 10].map((m) => m * size).find((s) => s >= rough * 0.999));
    const found = [];
    for (let k = Math.ceil(low / step - 1e-9); k <= Math.floor(high / step + 1e-9); k++) found.push(step * k);
    return found;
  };
  const share = (value, [low, high], log) =>
    log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
  const between = (part, [low, high], log) =>
    log ? low * (high / low) ** part : low + part * (high - low);

  function chart(box, key) {
    const data = JSON.parse(box.querySelector("script").textContent);
    const still = box.querySelector("svg"), name = still.getAttribute("aria-label");
    const logs = { x: data.log.includes("x"), y: data.log.includes("y") };
    const whole = limits(data.lines.flatMap((line) => line.x), logs.x);
    const state = states.get(key) ?? { range: null, hidden: new Set(), at: null };
    states.set(key, state);
    const abscissae = [...new Set(data.lines.flatMap((line) => line.x))]
      .filter((v) => v !== null).sort((a, b) => a - b);

    const plane = make("div", { class: "plane", tabindex: "0", role: "group", "aria-label":
      `${name}. Arrow keys read values, plus and minus zoom, 0 shows all.` });
    const readout = make("p", { class: "readout", role: "status" });
    const button = (text, label, action) => {
      const node = make("button", { type: "button", "aria-label": label, title: label }, text);
      node.addEventListener("click", action);
      return node;
    };
    const tools = make("div", { class: "tools" },
      button("+", "zoom in", () => zoom(0.5)), button("−", "zoom out", () => zoom(2)),
      button("all", "show all", () => { state.range = null; render(); }),
      make("span", { class: "note" }, "drag to zoom"));
    still.replaceWith(plane);
    plane.after(readout, tools);

    const legend = box.querySelector(".legend") ?? box.closest("figure")?.querySelector(":scope > .legend");
    if (legend && legend.parentNode === box) toggles(legend, [{ data, state, render: () => render() }]);

    const range = () => state.range ?? whole;
    let geometry = null;

    function render() {
      const width = Math.max(plane.clientWidth || 640, 220);
      const height = Math.round(Math.min(360, Math.max(220, 0.58 * width)));
      const left = 62, right = width - 12, top = 12, bottom = height - 46;
      const x = range();
      const lines = data.lines.filter((line) => !state.hidden.has(line.label));
      const inside = (v) => v !== null && v >= x[0] && v <= x[1];
      const y = limits(lines.flatMap((line) => ["y", "low", "high"].flatMap((column) =>
        (line[column] ?? []).filter((v, i) => inside(line.x[i])))), logs.y);
      const across = (v) => left + (right - left) * share(v, x, logs.x);
      const down = (v) => bottom - (bottom - top) * share(v, y, logs.y);
      geometry = { left, right, across, width };
      const clip = `clip-${key}`.replace(/[^\w-]/g, "_");
      const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": name });
      const frame = { x: left, y: top, width: right - left, height: bottom - top };
      const hole = draw("clipPath", { id: clip });
      hole.append(draw("rect", frame));
      svg.append(hole, draw("rect", { class: "frame", ...frame }));
      for (const t of ticks(...x, logs.x, Math.max(3, Math.floor((right - left) / 80)),
        data.x === "epoch" ? 1 : 0)) {
        svg.append(draw("path", { class: "grid", d: `M${across(t)} ${top}V${bottom}` }),
          draw("text", { x: across(t), y: bottom + 18, "text-anchor": "middle" }, short(t)));
      }
      for (const t of ticks(...y, logs.y, 5)) {
        svg.append(draw("path", { class: "grid", d: `M${left} ${down(t)}H${right}` }),
          draw("text", { x: left - 6, y: down(t), dy: ".32em", "text-anchor": "end" }, short(t)));
      }
      svg.append(draw("text", { x: (left + right) / 2, y: height - 8, "text-anchor": "middle" }, data.x),
        draw("text", { transform: `translate(13 ${(top + bottom) / 2}) rotate(-90)`,
          "text-anchor": "middle" }, data.y));
      const drawing = draw("g", { "clip-path": `url(#${clip})` });
      for (const line of lines) {
        const kind = `c${line.colour}`;
        if (line.low) {
          const edge = (column) => line.x.map((u, i) => [u, line[column][i]])
            .filter(([u, v]) => u !== null && v !== null).map(([u, v]) => `${across(u)},${down(v)}`);
          drawing.append(draw("polygon", { class: `band ${kind}`,
            points: [...edge("high"), ...edge("low").reverse()].join(" ") }));
        }
        let path = "", pen = "M";
        line.x.forEach((u, i) => {
          const v = line.y[i];
          if (u === null || v === null) { pen = "M"; return; }
          path += `${pen}${across(u).toFixed(1)} ${down(v).toFixed(1)}`;
          pen = "L";
          if (line.dots) drawing.append(draw("circle", { class: `dot ${kind}`, cx: across(u), cy: down(v), r: 3 }));
        });
        drawing.append(draw("path", { class: `line ${kind}${line.dashed ? " dashed" : ""}`, d: path }));
      }
      if (state.at !== null && inside(state.at)) {
        drawing.append(draw("path", { class: "guide", d: `M${across(state.at)} ${top}V${bottom}` }));
        for (const line of lines) {
          const v = line.y[line.x.indexOf(state.at)];
          if (v !== null && v !== undefined) {
            drawing.append(draw("circle", { class: `dot c${line.colour}`, cx: across(state.at), cy: down(v), r: 4 }));
          }
        }
      }
      svg.append(drawing);
      plane.replaceChildren(svg);
      say(lines);
    }

    function say(lines) {
      readout.replaceChildren();
      if (state.at === null) return;
      readout.append(`${data.x} ${short(state.at)}: `);
      let first = true;
      for (const line of lines) {
        const v = line.y[line.x.indexOf(state.at)];
        if (v === null || v === undefined || (!line.label && lines.length > 1)) continue;
        readout.append(first ? "" : ", ", make("b", { class: `c${line.colour}` }, line.label || data.y), ` ${short(v)}`);
        first = false;
      }
    }

    function zoom(factor) {
      const x = range(), middle = state.at !== null && state.at >= x[0] && state.at <= x[1]
        ? share(state.at, x, logs.x) : 0.5;
      const next = [between(middle - factor * middle, x, logs.x),
        between(middle + factor * (1 - middle), x, logs.x)];
      setRange(next[0], next[1]);
    }

    function setRange(low, high) {
      low = Math.max(low, whole[0]);
      high = Math.min(high, whole[1]);
      const all = low <= whole[0] && high >= whole[1];
      const narrow = share(high, whole, logs.x) - share(low, whole, logs.x) < 1e-4;
      if (!narrow) { state.range = all ? null : [low, high]; render(); }
    }

    function nearest(event) {
      const box = plane.getBoundingClientRect();
      const part = ((event.clientX - box.left) * geometry.width / box.width - geometry.left) /
        (geometry.right - geometry.left);
      return { part: Math.min(1, Math.max(0, part)),
        value: between(Math.min(1, Math.max(0, part)), range(), logs.x) };
    }

    let from = null;
    plane.addEventListener("pointerdown", (event) => {
      from = nearest(event);
      if (event.pointerType === "mouse") plane.setPointerCapture(event.pointerId);
    });
    plane.addEventListener("pointermove", (event) => {
      const here = nearest(event);
      const seen = abscissae.filter((v) => v >= range()[0] && v <= range()[1]);
      if (!seen.length) return;
      const gap = (v) => Math.abs(share(v, range(), logs.x) - here.part);
      state.at = seen.reduce((best, v) => (gap(v) < gap(best) ? v : best));
      render();
      if (from !== null && event.pointerType === "mouse" && Math.abs(here.part - from.part) > 0.01) {
        const svg = plane.firstChild, frame = svg.querySelector(".frame");
        const [a, b] = [from.value, here.value].map(geometry.across).sort((u, v) => u - v);
        svg.append(draw("rect", { class: "window", x: a, width: b - a, y: frame.getAttribute("y"),
          height: frame.getAttribute("height") }));
      }
    });
    plane.addEventListener("pointerup", (event) => {
      const here = nearest(event);
      if (from !== null && event.pointerType === "mouse" && Math.abs(here.part - from.part) > 0.02) {
        setRange(Math.min(from.value, here.value), Math.max(from.value, here.value));
      }
      from = null;
    });
    plane.addEventListener("pointercancel", () => { from = null; });
    plane.addEventListener("pointerleave", () => {
      if (from === null && document.activeElement !== plane) { state.at = null; render(); }
    });
    plane.addEventListener("dblclick", () => { state.range = null; render(); });
    plane.addEventListener("keydown", (event) => {
      const seen = abscissae.filter((v) => v >= range()[0] && v <= range()[1]);
      const place = seen.indexOf(state.at), last = seen.length - 1;
      const moves = { ArrowRight: place < 0 ? 0 : Math.min(place + 1, last),
        ArrowLeft: place < 0 ? last : Math.max(place - 1, 0), Home: 0, End: last };
      if (event.key in moves && seen.length) state.at = seen[moves[event.key]];
      else if (event.key === "+" || event.key === "=") return event.preventDefault(), zoom(0.5);
      else if (event.key === "-") return event.preventDefault(), zoom(2);
      else if (event.key === "0" || event.key === "Escape") state.range = null;
      else return;
      event.preventDefault();
      render();
    });
    new ResizeObserver(() => {
      if (geometry === null || Math.abs(plane.clientWidth - geometry.width) > 1) render();
    }).observe(plane);
    render();
    return { data, state, render };
  }

  function toggles(legend, charts) {
    for (const entry of legend.querySelectorAll("li")) {
      const label = entry.textContent;
      const button = make("button", { type: "button",
        "aria-pressed": String(!charts[0].state.hidden.has(label)), title: "show or hide" });
      button.append(...entry.childNodes);
      entry.append(button);
      button.addEventListener("click", () => {
        const shown = button.getAttribute("aria-pressed") === "false";
        button.setAttribute("aria-pressed", String(shown));
        for (const { state, render } of charts) {
          if (shown) state.hidden.delete(label); else state.hidden.add(label);
          render();
        }
      });
    }
  }

  // Rows of pictures: two of them under a slider, or one of many that belong to a number.
  function gallery(box, key) {
    const rows = [...box.querySelectorAll(":scope > .row")].map((row) => ({ row,
      label: row.querySelector("h3").textContent, images: [...row.querySelectorAll("img")],
      frame: row.classList.contains("step") }));
    const frames = rows.filter(({ frame }) => frame);
    if (frames.length > 1) steps(box, frames, key);
    else if (rows.length > 1) compare(box, rows, key);
  }

  function steps(box, frames, key) {
    const state = states.get(key) ?? { at: Number(box.dataset.start ?? 0) };
    states.set(key, state);
    const name = box.dataset.name, id = `range-${key}`;
    const input = make("input", { type: "range", id, min: 0, max: frames.length - 1, step: 1 });
    const out = make("output", { for: id });
    const show = () => {
      frames.forEach(({ row }, i) => { row.hidden = i !== state.at; });
      out.textContent = frames[state.at].label;
      input.setAttribute("aria-valuetext", frames[state.at].label);
    };
    input.value = String(state.at);
    input.addEventListener("input", () => { state.at = Number(input.value); show(); });
    frames[0].row.before(make("div", { class: "tools" }, make("label", { for: id }, name), input, out));
    show();
  }

  function compare(box, rows, key) {
    const state = states.get(key) ?? { left: Number(box.dataset.left ?? 0), right: Number(box.dataset.right ?? 1), part: 50 };
    states.set(key, state);
    const strip = make("div", { class: "strip" }), id = `range-${key}`;
    const input = make("input", { type: "range", id, min: 0, max: 100, value: state.part });
    const choice = (side, label) => {
      const node = make("select", { "aria-label": label });
      rows.forEach((row, i) => node.append(make("option", { value: i }, row.label)));
      node.value = String(state[side]);
      node.addEventListener("change", () => { state[side] = Number(node.value); fill(); });
      return node;
    };
    const cut = () => {
      input.setAttribute("aria-valuetext", `${state.part} % ${rows[state.left].label}`);
      for (const stack of strip.children) {
        stack.querySelector(".over").style.clipPath = `inset(0 ${100 - state.part}% 0 0)`;
        stack.querySelector(".edge").style.left = `${state.part}%`;
      }
    };
    const fill = () => {
      const [left, right] = [rows[state.left], rows[state.right]];
      strip.replaceChildren(...right.images.map((image, i) => {
        const below = make("img", { src: image.src, alt: image.alt });
        const above = make("img", { src: (left.images[i] ?? image).src, alt: (left.images[i] ?? image).alt, class: "over" });
        const stack = make("div", { class: image.classList.contains("large") ? "stack large" : "stack" },
          below, above, make("span", { class: "edge" }));
        stack.addEventListener("pointermove", (event) => {
          if (event.pointerType !== "mouse" || event.buttons !== 1) return;
          slide(event, stack);
        });
        stack.addEventListener("pointerdown", (event) => { event.preventDefault(); slide(event, stack); });
        return stack;
      }));
      cut();
    };
    const slide = (event, stack) => {
      const place = stack.getBoundingClientRect();
      state.part = Math.round(Math.min(100, Math.max(0, 100 * (event.clientX - place.left) / place.width)));
      input.value = String(state.part);
      cut();
    };
    input.addEventListener("input", () => { state.part = Number(input.value); cut(); });
    const tools = make("div", { class: "tools" }, choice("left", "pictures on the left"),
      make("label", { for: id, class: "note" }, "slider"), input, choice("right", "pictures on the right"));
    const all = make("details", {}, make("summary", {}, "side by side"));
    all.append(...rows.map(({ row }) => row));
    box.prepend(tools, strip, all);
    fill();
  }

  function enhance(root) {
    root.querySelectorAll("figure.panels").forEach((figure, i) => {
      const charts = [...figure.querySelectorAll(".chart")].map((box, j) => chart(box, `chart-${i}-${j}`));
      const legend = figure.querySelector(":scope > .legend");
      if (legend) toggles(legend, charts);
    });
    root.querySelectorAll(".gallery").forEach((box, i) => gallery(box, `gallery-${i}`));
  }
  return { enhance };
})();
liftax.enhance(document);
