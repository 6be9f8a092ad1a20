// Mouse and touch on the floor: goals, platform, valves; looking around and zooming.
const Hands = (() => {
  const near = ([ax, ay], [bx, by]) => Math.hypot(ax - bx, ay - by);

  // show() gives what is shown, a flight or a replay; act: {changed(), toggle(i), unfollow()}.
  function create(canvas, scene, radius, show, act) {
    const fingers = new Map();
    let held = "", grip = [0, 0], began = null, way = [];
    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };

    function under(point, touch) {
      const { state, target, task, log } = show(), reach = touch ? 26 : 16, wide = Math.max(radius * scene.camera.zoom, reach);
      if (log) return "floor";
      const pivot = task.velocity ? { ...state, heading: target.heading } : target;
      if (task.velocity && near(point, scene.toScreen(...scene.tip(state, target.vx, target.vy))) < reach + 6) return "tip";
      if (task.heading && near(point, scene.toScreen(...scene.knob(pivot))) < reach) return "knob";
      if (!task.velocity && near(point, scene.toScreen(target.x, target.y)) < wide) return "goal";
      return near(point, scene.toScreen(state.x, state.y)) < wide ? "platform" : "floor";
    }

    function valveUnder(point, touch) {
      const { plant, state, log } = show();
      if (log) return -1;
      const far = plant.nozzle_position.map((_, i) => near(point, scene.toScreen(...scene.nozzlePlace(plant, state, i))));
      const best = far.indexOf(Math.min(...far));
      return far[best] < Math.max(touch ? 14 : 9, 0.06 * scene.camera.zoom) ? best : -1;
    }

    function take(thing, point) {
      const shown = show(), [x, y] = scene.toWorld(...point), body = { goal: shown.target, platform: shown.state }[thing];
      held = thing;
      grip = body ? [x - body.x, y - body.y] : [x, y];
      if (thing === "platform") shown.carried = true;
      canvas.classList.add("held");
    }

    function drag(point) {
      const shown = show(), [x, y] = scene.toWorld(...point), { state: s, target: t, task } = shown;
      if (held === "goal") { t.x = x - grip[0]; t.y = y - grip[1]; }
      else if (held === "knob") t.heading = task.velocity ? Math.atan2(y - s.y, x - s.x) : Math.atan2(y - t.y, x - t.x);
      else if (held === "tip") {
        const vx = (x - s.x) / 2, vy = (y - s.y) / 2, most = Math.min(1, 0.75 / (Math.hypot(vx, vy) || 1));
        t.vx = vx * most;
        t.vy = vy * most;
      } else if (held === "platform") {
        way = [...way, [performance.now(), x, y]].slice(-6);
        shown.state = { ...s, x: x - grip[0], y: y - grip[1], vx: 0, vy: 0, rate: 0 };
        shown.trail = [];
      } else {
        scene.camera.x -= x - grip[0];
        scene.camera.y -= y - grip[1];
        act.unfollow();
        return;
      }
      act.changed();
    }

    // A platform that is let go on the move flies on, at no more than 0.8 m/s.
    function release() {
      const shown = show();
      if (held === "platform" && way.length > 1 && performance.now() - way[way.length - 1][0] < 80) {
        const [t0, x0, y0] = way[0], [t1, x1, y1] = way[way.length - 1], dt = Math.max(0.03, (t1 - t0) / 1000);
        const vx = (x1 - x0) / dt, vy = (y1 - y0) / dt, most = Math.min(1, 0.8 / (Math.hypot(vx, vy) || 1));
        shown.state = { ...shown.state, vx: vx * most, vy: vy * most };
      }
      shown.carried = false;
      held = "";
      way = [];
      canvas.classList.remove("held");
    }

    function tap({ point, touch, thing }) {
      const valve = valveUnder(point, touch), shown = show();
      if (valve >= 0) act.toggle(valve);
      else if (thing === "floor" && !shown.log && !shown.task.velocity) {
        [shown.target.x, shown.target.y] = scene.toWorld(...point);
        act.changed();
      }
    }

    function zoom(point, factor) {
      const [x, y] = scene.toWorld(...point);
      scene.camera.zoom = Math.min(900, Math.max(18, scene.camera.zoom * factor));
      const [nx, ny] = scene.toWorld(...point);
      scene.camera.x += x - nx;
      scene.camera.y += y - ny;
      act.unfollow();
    }

    canvas.addEventListener("pointerdown", (event) => {
      try { canvas.setPointerCapture(event.pointerId); } catch (gone) { /* the finger has left already */ }
      const point = place(event), touch = event.pointerType === "touch";
      fingers.set(event.pointerId, point);
      if (fingers.size === 1) began = { point, touch, thing: under(point, touch), moved: false };
      else { release(); began = null; }
    });
    canvas.addEventListener("pointermove", (event) => {
      const point = place(event);
      if (!fingers.has(event.pointerId)) {
        canvas.classList.toggle("over", under(point, false) !== "floor" || valveUnder(point, false) >= 0);
        return;
      }
      const [a0, b0] = [...fingers.values()];
      fingers.set(event.pointerId, point);
      if (fingers.size === 2) {
        const [a, b] = [...fingers.values()];
        zoom([(a[0] + b[0]) / 2, (a[1] + b[1]) / 2], near(a, b) / Math.max(1, near(a0, b0)));
      } else if (began) {
        if (!began.moved && near(point, began.point) > 5) {
          began.moved = true;
          take(began.thing, began.point);
        }
        if (held) drag(point);
      }
    });
    for (const name of ["pointerup", "pointercancel"])
      canvas.addEventListener(name, (event) => {
        fingers.delete(event.pointerId);
        if (began && !began.moved && name === "pointerup") tap(began);
        release();
        began = null;
      });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      zoom(place(event), Math.exp(-event.deltaY * 0.0015));
    }, { passive: false });

    return { busy: () => held !== "" };
  }

  return { create };
})();
