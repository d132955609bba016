// Comfort only: the page says all it has to say without this.
(() => {
  "use strict";
  const make = (tag, cls, text) => {
    const e = document.createElement(tag);
    if (cls) e.className = cls;
    if (text) e.textContent = text;
    return e;
  };
  const button = (text, label, act) => {
    const b = make("button", "", text);
    b.type = "button";
    b.setAttribute("aria-label", label);
    b.addEventListener("click", act);
    return b;
  };

  // Zoom widens the chart within its scrolling frame.
  const frame = document.querySelector("#story .wide");
  if (frame) {
    let zoom = 1;
    const to = (z) => {
      const middle = (frame.scrollLeft + frame.clientWidth / 2) / frame.scrollWidth;
      zoom = Math.min(8, Math.max(1, z));
      frame.style.setProperty("--zoom", zoom * 100 + "%");
      frame.scrollLeft = middle * frame.scrollWidth - frame.clientWidth / 2;
    };
    const tools = make("div", "tools");
    tools.append(
      button("−", "Zoom out", () => to(zoom / 2)),
      button("+", "Zoom in", () => to(zoom * 2)),
      button("1:1", "Whole run", () => to(1)));
    frame.before(tools);
    hover(frame, [...document.querySelectorAll("#story table[data-bins]")]);
  }

  // Hover reads the stretch under the pointer from the table of that lane, or else
  // from the first one, and says what the mark under the pointer is.
  function hover(frame, tables) {
    if (!tables.length) return;
    const svg = frame.querySelector("svg");
    const { left, right } = frame.dataset;
    const tip = make("div", "tip"), cursor = make("div", "cursor");
    const hide = () => { tip.remove(); cursor.remove(); };
    for (const title of svg.querySelectorAll("title")) { // or the browser shows it as well
      title.parentNode.dataset.note = title.textContent;
      title.remove();
    }
    frame.addEventListener("pointerleave", hide);
    frame.addEventListener("pointermove", (e) => {
      const box = svg.getBoundingClientRect();
      const scale = svg.viewBox.baseVal.width / box.width;
      const x = (e.clientX - box.left) * scale, y = (e.clientY - box.top) * scale;
      const table = tables.findLast((t) => y >= t.dataset.top && y < t.dataset.bottom) ?? tables[0];
      const row = table.tBodies[0].rows[Math.floor((x - left) / (right - left) * table.dataset.bins)];
      if (x < +left || x > +right || !row) return hide();
      const names = [...table.tHead.rows[0].cells].map((c) => c.textContent);
      const note = e.target.dataset?.note;
      tip.replaceChildren(
        ...(note ? [make("div", "note", note)] : []),
        ...names.flatMap((name, i) => [make("span", "", name), make("b", "", row.cells[i].textContent)]));
      frame.append(cursor, tip);
      const edge = frame.getBoundingClientRect();
      const at = e.clientX - edge.left + frame.scrollLeft;
      const roomRight = frame.scrollLeft + frame.clientWidth - at;
      cursor.style.left = at + "px";
      tip.style.left = (roomRight > tip.offsetWidth + 24 ? at + 14 : at - tip.offsetWidth - 14) + "px";
      tip.style.top = Math.max(0, Math.min(e.clientY - edge.top - 24, frame.clientHeight - tip.offsetHeight)) + "px";
    });
  }

  // Copy the replay command.
  for (const pre of document.querySelectorAll("pre.copy")) {
    const b = button("Copy", "Copy the command", async () => {
      try {
        await navigator.clipboard.writeText(pre.textContent);
        b.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(pre);
      }
    });
    const tools = make("div", "tools");
    tools.append(b);
    pre.before(tools);
  }

  // Paper has no folds.
  addEventListener("beforeprint", () => {
    for (const d of document.querySelectorAll("details:not(#story details)")) d.open = true;
  });
})();
