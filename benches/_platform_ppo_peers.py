"""PPO of other libraries on our Gymnasium vector environment; the last line is one JSON object.

Run by platform_ppo.py as: PYTHON _platform_ppo_peers.py stable_baselines3|sbx LEVEL SECONDS
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from antiphon.studies.platform_presets import platform_method
from antiphon.worlds.platform.environment import PlatformEnvironment
from antiphon.worlds.platform.gymnasium_env import PlatformVectorGym
from antiphon.worlds.platform.protocol import Protocol, protocol_world


class Adapted(VecEnv):
    """A Gymnasium vector environment as stable-baselines3 has them."""

    def __init__(self, env):
        self.env, self._actions = env, None
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)
        self._nothing = [{} for _ in range(env.num_envs)]

    def reset(self):
        return self.env.reset(seed=0)[0]

    def step_async(self, actions):
        self._actions = actions

    def step_wait(self):
        seen, reward, terminated, truncated, info = self.env.step(self._actions)
        done = terminated | truncated
        infos = self._nothing
        if done.any():
            infos = list(infos)
            for index in np.flatnonzero(done):
                infos[index] = {
                    "terminal_observation": info["final_obs"][index],
                    "TimeLimit.truncated": bool(truncated[index] and not terminated[index]),
                }
        return seen, reward.astype(np.float32), done, infos

    def close(self):
        pass

    def get_attr(self, attr_name, indices=None):
        return [None] * self.num_envs

    def set_attr(self, attr_name, value, indices=None):
        pass

    def env_method(self, method_name, *args, indices=None, **kwargs):
        return [None] * self.num_envs

    def env_is_wrapped(self, wrapper_class, indices=None):
        return [False] * self.num_envs


class Watch(BaseCallback):
    """Judges the policy between iterations, with the clock standing still, and stops at the level."""

    def __init__(self, env, level, limit):
        super().__init__()
        self.normalised, self.level, self.limit = env, level, limit
        self.spent, self.due, self.began, self.reached, self.share = 0.0, 0.0, None, None, 0.0
        world = protocol_world(PlatformEnvironment(), Protocol(envs=64))
        self.judge = PlatformVectorGym(world, 64)

    def _on_step(self):
        return True

    def _on_rollout_start(self):
        now = time.perf_counter()
        if self.began is not None:
            self.spent += now - self.began
        if self.began is not None and self.spent >= self.due and self.reached is None:
            self.share = self.pt5()
            self.due = self.spent + max(2.0, self.limit / 100)
            if self.share >= self.level:
                self.reached = self.spent
        self.began = time.perf_counter()

    def _on_rollout_end(self):
        if self.began is None:
            self.began = time.perf_counter()

    def pt5(self):
        seen, _ = self.judge.reset(seed=1000)
        near = []
        for _ in range(250):
            actions, _ = self.model.predict(self.normalised.normalize_obs(seen), deterministic=True)
            seen, _, _, _, info = self.judge.step(actions)
            near.append(info["position_error"] < 0.05)
        return float(np.mean(near))


def main():
    module, level, limit = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    if module == "sbx":
        from flax import linen
        from sbx import PPO

        activation = linen.tanh
    else:
        import torch
        from stable_baselines3 import PPO

        activation = torch.nn.Tanh
    ours = platform_method("go-to-pose")
    env = VecNormalize(
        Adapted(PlatformVectorGym(ours.world, ours.envs)), gamma=float(ours.gamma), clip_obs=100.0
    )
    watch = Watch(env, level, limit)
    model = PPO(
        "MlpPolicy", env, n_steps=ours.horizon, batch_size=ours.samples // ours.minibatches,
        n_epochs=ours.epochs,
        learning_rate=lambda _: float(ours.learning_rate) * max(1.0 - watch.spent / limit, 0.02),
        gamma=float(ours.gamma), gae_lambda=float(ours.lambda_), clip_range=float(ours.clip),
        ent_coef=float(ours.entropy), max_grad_norm=float(ours.max_norm), seed=0, device="cpu",
        policy_kwargs={"net_arch": {"pi": [ours.width] * ours.depth, "vf": [ours.width] * ours.depth},
                       "activation_fn": activation},
    )  # fmt: skip
    # One iteration first: what it compiles is not counted.
    model.learn(ours.samples, callback=watch)
    watch.spent, watch.due, watch.began = 0.0, 0.0, None
    before = model.num_timesteps
    while watch.reached is None and watch.spent < limit:
        model.learn(4 * ours.samples, callback=watch, reset_num_timesteps=False)
        print(
            f"{module}: {watch.spent:.0f} s, {model.num_timesteps} steps, PT5 {watch.share:.3f}",
            file=sys.stderr,
        )
    steps = model.num_timesteps - before
    print(json.dumps({"seconds_to_level": watch.reached, "seconds": watch.spent, "steps": steps,
                      "steps_per_second": steps / max(watch.spent, 1e-9), "PT5": watch.share}))  # fmt: skip


if __name__ == "__main__":
    main()
