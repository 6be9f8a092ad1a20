// The page: what is chosen is shown, a flight or a replay, frame by frame.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { sizes } = data, $ = (id) => document.getElementById(id);
  const SPEEDS = [1, 2, 4, 8], HINT = "Drag the <b>goal</b>. Carry the platform. Break a thruster.";
  const canvas = $("floor"), scene = Scene.create(canvas);
  const meters = Meters.create($("now"), $("meters"), $("chart"), scene.colours);
  const weather = { wind: 0, from: 0, floor: 0, torque: 0, noise: 0, load: 0 };
  let shown = null, valves = null, playing = true, speed = 1, following = true, snap = true, spare = 0, before = 0, message = null;

  const sliders = Panel.weather($("sliders"), weather, meters.restart);
  const rate = Panel.slider($("sliders"), "rate", "Turn rate", -0.75, 0.75, 0.05, (v) => `${v.toFixed(2)} rad/s`, (v) => {
    if (!shown || shown.log || !shown.task.angular_velocity) return;
    shown.target.rate = v;
    meters.restart();
  });
  rate.row.id = "rate-row";
  $("sliders").prepend(rate.row);
  const hands = Hands.create(canvas, scene, sizes.radius, () => shown, { changed: meters.restart, toggle, unfollow: () => follow(false) });

  // --- frame by frame ---------------------------------------------------------------------------------------
  function frame(now) {
    const dt = Math.min(0.1, Math.max(0, (now - before) / 1000));
    before = now;
    if (playing && shown.log) {
      shown.run(dt * speed);
      $("timeline").value = shown.at;
      if (shown.at >= shown.end) play(false);
    } else if (playing) for (spare += dt * speed; spare >= Flight.TICK; spare -= Flight.TICK) shown.tick();
    view(playing ? dt : 0, dt);
    requestAnimationFrame(frame);
  }

  function view(moved, passed) {
    const { task, state, target, plant, log } = shown, aimed = !log || shown.aimed, error = Platform.errors(state, target);
    if (following && !hands.busy()) {
      const goal = task.velocity ? scene.tip(state, target.vx, target.vy) : [target.x, target.y];
      scene.frame(aimed ? [[state.x, state.y], goal] : [[state.x, state.y]], snap ? 1 : 1 - Math.exp(-passed * 2.2));
      snap = false;
    }
    scene.clear();
    scene.grid();
    if (log) scene.path(shown.path);
    else {
      if (weather.floor) scene.slope(shown.floorForce);
      scene.wind(...shown.blowing(), moved);
      scene.trail([...shown.trail, [state.x, state.y]]);
    }
    if (!task.velocity && aimed) scene.goal(task, target, sizes, error.position < 0.02);
    scene.plumes(plant, state, shown.valves, moved * speed);
    scene.platform(plant, state, shown.valves, sizes.radius);
    if (task.velocity && aimed) {
      if (task.heading) scene.handle({ ...state, heading: target.heading });
      if (Math.hypot(state.vx, state.vy) > 0.02) scene.arrow([state.x, state.y], scene.tip(state, state.vx, state.vy), scene.colours.trail, 2);
      scene.arrow([state.x, state.y], scene.tip(state, target.vx, target.vy), scene.colours.goal, 3);
    }
    meters.show(error);
    meters.drawStrip();
    valves.show(shown.valves);
    $("air").textContent = (100 * meters.air()).toFixed(0);
    $("since").textContent = log ? "share of time, from the first goal to now" : `share of ${(meters.steps() / shown.policy.rate_hz).toFixed(0)} s, since the last change`;
    $("clock").textContent = log ? `${shown.at.toFixed(1)} of ${shown.end.toFixed(1)} s` : `${shown.time().toFixed(1)} s`;
    const step = [0.1, 0.2, 0.5, 1, 2].find((one) => one * scene.camera.zoom >= 48) || 5;
    $("scale").style.width = `${step * scene.camera.zoom}px`;
    $("scale").textContent = step < 1 ? `${Math.round(100 * step)} cm` : `${step} m`;
  }

  // --- what can be done -------------------------------------------------------------------------------------
  function say(html) {
    const text = html || (shown.log ? "" : shown.task.velocity ? "Drag the <b>arrow</b> to change the velocity." : HINT);
    if (text !== message) $("say").innerHTML = text;
    message = text;
  }
  function toggle(i) {
    if (shown.log) return;
    shown.plant.mask[i] = shown.plant.mask[i] ? 0 : 1;
    nameValves();
    meters.restart();
  }
  function mend() {
    if (!shown.log) shown.plant.mask.fill(1);
    nameValves();
  }
  function nameValves() {
    valves.name();
    const dead = shown.plant.mask.map((works, i) => (works ? 0 : i + 1)).filter(Boolean);
    const words = dead.length ? `Broken: ${dead.join(", ")}. ${shown.policy.observation === "adaptive" ? "The policy is not told, and finds out." : "The policy does not know."}` : "Click a thruster to break it; click again to mend it.";
    $("valve-note").textContent = shown.log ? "As recorded." : words;
    $("mend").disabled = !dead.length;
  }
  function seek(time) {
    shown.show(time);
    meters.restart();
    shown.recount();
    $("timeline").value = shown.at;
  }
  function play(on) {
    if (on && shown.log && shown.at >= shown.end) seek(0);
    playing = on;
    $("play").textContent = on ? "Pause" : "Play";
  }
  function follow(on) {
    following = on;
    $("follow").setAttribute("aria-pressed", String(on));
  }
  function again() {
    if (shown.log) seek(0);
    else shown.start(false);
    snap = following;
    play(true);
  }
  function blow() {
    if (shown.log) return;
    if (!weather.wind) sliders.from.set(shown.between(-180, 180));
    shown.gust = 1.2;
  }
  function calm() {
    Object.values(sliders).forEach((slider) => slider.set(0));
    shown.gust = 0;
  }
  function turnGoal(angle) {
    if (shown.log) return;
    if (shown.task.angular_velocity) rate.set(shown.target.rate + angle / 2);
    else shown.target.heading = Platform.wrapped(shown.target.heading + angle);
    meters.restart();
  }
  function moveGoal(dx, dy, fine) {
    const step = fine ? 0.01 : 0.1, t = shown.target;
    if (shown.log) return seek(shown.at + dx);
    if (shown.task.velocity) { t.vx += 0.25 * step * dx; t.vy += 0.25 * step * dy; } else { t.x += step * dx; t.y += step * dy; }
    meters.restart();
  }

  // --- buttons and keys -------------------------------------------------------------------------------------
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  const KEYS = { " ": () => play(!playing), r: again, g: blow, f: () => follow(!following), 0: mend, q: () => turnGoal(0.1), e: () => turnGoal(-0.1) };
  document.addEventListener("keydown", (event) => {
    const tag = event.target.tagName, key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (event.ctrlKey || event.metaKey || event.altKey || tag === "SELECT" || tag === "INPUT") return;
    if (key === " " && (tag === "BUTTON" || tag === "SUMMARY")) return;
    if (ARROWS[key]) moveGoal(...ARROWS[key], event.shiftKey);
    else if (/^[1-8]$/.test(key)) toggle(Number(key) - 1);
    else if (KEYS[key]) KEYS[key]();
    else return;
    event.preventDefault();
  });
  const click = { play: () => play(!playing), again, follow: () => follow(!following), mend, gust: blow, calm };
  for (const [id, call] of Object.entries(click)) $(id).addEventListener("click", call);
  $("speed").addEventListener("click", () => {
    speed = SPEEDS[(SPEEDS.indexOf(speed) + 1) % SPEEDS.length];
    $("speed").textContent = `${speed}×`;
  });
  $("timeline").addEventListener("input", () => seek(Number($("timeline").value)));

  // --- what is shown ----------------------------------------------------------------------------------------
  function choose(value) {
    const [kind, index] = value.split(":"), replaying = kind === "log", entry = (replaying ? data.logs : data.policies)[Number(index)];
    const plant = structuredClone(data.plants[replaying ? 0 : entry.plant]);
    const changed = () => { meters.restart(); if (shown && !shown.log) rate.show(shown.target.rate); };
    shown = replaying
      ? Replay.create(entry, plant, meters.count)
      : Flight.create(plant, entry, sizes, weather, { step: meters.count, changed, words: (html) => say(html) });
    meters.begin(shown.task);
    valves = Panel.valves($("valves"), plant, toggle);
    Panel.facts($("about"), entry.about);
    $("about-title").textContent = replaying ? "About this recording" : "About this policy";
    $("weather-section").hidden = $("again").hidden = $("mend").hidden = replaying;
    $("timeline-box").hidden = !replaying;
    $("rate-row").hidden = replaying || !shown.task.angular_velocity;
    nameValves();
    if (replaying) {
      $("timeline").max = shown.end;
      seek(0);
    } else shown.start(true);
    say("");
    follow(true);
    snap = true;
    play(true);
  }

  const root = document.documentElement, system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme || (system.matches ? "dark" : "light")) === "dark";
  function theme() {
    $("theme").textContent = dark() ? "Light" : "Dark";
    $("theme").setAttribute("aria-label", dark() ? "Switch to light colours" : "Switch to dark colours");
    scene.recolour();
  }
  // Storage is refused on pages opened from a file in some browsers; the choice then lasts for the visit.
  try { const kept = localStorage.getItem("antiphon-theme"); if (kept) root.dataset.theme = kept; } catch (refused) { /* see above */ }
  $("theme").addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem("antiphon-theme", root.dataset.theme); } catch (refused) { /* see above */ }
    theme();
  });
  system.addEventListener("change", theme);
  theme();

  for (const [label, kind, entries] of [["Fly", "policy", data.policies], ["Replay", "log", data.logs]]) {
    if (!entries.length) continue;
    const group = document.createElement("optgroup");
    group.label = label;
    entries.forEach((entry, i) => group.append(new Option(entry.name, `${kind}:${i}`)));
    $("source").append(group);
  }
  $("source").addEventListener("change", () => { choose($("source").value); $("source").blur(); });
  new ResizeObserver(() => { scene.resize(); snap = true; }).observe(canvas);
  scene.resize();
  $("source").value = data.first;
  choose(data.first);
  requestAnimationFrame((now) => { before = now; frame(now); });
})();
