// The side of the page: the eight valves to press, the sliders, and the facts.
const Panel = (() => {
  const SLIDERS = [
    ["wind", "Wind", 0, 0.6, 0.01, (v) => `${v.toFixed(2)} N`], ["from", "Direction", -180, 180, 5, (v) => `${v.toFixed(0)}°`],
    ["floor", "Uneven floor", 0, 0.5, 0.01, (v) => `${v.toFixed(2)} N`], ["torque", "Torque", -0.1, 0.1, 0.005, (v) => `${v.toFixed(3)} Nm`],
    ["noise", "Bad sight", 0, 5, 0.1, (v) => `±${v.toFixed(1)} cm`], ["load", "Load", -30, 60, 1, (v) => `${v > 0 ? "+" : ""}${v.toFixed(0)} %`],
  ];
  const SCALE = 395; // drawing units a metre

  function element(name, facts, parent) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(facts)) node.setAttribute(key, value);
    parent.append(node);
    return node;
  }

  // Drawn with the body's x axis up. Pairs share an anchor; they are drawn apart, along the way their air goes.
  function valves(svg, plant, toggle) {
    svg.replaceChildren();
    element("circle", { r: 88, class: "hull" }, svg);
    element("path", { d: "M-20,-52 L0,-72 L20,-52", class: "front" }, svg);
    const groups = plant.nozzle_position.map(([px, py], i) => {
      const [dx, dy] = plant.nozzle_direction[i], cx = -(py - 0.1 * dy) * SCALE, cy = -(px - 0.1 * dx) * SCALE;
      const group = element("g", { transform: `translate(${cx.toFixed(1)},${cy.toFixed(1)})`, tabindex: 0, role: "button" }, svg);
      element("circle", { r: 31, class: "hit" }, group);
      const turned = element("g", { transform: `rotate(${((Math.atan2(dx, dy) * 180) / Math.PI).toFixed(1)})` }, group);
      element("path", { d: "M20,-9 L46,-16 L46,16 L20,9 Z", class: "flame" }, turned);
      element("path", { d: "M-16,-7 L16,-16 L16,16 L-16,7 Z", class: "nozzle" }, turned);
      element("path", { d: "M-17,-17 L17,17 M-17,17 L17,-17", class: "cross" }, group);
      element("text", { x: (-0.36 * cx).toFixed(1), y: (-0.36 * cy).toFixed(1) }, group).textContent = i + 1;
      group.addEventListener("click", () => toggle(i));
      group.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        event.stopPropagation();
        toggle(i);
      });
      return group;
    });
    return {
      show: (open) => groups.forEach((group, i) => group.setAttribute("class", plant.mask[i] ? (open[i] ? "open" : "") : "dead")),
      name: () => groups.forEach((group, i) => {
        group.setAttribute("aria-pressed", String(!plant.mask[i]));
        group.setAttribute("aria-label", `Valve ${i + 1}, ${plant.mask[i] ? "works" : "broken"}`);
      }),
    };
  }

  function slider(box, id, label, min, max, step, text, changed) {
    const row = document.createElement("label");
    row.innerHTML = `<span>${label}</span><input type="range" id="${id}" min="${min}" max="${max}" step="${step}" value="0"><output></output>`;
    const input = row.querySelector("input"), output = row.querySelector("output");
    const set = (value) => { input.value = value; output.textContent = text(Number(input.value)); };
    input.addEventListener("input", () => { set(input.value); changed(Number(input.value)); });
    set(0);
    box.append(row);
    return { row, set: (value) => { set(value); changed(Number(input.value)); }, show: set };
  }

  function weather(box, values, changed) {
    return Object.fromEntries(SLIDERS.map(([name, label, min, max, step, text]) => [
      name, slider(box, `slide-${name}`, label, min, max, step, text, (value) => { values[name] = value; changed(); }),
    ]));
  }

  function facts(list, values) {
    list.replaceChildren(...Object.entries(values).map(([name, value]) => {
      const row = document.createElement("div");
      row.innerHTML = "<dt></dt><dd></dd>";
      row.firstChild.textContent = name;
      row.lastChild.textContent = value;
      return row;
    }));
  }

  return { valves, slider, weather, facts };
})();
