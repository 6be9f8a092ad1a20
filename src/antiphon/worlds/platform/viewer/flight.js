// A simulated flight with a policy in the loop: the plant, its weather, and what becomes of it. No drawing.
const Flight = (() => {
  const TICK = 0.02;
  const STILL = { x: 0, y: 0, heading: 0, vx: 0, vy: 0, rate: 0 };

  // A small generator with a seed, so that a page shows the same first flight every time.
  function generator(seed) {
    return () => {
      seed = (seed + 0x6d2b79f5) | 0;
      let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  }

  // tell: what happens is said to {step(errors, valves), changed(), words(html)}.
  function create(plant, policy, sizes, weather, tell) {
    const random = generator(7), between = (low, high) => low + (high - low) * random();
    const { task } = policy, decide = Platform.pilot(policy, plant), period = Math.round(1 / (policy.rate_hz * TICK));
    const passing = ["point", "pose", "gate"].includes(task.passage);
    const flight = {
      plant, policy, task, state: { ...STILL }, target: { ...STILL, heading: task.heading ? 0.5 : 0 },
      valves: new Array(8).fill(0), ticks: 0, trail: [], passed: 0, hit: 0, gust: 0, carried: false,
      start, tick, floorForce, blowing, between, time: () => flight.ticks * TICK,
    };

    function start(first) {
      const t = flight.target;
      if (passing) Object.assign(t, STILL, { heading: first ? 0.4 : between(-Math.PI, Math.PI) });
      else if (task.velocity) Object.assign(t, STILL, { vx: 0.25, vy: 0.12, rate: task.angular_velocity ? 0.3 : 0, heading: 0.6 });
      const far = task.velocity ? 0 : task.passage === "dock" ? 2 : between(2.4, 3.4);
      const behind = task.passage === "dock" || task.passage === "gate";
      const angle = behind ? t.heading + Math.PI + between(-0.5, 0.5) : first ? 3.7 : between(0, 2 * Math.PI);
      flight.state = { ...STILL, x: t.x + far * Math.cos(angle), y: t.y + far * Math.sin(angle), heading: between(-Math.PI, Math.PI) };
      flight.valves.fill(0);
      decide.forget();
      flight.trail = [];
      flight.ticks = flight.passed = flight.hit = 0;
      tell.changed();
      tell.words("");
    }

    function floorForce(x, y) {
      return [weather.floor * Math.sin(1.3 * x + 0.4), weather.floor * Math.sin(1.9 * y - 1.1)];
    }

    function blowing() {
      const angle = (weather.from * Math.PI) / 180, size = weather.wind + flight.gust;
      return [size * Math.cos(angle), size * Math.sin(angle)];
    }

    function seen() {
      const n = weather.noise / 100, s = flight.state, off = (width) => (n ? between(-width, width) : 0);
      return {
        x: s.x + off(n), y: s.y + off(n), heading: s.heading + off(2.5 * n),
        vx: s.vx + off(n), vy: s.vy + off(n), rate: s.rate + off(n),
      };
    }

    function tick() {
      if (flight.carried) decide.forget();
      if (flight.ticks % period === 0) {
        flight.valves = decide(seen(), flight.target).map((logit) => (logit > 0 ? 1 : 0));
        tell.step(Platform.errors(flight.state, flight.target), flight.valves);
        flight.trail.push([flight.state.x, flight.state.y]);
        if (flight.trail.length > 300) flight.trail.shift();
      }
      const before = flight.state, heavier = 1 + weather.load / 100;
      flight.gust = Math.max(0, flight.gust - 1.6 * TICK);
      if (!flight.carried) {
        const [fx, fy] = floorForce(before.x, before.y), [wx, wy] = blowing();
        const loaded = { ...plant, mass: plant.mass * heavier, inertia: plant.inertia * heavier };
        flight.state = Platform.advance(loaded, before, flight.valves, { fx: fx + wx, fy: fy + wy, torque: weather.torque }, TICK);
      }
      flight.ticks++;
      judge(before);
    }

    function judge(before) {
      const end = Platform.outcome(task, before, flight.state, flight.target, sizes);
      if (end === "passed") {
        flight.passed++;
        next(`<b>${flight.passed}</b> passed${flight.hit ? `, ${flight.hit} hit` : ""}`);
      } else if (end === "hit" && task.passage === "gate") {
        flight.hit++;
        next(`A post was hit. <b>${flight.passed}</b> passed, ${flight.hit} hit`);
      } else if (end === "hit") tell.words("Touched the dock outside its cone");
      const lost = Math.hypot(flight.state.x - flight.target.x, flight.state.y - flight.target.y) > 14;
      if (lost && !task.velocity) {
        start(false);
        tell.words("It was blown away. New start.");
      }
    }

    function next(words) {
      const t = flight.target, angle = between(-1, 1) + t.heading, far = between(2.2, 3.2);
      t.x += far * Math.cos(angle);
      t.y += far * Math.sin(angle);
      t.heading = Platform.wrapped(angle + between(-0.6, 0.6));
      if (Math.hypot(t.x, t.y) > 4.5) { t.x *= -0.4; t.y *= -0.4; }
      tell.changed();
      tell.words(words);
    }

    return flight;
  }

  return { create, TICK };
})();
