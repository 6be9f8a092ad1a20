(() => {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const say = () => {
    button.textContent = dark() ? "Light" : "Dark";
    button.setAttribute("aria-label", dark() ? "Switch to light colours" : "Switch to dark colours");
  };
  // Storage is refused on pages opened from a file in some browsers; the choice then lasts for the visit.
  try { const kept = localStorage.getItem("antiphon-theme"); if (kept) root.dataset.theme = kept; } catch (refused) {}
  button.hidden = false;
  say();
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem("antiphon-theme", root.dataset.theme); } catch (refused) {}
    say();
  });
  const players = [...document.querySelectorAll("audio")];
  players.forEach((player) => {
    // Two clips at once cannot be compared.
    player.addEventListener("play", () => players.forEach((other) => other !== player && other.pause()));
    const picture = player.parentElement.querySelector(".picture");
    if (!picture) return;
    const needle = picture.querySelector("i");
    const move = () => {
      needle.hidden = false;
      needle.style.left = `${(100 * player.currentTime) / player.duration}%`;
      if (!player.paused) requestAnimationFrame(move);
    };
    player.addEventListener("play", move);
    player.addEventListener("seeked", move);
    picture.addEventListener("click", (event) => {
      const box = picture.getBoundingClientRect();
      if (player.duration) player.currentTime = ((event.clientX - box.left) / box.width) * player.duration;
    });
  });
})();
