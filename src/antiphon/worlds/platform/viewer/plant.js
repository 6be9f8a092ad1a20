// The planar platform, its observations and its policy in plain numbers: plant.py, observation.py, policy_file.py
// and passage.py once more, tested against them.
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

  // From state and target to logits in the platform's order of valves.
  function pilot(policy) {
    const logits = network(policy.layers);
    const observe = policy.observation === "body" ? bodyObservation : driftObservation;
    return (state, target) => {
      const given = logits(observe(policy.task, state, target)), ordered = new Array(8);
      policy.valve_map.forEach((nozzle, output) => { ordered[nozzle] = given[output]; });
      return ordered;
    };
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
