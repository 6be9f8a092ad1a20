// Drawing: floor, goal, platform, plumes. Everything in metres and world coordinates until it is drawn.
const Scene = (() => {
  const GRID = [0.1, 0.5, 1];

  function create(canvas) {
    const draw = canvas.getContext("2d");
    const camera = { x: 0, y: 0, zoom: 90 };
    let width = 1, height = 1, ratio = 1, colours = {};
    const puffs = [], streaks = [];
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;

    function resize() {
      const box = canvas.getBoundingClientRect();
      ratio = Math.min(window.devicePixelRatio || 1, 2);
      width = Math.max(1, box.width);
      height = Math.max(1, box.height);
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }

    function recolour() {
      const style = getComputedStyle(document.documentElement);
      for (const name of ["paper", "card", "ink", "soft", "rule", "good", "bad", "goal", "body", "metal", "trail", "plume", "wind", "grid", "grid2"])
        colours[name] = style.getPropertyValue(`--${name}`).trim();
    }

    const toScreen = (x, y) => [width / 2 + (x - camera.x) * camera.zoom, height / 2 - (y - camera.y) * camera.zoom];
    const toWorld = (sx, sy) => [camera.x + (sx - width / 2) / camera.zoom, camera.y - (sy - height / 2) / camera.zoom];

    // Brings points into view, gently; room is kept for the words above and the buttons below.
    function frame(points, share, near = 260) {
      const xs = points.map((p) => p[0]), ys = points.map((p) => p[1]);
      const lowX = Math.min(...xs), highX = Math.max(...xs), lowY = Math.min(...ys), highY = Math.max(...ys);
      const margin = 0.75;
      const zoom = Math.min(near, width / (highX - lowX + 2 * margin), (height - 90) / (highY - lowY + 2 * margin));
      camera.zoom *= Math.pow(zoom / camera.zoom, share);
      camera.x += share * ((lowX + highX) / 2 - camera.x);
      camera.y += share * ((lowY + highY) / 2 - 12 / camera.zoom - camera.y);
    }

    function line(points, close) {
      draw.beginPath();
      points.forEach(([x, y], i) => { const [sx, sy] = toScreen(x, y); i ? draw.lineTo(sx, sy) : draw.moveTo(sx, sy); });
      if (close) draw.closePath();
    }

    function grid() {
      const [left, top] = toWorld(0, 0), [right, bottom] = toWorld(width, height);
      for (const step of GRID) {
        const strength = Math.min(1, Math.max(0, (step * camera.zoom - 14) / 30));
        if (!strength) continue;
        draw.globalAlpha = strength;
        draw.strokeStyle = step === 1 ? colours.grid2 : colours.grid;
        draw.lineWidth = 1;
        draw.beginPath();
        for (let i = Math.ceil(left / step); i <= right / step; i++) {
          const [sx] = toScreen(i * step, 0);
          draw.moveTo(Math.round(sx) + 0.5, 0);
          draw.lineTo(Math.round(sx) + 0.5, height);
        }
        for (let i = Math.ceil(bottom / step); i <= top / step; i++) {
          const [, sy] = toScreen(0, i * step);
          draw.moveTo(0, Math.round(sy) + 0.5);
          draw.lineTo(width, Math.round(sy) + 0.5);
        }
        draw.stroke();
      }
      draw.globalAlpha = 1;
    }

    // Small arrows where the floor pushes.
    function slope(force) {
      const [left, top] = toWorld(0, 0), [right, bottom] = toWorld(width, height);
      const step = camera.zoom > 130 ? 0.25 : 0.5;
      draw.strokeStyle = colours.wind;
      draw.lineWidth = 1.4;
      for (let x = Math.ceil(left / step) * step; x < right; x += step)
        for (let y = Math.ceil(bottom / step) * step; y < top; y += step) {
          const [fx, fy] = force(x, y), size = Math.hypot(fx, fy);
          if (size < 0.01) continue;
          draw.globalAlpha = Math.min(0.55, 0.1 + size);
          const reach = (0.8 * step * Math.min(1, 0.25 + 1.4 * size)) / size;
          const [ax, ay] = toScreen(x, y), [bx, by] = toScreen(x + fx * reach, y + fy * reach);
          const angle = Math.atan2(by - ay, bx - ax);
          draw.beginPath();
          draw.moveTo(ax, ay);
          draw.lineTo(bx, by);
          draw.moveTo(bx - 5 * Math.cos(angle - 0.5), by - 5 * Math.sin(angle - 0.5));
          draw.lineTo(bx, by);
          draw.lineTo(bx - 5 * Math.cos(angle + 0.5), by - 5 * Math.sin(angle + 0.5));
          draw.stroke();
        }
      draw.globalAlpha = 1;
    }

    function wind(fx, fy, dt) {
      const size = Math.hypot(fx, fy);
      if (size < 0.005 || calm) { streaks.length = 0; return; }
      while (streaks.length < 60) streaks.push({ u: Math.random(), v: Math.random(), age: Math.random() });
      draw.strokeStyle = colours.wind;
      draw.lineWidth = 1.3;
      const speed = 60 + 900 * size, dx = fx / size, dy = -fy / size;
      for (const streak of streaks) {
        streak.age += dt;
        streak.u += (dx * speed * dt) / width;
        streak.v += (dy * speed * dt) / height;
        streak.u -= Math.floor(streak.u);
        streak.v -= Math.floor(streak.v);
        draw.globalAlpha = 0.35 * Math.abs(Math.sin(streak.age * 1.7)) * Math.min(1, 0.3 + 3 * size);
        const x = streak.u * width, y = streak.v * height, reach = 14 + 90 * size;
        draw.beginPath();
        draw.moveTo(x, y);
        draw.lineTo(x - dx * reach, y - dy * reach);
        draw.stroke();
      }
      draw.globalAlpha = 1;
    }

    function trail(points) {
      if (points.length < 2) return;
      draw.strokeStyle = colours.trail;
      draw.lineWidth = 2;
      draw.lineCap = "butt"; // round ends of pieces would show as dots
      const pieces = 24, size = Math.ceil(points.length / pieces);
      for (let start = 0; start < points.length - 1; start += size) {
        draw.globalAlpha = 0.08 + (0.5 * (start + size)) / points.length;
        line(points.slice(start, start + size + 1));
        draw.stroke();
      }
      draw.globalAlpha = 1;
    }

    function path(points) {
      if (points.length < 2) return;
      draw.strokeStyle = colours.soft;
      draw.globalAlpha = 0.35;
      draw.lineWidth = 1.5;
      line(points);
      draw.stroke();
      draw.globalAlpha = 1;
    }

    const knob = (target) => {
      const reach = Math.max(0.52, 46 / camera.zoom);
      return [target.x + reach * Math.cos(target.heading), target.y + reach * Math.sin(target.heading)];
    };

    function goal(task, target, sizes, reached) {
      const [sx, sy] = toScreen(target.x, target.y), r = sizes.radius * camera.zoom;
      draw.strokeStyle = draw.fillStyle = colours.goal;
      const c = Math.cos(target.heading), s = Math.sin(target.heading);
      const at = (along, aside) => [target.x + c * along - s * aside, target.y + s * along + c * aside];
      if (task.passage === "gate") {
        draw.lineWidth = 2;
        draw.setLineDash([4, 5]);
        line([at(0, -sizes.gate_half_width), at(0, sizes.gate_half_width)]);
        draw.stroke();
        draw.setLineDash([]);
        for (const side of [-1, 1]) {
          const [px, py] = toScreen(...at(0, side * sizes.gate_half_width));
          draw.beginPath();
          draw.arc(px, py, Math.max(4, 0.05 * camera.zoom), 0, 7);
          draw.fill();
        }
      } else {
        if (task.passage === "dock") {
          const wide = sizes.cone_length * Math.tan(sizes.cone_half_angle);
          draw.globalAlpha = 0.1;
          line([at(0, 0), at(-sizes.cone_length, wide), at(-sizes.cone_length, -wide)], true);
          draw.fill();
          draw.globalAlpha = 0.7;
          draw.lineWidth = 1.5;
          draw.stroke();
        }
        draw.globalAlpha = reached ? 0.22 : 0.1;
        draw.beginPath();
        draw.arc(sx, sy, r, 0, 7);
        draw.fill();
        draw.globalAlpha = 1;
        draw.lineWidth = 2;
        draw.setLineDash([6, 5]);
        draw.stroke();
        draw.setLineDash([]);
        draw.lineWidth = 1.5;
        for (const share of [0.02, 0.05]) {
          draw.globalAlpha = share === 0.02 ? 0.9 : 0.45;
          draw.beginPath();
          draw.arc(sx, sy, share * camera.zoom, 0, 7);
          draw.stroke();
        }
        draw.globalAlpha = 1;
      }
      if (task.heading) handle(target);
    }

    // The line to a knob by which a heading is turned.
    function handle(target) {
      const [sx, sy] = toScreen(target.x, target.y), [kx, ky] = toScreen(...knob(target));
      draw.strokeStyle = colours.goal;
      draw.lineWidth = 2;
      draw.beginPath();
      draw.moveTo(sx, sy);
      draw.lineTo(kx, ky);
      draw.stroke();
      draw.fillStyle = colours.paper;
      draw.beginPath();
      draw.arc(kx, ky, 8, 0, 7);
      draw.fill();
      draw.stroke();
      draw.fillStyle = colours.goal;
      draw.beginPath();
      draw.arc(kx, ky, 3, 0, 7);
      draw.fill();
    }

    // Velocities as arrows from the platform, one metre long for half a metre a second.
    const tip = (state, vx, vy) => [state.x + 2 * vx, state.y + 2 * vy];
    function arrow(from, to, colour, wide) {
      const [ax, ay] = toScreen(...from), [bx, by] = toScreen(...to);
      const angle = Math.atan2(by - ay, bx - ax), head = 6 + 2 * wide;
      draw.strokeStyle = draw.fillStyle = colour;
      draw.lineWidth = wide;
      draw.beginPath();
      draw.moveTo(ax, ay);
      draw.lineTo(bx, by);
      draw.stroke();
      draw.beginPath();
      draw.moveTo(bx + 4 * Math.cos(angle), by + 4 * Math.sin(angle));
      draw.lineTo(bx - head * Math.cos(angle - 0.45), by - head * Math.sin(angle - 0.45));
      draw.lineTo(bx - head * Math.cos(angle + 0.45), by - head * Math.sin(angle + 0.45));
      draw.fill();
    }

    // Where nozzle i sits and which way its air goes, in the body frame; pairs stand a little apart.
    const nozzle = (plant, i) => {
      const [px, py] = plant.nozzle_position[i], [dx, dy] = plant.nozzle_direction[i];
      return { x: px - 0.045 * dx, y: py - 0.045 * dy, outX: -dx, outY: -dy };
    };
    const nozzlePlace = (plant, state, i) => {
      const spot = nozzle(plant, i), [x, y] = Platform.turned(state.heading, [spot.x, spot.y]);
      return [state.x + x, state.y + y];
    };

    function plumes(plant, state, valves, dt) {
      const open = valves.reduce((sum, valve) => sum + valve, 0);
      const strength = 1 / Math.max(1, plant.split_thrust ? Math.sqrt(open) : 1);
      valves.forEach((valve, i) => {
        if (!valve || !plant.mask[i]) return;
        const spot = nozzle(plant, i), [ox, oy] = Platform.turned(state.heading, [spot.outX, spot.outY]);
        const [x, y] = nozzlePlace(plant, state, i), reach = (0.24 + 0.05 * Math.random()) * (0.4 + 0.6 * strength);
        const [ax, ay] = toScreen(x, y), [bx, by] = toScreen(x + ox * reach, y + oy * reach);
        const wide = 0.055 * camera.zoom, nx = -(by - ay), ny = bx - ax, size = Math.hypot(nx, ny) || 1;
        const fade = draw.createLinearGradient(ax, ay, bx, by);
        fade.addColorStop(0, colours.plume);
        fade.addColorStop(1, `${colours.plume}00`); // "transparent" is black, and would leave soot
        draw.fillStyle = fade;
        draw.globalAlpha = 0.85;
        draw.beginPath();
        draw.moveTo(ax, ay);
        draw.lineTo(bx + (nx / size) * wide, by + (ny / size) * wide);
        draw.lineTo(bx - (nx / size) * wide, by - (ny / size) * wide);
        draw.fill();
        if (!calm && dt > 0 && puffs.length < 400 && Math.random() < 45 * dt) {
          const spread = 0.35 * (Math.random() - 0.5);
          puffs.push({ x, y, vx: state.vx + 1.1 * (ox - spread * oy), vy: state.vy + 1.1 * (oy + spread * ox), age: 0 });
        }
      });
      draw.fillStyle = colours.plume;
      for (let i = puffs.length - 1; i >= 0; i--) {
        const puff = puffs[i];
        puff.age += dt;
        if (puff.age > 0.6) { puffs.splice(i, 1); continue; }
        puff.x += puff.vx * dt;
        puff.y += puff.vy * dt;
        const [sx, sy] = toScreen(puff.x, puff.y);
        draw.globalAlpha = 0.3 * (1 - puff.age / 0.6);
        draw.beginPath();
        draw.arc(sx, sy, (0.012 + 0.08 * puff.age) * camera.zoom, 0, 7);
        draw.fill();
      }
      draw.globalAlpha = 1;
    }

    function platform(plant, state, valves, radius) {
      const [sx, sy] = toScreen(state.x, state.y), r = radius * camera.zoom;
      draw.save();
      draw.translate(sx, sy);
      draw.rotate(-state.heading);
      draw.scale(1, -1);
      for (let i = 0; i < 8; i++) {
        const spot = nozzle(plant, i), angle = Math.atan2(spot.outY, spot.outX);
        draw.save();
        draw.translate(spot.x * camera.zoom, spot.y * camera.zoom);
        draw.rotate(angle);
        const size = 0.05 * camera.zoom;
        draw.fillStyle = !plant.mask[i] ? colours.paper : valves[i] ? colours.plume : colours.metal;
        draw.strokeStyle = plant.mask[i] ? colours.soft : colours.bad;
        draw.lineWidth = plant.mask[i] ? 1 : 2;
        draw.beginPath();
        draw.moveTo(-size, -0.35 * size);
        draw.lineTo(size * 0.6, -0.8 * size);
        draw.lineTo(size * 0.6, 0.8 * size);
        draw.lineTo(-size, 0.35 * size);
        draw.closePath();
        draw.fill();
        draw.stroke();
        if (!plant.mask[i]) {
          draw.beginPath();
          draw.moveTo(-size, -size);
          draw.lineTo(size, size);
          draw.moveTo(-size, size);
          draw.lineTo(size, -size);
          draw.stroke();
        }
        draw.restore();
      }
      draw.fillStyle = colours.body;
      draw.strokeStyle = colours.ink;
      draw.lineWidth = 2;
      draw.beginPath();
      draw.arc(0, 0, 0.9 * r, 0, 7);
      draw.fill();
      draw.stroke();
      draw.strokeStyle = colours.metal;
      draw.lineWidth = Math.max(1.5, 0.03 * camera.zoom);
      draw.beginPath();
      draw.arc(0, 0, 0.5 * r, 0, 7);
      draw.stroke();
      draw.strokeStyle = colours.ink;
      draw.lineWidth = Math.max(2, 0.018 * camera.zoom);
      draw.lineJoin = draw.lineCap = "round";
      draw.beginPath();
      draw.moveTo(0.5 * r, 0.24 * r);
      draw.lineTo(0.74 * r, 0);
      draw.lineTo(0.5 * r, -0.24 * r);
      draw.stroke();
      draw.fillStyle = colours.ink;
      draw.beginPath();
      draw.arc(0, 0, Math.max(2, 0.012 * camera.zoom), 0, 7);
      draw.fill();
      draw.restore();
    }

    function clear() {
      draw.setTransform(ratio, 0, 0, ratio, 0, 0);
      draw.fillStyle = colours.paper;
      draw.fillRect(0, 0, width, height);
    }

    return {
      camera, colours, resize, recolour, toScreen, toWorld, frame, clear, grid, slope, wind, trail, path, goal, handle, arrow, tip, knob,
      nozzlePlace, plumes, platform, size: () => [width, height],
    };
  }

  return { create };
})();
