// The planar platform, its observations and its policy in plain numbers: plant.py, observation.py, valve_belief.py,
// policy_file.py and passage.py once more, tested against them.
const Platform = (() => {
  const NODES = [(1 - Math.sqrt(0.6)) / 2, 0.5, (1 + Math.sqrt(0.6)) / 2];
  const WEIGHTS = [5 / 18, 8 / 18, 5 / 18];
  const phi1 = (x) => 1 - x * (1 / 2 - x * (1 / 6 - x * (1 / 24 - x * (1 / 120 - x * (1 / 720 - x / 5040)))));
  const phi2 = (x) => 1 / 2 - x * (1 / 6 - x * (1 / 24 - x * (1 / 120 - x * (1 / 720 - x / 5040))));
  const decay = (x) => 1 - x * phi1(x);
  const turned = (angle, [x, y]) => {
    const c = Math.cos(angle), s = Math.sin(angle);
    return [c * x - s * y, s * x + c * y];
  };
  const wrapped = (angle) => angle - 2 * Math.PI * Math.round(angle / (2 * Math.PI));

  // Body force (N) and torque (N m) of a valve pattern; open valves share the pressure.
  function wrench(plant, valves) {
    const open = valves.reduce((sum, valve) => sum + valve, 0);
    const shared = plant.split_thrust ? Math.max(1, open) : 1;
    let fx = 0, fy = 0, torque = 0;
    valves.forEach((valve, i) => {
      const force = (plant.thrust[i] * plant.mask[i] * valve) / shared;
      const [dx, dy] = plant.nozzle_direction[i], [px, py] = plant.nozzle_position[i];
      fx += force * dx;
      fy += force * dy;
      torque += force * ((px - plant.com[0]) * dy - (py - plant.com[1]) * dx);
    });
    return [fx, fy, torque];
  }

  // The state {x, y, heading, vx, vy, rate} after dt seconds of open valves and an outside push in the world frame.
  function advance(plant, state, valves, outside, dt) {
    const [bx, by, bt] = wrench(plant, valves);
    const push = outside || { fx: 0, fy: 0, torque: 0 };
    let [ax, ay] = turned(state.heading, plant.com);
    const x = state.x + ax, y = state.y + ay;
    const vx = state.vx - state.rate * ay, vy = state.vy + state.rate * ax;
    const fx = bx / plant.mass, fy = by / plant.mass;
    const wx = push.fx / plant.mass, wy = push.fy / plant.mass;
    const turn = (bt + push.torque) / plant.inertia;
    const slow = plant.linear_drag / plant.mass, still = plant.angular_drag / plant.inertia;
    let mx = 0, my = 0, gx = 0, gy = 0;
    for (let n = 0; n < 3; n++) {
      const at = NODES[n] * dt, left = (1 - NODES[n]) * dt;
      const then = state.heading + at * phi1(still * at) * state.rate + at * at * phi2(still * at) * turn;
      const [rx, ry] = turned(then, [fx, fy]);
      const px = WEIGHTS[n] * (rx + wx), py = WEIGHTS[n] * (ry + wy);
      const kept = dt * decay(slow * left), reach = dt * left * phi1(slow * left);
      mx += reach * px;
      my += reach * py;
      gx += kept * px;
      gy += kept * py;
    }
    const kept = decay(slow * dt), reach = dt * phi1(slow * dt);
    const heading = state.heading + dt * phi1(still * dt) * state.rate + dt * dt * phi2(still * dt) * turn;
    const rate = decay(still * dt) * state.rate + dt * phi1(still * dt) * turn;
    [ax, ay] = turned(heading, plant.com);
    return {
      x: x + reach * vx + mx - ax,
      y: y + reach * vy + my - ay,
      heading,
      vx: kept * vx + gx + rate * ay,
      vy: kept * vy + gy - rate * ax,
      rate,
    };
  }

  function bodyObservation(task, state, target) {
    const c = Math.cos(state.heading), s = Math.sin(state.heading), out = new Array(19).fill(0);
    const dvx = target.vx - state.vx, dvy = target.vy - state.vy, spin = target.rate - state.rate;
    const forth = c * dvx + s * dvy, left = c * dvy - s * dvx;
    if (task.position) {
      const ex = target.x - state.x, ey = target.y - state.y;
      const ahead = c * ex + s * ey, aside = c * ey - s * ex;
      out.splice(0, 6, ahead / 3, aside / 3, Math.tanh(5 * ahead), Math.tanh(5 * aside), Math.tanh(40 * ahead), Math.tanh(40 * aside));
      if (task.passage === "gate" || task.passage === "dock") {
        const tx = Math.cos(target.heading), ty = Math.sin(target.heading);
        const toGo = tx * ex + ty * ey, off = ty * ex - tx * ey;
        out.splice(15, 4, toGo / 3, off / 3, Math.tanh(5 * toGo), Math.tanh(5 * off));
      }
    }
    if (task.heading) {
      const error = wrapped(target.heading - state.heading);
      out.splice(6, 3, Math.sin(error), Math.cos(error), Math.tanh(20 * error));
    }
    out.splice(9, 6, forth, left, Math.tanh(20 * forth), Math.tanh(20 * left), spin, Math.tanh(10 * spin));
    return out;
  }

  function driftObservation(task, state, target) {
    const data = task.position
      ? [target.x - state.x, target.y - state.y, 0, 0]
      : [target.vx - state.vx, target.vy - state.vy, 0, 0];
    if (task.heading) {
      data[2] = Math.cos(target.heading - state.heading);
      data[3] = Math.sin(target.heading - state.heading);
    } else if (task.angular_velocity) data[2] = target.rate - state.rate;
    return [Math.cos(state.heading), Math.sin(state.heading), state.vx, state.vy, state.rate, task.label, ...data];
  }

  // Layers from base64 float32, and a function from observation to logits.
  function network(layers) {
    const read = (text) => {
      const raw = atob(text), bytes = new Uint8Array(raw.length);
      for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
      return new Float32Array(bytes.buffer);
    };
    const parts = layers.map(({ weight, bias }) => [read(weight), read(bias)]);
    return (observation) => {
      let hidden = observation;
      parts.forEach(([weight, bias], index) => {
        const next = Array.from(bias), width = bias.length;
        for (let i = 0; i < hidden.length; i++) {
          const value = hidden[i];
          if (value) for (let j = 0; j < width; j++) next[j] += value * weight[i * width + j];
        }
        hidden = index < parts.length - 1 ? next.map(Math.tanh) : next;
      });
      return hidden;
    };
  }

  // What a policy finds out about its valves and what pushes it, from how its velocity changes.
  function finder(plant, filter, dt) {
    const { velocity_noise: vn, turn_noise: tn, effect_spread: es, effect_drift: ed } = filter;
    const { push_spread: ps, push_drift: pd, turn_spread: ts, turn_drift: td } = filter;
    // Acceleration of each valve alone; the plant as built, whatever has broken since.
    const whole = { ...plant, mask: plant.mask.map(() => 1) };
    const effects = plant.mask.map((_, i) => {
      const [fx, fy, torque] = wrench(whole, plant.mask.map((_, j) => (i === j ? 1 : 0)));
      return [fx / plant.mass, fy / plant.mass, torque / plant.inertia];
    });
    const effect = effects.map(() => 1), variance = effects.map(() => es * es), push = [0, 0, 0];
    let wide = ps * ps, turning = ts * ts, before = null;

    function see(state, valves) {
      if (before) learn(state, valves);
      for (let i = 0; i < 8; i++) variance[i] = Math.min(variance[i] + ed * ed, es * es);
      wide = Math.min(wide + pd * pd, ps * ps);
      turning = Math.min(turning + td * td, ts * ts);
      before = state;
    }

    function learn(state, valves) {
      const middle = 0.5 * (before.heading + state.heading), c = Math.cos(middle), s = Math.sin(middle);
      const vx = state.vx - before.vx, vy = state.vy - before.vy, [px, py, pt] = push;
      const missed = [
        c * vx + s * vy - dt * (c * px + s * py), c * vy - s * vx - dt * (c * py - s * px),
        state.rate - before.rate - dt * pt,
      ];
      const shared = plant.split_thrust ? Math.max(1, valves.reduce((sum, valve) => sum + valve, 0)) : 1;
      const rows = [0, 1, 2].map((r) => effects.map((one, i) => (dt * one[r] * valves[i]) / shared));
      const weighted = rows.map((row) => row.map((h, i) => h * variance[i]));
      const noise = [vn * vn + dt * dt * wide, vn * vn + dt * dt * wide, tn * tn + dt * dt * turning];
      const spread = (r, q) => rows[q].reduce((sum, h, i) => sum + weighted[r][i] * h, r === q ? noise[r] : 0);
      const inverse = inverted(spread(0, 0), spread(1, 1), spread(2, 2), spread(0, 1), spread(0, 2), spread(1, 2));
      rows.forEach((row, r) => row.forEach((h, i) => { missed[r] -= h * effect[i]; }));
      const [wx, wy, wt] = inverse.map((row) => row[0] * missed[0] + row[1] * missed[1] + row[2] * missed[2]);
      for (let i = 0; i < 8; i++) {
        effect[i] += weighted[0][i] * wx + weighted[1][i] * wy + weighted[2][i] * wt;
        for (let r = 0; r < 3; r++) for (let q = 0; q < 3; q++) variance[i] -= weighted[r][i] * weighted[q][i] * inverse[r][q];
      }
      push[0] += dt * wide * (c * wx - s * wy);
      push[1] += dt * wide * (s * wx + c * wy);
      push[2] += dt * turning * wt;
      wide -= 0.5 * (dt * wide) ** 2 * (inverse[0][0] + inverse[1][1]);
      turning -= (dt * turning) ** 2 * inverse[2][2];
    }

    function observation(heading) {
      const c = Math.cos(heading), s = Math.sin(heading), [x, y, turn] = push;
      const within = (value, low, high) => Math.min(high, Math.max(low, value));
      return [
        ...effect.map((share) => within(1 - share, -1, 1.5)),
        ...[(c * x + s * y) / 0.1, (c * y - s * x) / 0.1, turn / 0.5].map((value) => within(value, -3, 3)),
      ];
    }

    return { see, observation, forget: () => { before = null; } };
  }

  // Of a symmetric matrix of three rows, by cofactors.
  function inverted(xx, yy, zz, xy, xz, yz) {
    const a = yy * zz - yz * yz, b = xz * yz - xy * zz, c = xy * yz - xz * yy;
    const d = xx * zz - xz * xz, e = xy * xz - xx * yz, f = xx * yy - xy * xy, det = xx * a + xy * b + xz * c;
    return [[a / det, b / det, c / det], [b / det, d / det, e / det], [c / det, e / det, f / det]];
  }

  // From state and target to logits in the platform's order of valves. A policy that finds out is asked once a
  // period, and remembers; forget() says that the next state does not follow from the last.
  function pilot(policy, plant) {
    const logits = network(policy.layers), adaptive = policy.observation === "adaptive";
    const observe = policy.observation === "drift" ? driftObservation : bodyObservation;
    const found = adaptive ? finder(plant, policy.valve_filter, 1 / policy.rate_hz) : null;
    let opened = new Array(8).fill(0);
    const decide = (state, target) => {
      let seen = observe(policy.task, state, target);
      if (found) {
        found.see(state, opened);
        seen = [...seen, ...found.observation(state.heading)];
      }
      const given = logits(seen), ordered = new Array(8);
      policy.valve_map.forEach((nozzle, output) => { ordered[nozzle] = given[output]; });
      opened = ordered.map((logit) => (logit > 0 ? 1 : 0));
      return ordered;
    };
    decide.forget = () => { if (found) found.forget(); };
    return decide;
  }

  const errors = (state, target) => ({
    position: Math.hypot(target.x - state.x, target.y - state.y),
    heading: Math.abs(wrapped(target.heading - state.heading)),
    velocity: Math.hypot(target.vx - state.vx, target.vy - state.vy),
    rate: Math.abs(target.rate - state.rate),
  });

  // "passed", "hit" or "" for the way between two states; sizes are those of passage.py.
  function outcome(task, before, after, target, sizes) {
    const frame = (state) => {
      const x = target.x - state.x, y = target.y - state.y, c = Math.cos(target.heading), s = Math.sin(target.heading);
      return [c * x + s * y, s * x - c * y];
    };
    if (task.passage === "point" || task.passage === "pose") {
      const sx = after.x - before.x, sy = after.y - before.y, tx = target.x - before.x, ty = target.y - before.y;
      const share = Math.min(1, Math.max(0, (sx * tx + sy * ty) / Math.max(sx * sx + sy * sy, 1e-12)));
      const near = Math.hypot(tx - share * sx, ty - share * sy) < task.tolerance.position;
      const facing = task.passage === "point" || errors(after, target).heading < task.tolerance.heading;
      return near && facing ? "passed" : "";
    }
    if (task.passage === "gate") {
      const [toGo, aside] = frame(after), [wasToGo, wasAside] = frame(before);
      if (wasToGo > 0 === toGo > 0) return "";
      const at = Math.abs(wasAside + (wasToGo / (wasToGo - toGo)) * (aside - wasAside));
      if (at < sizes.gate_half_width - sizes.radius && toGo <= 0) return "passed";
      return Math.abs(at - sizes.gate_half_width) <= sizes.radius ? "hit" : "";
    }
    if (task.passage === "dock") {
      const [toGo, aside] = frame(after);
      let outside = Math.abs(aside) - Math.tan(sizes.cone_half_angle) * Math.max(toGo, 0) - sizes.cone_slack;
      outside = Math.max(outside, -toGo - sizes.cone_slack);
      return Math.hypot(toGo, aside) < sizes.cone_length && outside > 0 ? "hit" : "";
    }
    return "";
  }

  return { wrench, advance, bodyObservation, driftObservation, pilot, errors, outcome, wrapped, turned };
})();
if (typeof module !== "undefined") module.exports = Platform;
