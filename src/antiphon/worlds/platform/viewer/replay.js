// A recorded flight at any time: poses between poses, the last command, the last goal.
const Replay = (() => {
  // The last place whose time is not after the given one.
  function indexOf(times, time) {
    let low = 0, high = times.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (times[middle] <= time) low = middle; else high = middle - 1;
    }
    return low;
  }

  function create(log, plant, count) {
    const replay = {
      plant, task: log.task, log, at: 0, end: Math.max(log.pose_time[log.pose_time.length - 1], ...log.valve_time.slice(-1)),
      path: log.x.map((x, i) => [x, log.y[i]]), aimed: log.goal_time.length > 0, state: null, valves: [],
      target: { x: 0, y: 0, heading: 0, vx: 0, vy: 0, rate: 0 }, show, recount, run,
    };
    let counted = 0;

    function pose(time) {
      const i = indexOf(log.pose_time, time), j = Math.min(i + 1, log.pose_time.length - 1), gap = log.pose_time[j] - log.pose_time[i];
      const share = gap > 0 ? Math.min(1, Math.max(0, (time - log.pose_time[i]) / gap)) : 0;
      const mix = (list) => list[i] + share * (list[j] - list[i]);
      // Velocities over a fifth of a second, for the meters of velocity tasks.
      const a = indexOf(log.pose_time, time - 0.1), b = indexOf(log.pose_time, time + 0.1), dt = log.pose_time[b] - log.pose_time[a] || 1;
      return {
        x: mix(log.x), y: mix(log.y), heading: mix(log.heading),
        vx: (log.x[b] - log.x[a]) / dt, vy: (log.y[b] - log.y[a]) / dt, rate: (log.heading[b] - log.heading[a]) / dt,
      };
    }

    function show(time) {
      replay.at = Math.min(Math.max(0, time), replay.end);
      replay.state = pose(replay.at);
      const c = indexOf(log.valve_time, replay.at), given = log.valve_time.length && log.valve_time[c] <= replay.at;
      replay.valves = given ? log.valves[c].split("").map(Number) : new Array(8).fill(0);
      if (!replay.aimed) return;
      const [x, y, heading, vx, vy, rate] = log.goal[indexOf(log.goal_time, replay.at)];
      replay.target = { x, y, heading, vx, vy, rate };
    }

    // Meters of a replay are those of the flight up to now, five times a second from its first goal.
    function recount() {
      const last = replay.at;
      for (counted = replay.aimed ? log.goal_time[0] : 0; counted <= last; counted += 0.2) {
        show(counted);
        count(Platform.errors(replay.state, replay.target), replay.valves);
      }
      show(last);
    }

    function run(seconds) {
      const until = Math.min(replay.at + seconds, replay.end);
      for (; counted <= until; counted += 0.2) {
        show(counted);
        count(Platform.errors(replay.state, replay.target), replay.valves);
      }
      show(until);
    }

    show(0);
    return replay;
  }

  return { create };
})();
