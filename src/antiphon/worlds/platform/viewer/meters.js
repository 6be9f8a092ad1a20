// How precise it is: errors now, shares of time within bounds, a strip of the last 40 seconds.
const Meters = (() => {
  const METRE = { name: "Position", short: "PT", unit: (e) => e.position, bounds: [0.05, 0.02, 0.01], label: (b) => `${100 * b} cm` };
  const ANGLE = { name: "Heading", short: "OT", turn: true, unit: (e) => (e.heading * 180) / Math.PI, bounds: [5, 2, 1], label: (b) => `${b}°` };
  const SPEED = { name: "Velocity", short: "VT", unit: (e) => e.velocity, bounds: [0.1, 0.05, 0.03], label: (b) => `${100 * b} cm/s` };
  const RATE = { name: "Turn rate", short: "RT", turn: true, unit: (e) => e.rate, bounds: [0.2, 0.1, 0.05], label: (b) => `${b} rad/s` };
  const SPAN = 200; // control steps in the strip

  const kinds = (task) => [
    ...(task.position ? [METRE] : []), ...(task.velocity ? [SPEED] : []),
    ...(task.heading ? [ANGLE] : []), ...(task.angular_velocity ? [RATE] : []),
  ];
  function spoken(kind, value) {
    if (kind === METRE) return value >= 1 ? [value.toFixed(2), "m"] : [(100 * value).toFixed(value < 0.1 ? 1 : 0), "cm"];
    if (kind === SPEED) return [(100 * value).toFixed(1), "cm/s"];
    if (kind === ANGLE) return [value.toFixed(1), "°"];
    return [value.toFixed(3), "rad/s"];
  }

  function create(now, table, chart, colours) {
    let shown = [], steps = 0, open = 0, within = [], strip = [], cells = [], heads = [];

    function begin(task) {
      shown = kinds(task);
      now.replaceChildren();
      table.replaceChildren();
      heads = shown.map((kind) => {
        const box = document.createElement("div");
        box.innerHTML = `<small>${kind.name} error</small><b></b>`;
        now.append(box);
        return box.lastChild;
      });
      cells = shown.map(() => []);
      const title = document.createElement("tr");
      title.innerHTML = shown.map((kind) => `<th scope="col" colspan="3">${kind.name}</th>`).join("");
      table.append(title);
      for (let i = 0; i < 3; i++) {
        const row = document.createElement("tr");
        shown.forEach((kind, place) => {
          const bound = kind.bounds[i], scaled = { PT: 100 * bound, OT: bound }[kind.short];
          row.insertAdjacentHTML("beforeend", `<th scope="row">${kind.label(bound)}</th><td class="bar${kind.turn ? " turn" : ""}"><div><i></i></div></td><td class="share"></td>`);
          const share = row.lastChild;
          share.dataset.meter = kind.short + (scaled ? Math.round(scaled) : i);
          share.title = `share of time with the ${kind.name.toLowerCase()} error below ${kind.label(bound)}`;
          cells[place].push([row.querySelectorAll("i")[place], share]);
        });
        table.append(row);
      }
      cells = cells.flat();
      restart();
    }

    function restart() {
      steps = open = 0;
      within = cells.map(() => 0);
      strip = [];
    }

    // Once a control step.
    function count(errors, valves) {
      steps++;
      open += valves.reduce((sum, valve) => sum + valve, 0) / 8;
      let place = 0;
      for (const kind of shown) for (const bound of kind.bounds) within[place++] += kind.unit(errors) < bound;
      strip.push(shown.map((kind) => kind.unit(errors)));
      if (strip.length > SPAN) strip.shift();
    }

    function show(errors) {
      shown.forEach((kind, i) => {
        const [value, unit] = spoken(kind, kind.unit(errors));
        heads[i].innerHTML = kind === ANGLE ? `${value}${unit}` : `${value}<small> ${unit}</small>`;
      });
      cells.forEach(([bar, number], i) => {
        const share = steps ? within[i] / steps : 0;
        bar.style.width = `${100 * share}%`;
        number.textContent = steps ? `${(100 * share).toFixed(1)} %` : "–";
      });
    }

    function drawStrip() {
      const box = chart.getBoundingClientRect(), ratio = Math.min(window.devicePixelRatio || 1, 2);
      if (chart.width !== Math.round(box.width * ratio) || chart.height !== Math.round(box.height * ratio)) {
        chart.width = Math.round(box.width * ratio);
        chart.height = Math.round(box.height * ratio);
      }
      const draw = chart.getContext("2d"), kind = shown[0];
      draw.setTransform(ratio, 0, 0, ratio, 0, 0);
      draw.clearRect(0, 0, box.width, box.height);
      if (!kind) return;
      const low = kind === ANGLE ? 0.1 : 0.001, high = kind === METRE ? 5 : kind === ANGLE ? 180 : 1;
      const left = 50, bottom = box.height - 4, top = 6;
      const place = (value) => bottom - ((Math.log(Math.min(high, Math.max(low, value))) - Math.log(low)) / (Math.log(high) - Math.log(low))) * (bottom - top);
      draw.font = "11px system-ui, sans-serif";
      draw.textAlign = "right";
      draw.textBaseline = "middle";
      const marks = kind === METRE ? [[0.001, "1 mm"], [0.01, "1 cm"], [0.1, "10 cm"], [1, "1 m"]] : kind === ANGLE ? [[0.1, "0.1°"], [1, "1°"], [10, "10°"], [100, "100°"]] : [[0.001, "1 mm/s"], [0.01, "1 cm/s"], [0.1, "10 cm/s"], [1, "1 m/s"]];
      for (const [value, text] of marks) {
        const y = Math.round(place(value)) - 0.5;
        draw.strokeStyle = colours.rule;
        draw.lineWidth = 1;
        draw.beginPath();
        draw.moveTo(left, y);
        draw.lineTo(box.width, y);
        draw.stroke();
        draw.fillStyle = colours.soft;
        draw.fillText(text, left - 6, Math.min(bottom - 4, Math.max(top + 2, place(value))));
      }
      draw.setLineDash([3, 4]);
      draw.strokeStyle = colours.goal;
      draw.beginPath();
      draw.moveTo(left, place(kind.bounds[1]));
      draw.lineTo(box.width, place(kind.bounds[1]));
      draw.stroke();
      draw.setLineDash([]);
      draw.strokeStyle = colours.trail;
      draw.lineWidth = 2;
      draw.lineJoin = "round";
      draw.beginPath();
      strip.forEach((row, i) => {
        const x = box.width - ((strip.length - 1 - i) * (box.width - left)) / SPAN, y = place(row[0]);
        i ? draw.lineTo(x, y) : draw.moveTo(x, y);
      });
      draw.stroke();
    }

    return { begin, restart, count, show, drawStrip, steps: () => steps, air: () => (steps ? open / steps : 0) };
  }

  return { create };
})();
