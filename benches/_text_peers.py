"""One measurement of a peer, in the peer's own environment: seconds, and the process's peak memory.

Run by text_sampling.py, text_gkd.py and text_nash_md.py as: PYTHON _text_peers.py WHAT SIZES, where SIZES is
the JSON object that those files print as "sizes". All peers compute in float32 from random weights.
"""

import json
import resource
import sys
import tempfile
import time

import numpy as np


def hugging_face(sizes, seed=0):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=sizes["vocabulary"], hidden_size=sizes["width"], num_hidden_layers=sizes["layers"],
        num_attention_heads=sizes["heads"], num_key_value_heads=sizes["kv_heads"],
        intermediate_size=sizes["hidden"], max_position_embeddings=sizes["context"], tie_word_embeddings=True,
        bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    return LlamaForCausalLM(config).float()


def prompt_tokens(sizes, count):
    return np.random.default_rng(0).integers(3, sizes["vocabulary"], (count, sizes["prompt"]))


def word_tokenizer(sizes):
    """A tokenizer whose words are ``w3``, ``w4``, …, one token each."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {"<pad>": 0, "<s>": 1, "</s>": 2} | {f"w{i}": i for i in range(3, sizes["vocabulary"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", padding_side="left"
    )


def quickest(call, repeats):
    call()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times)


def transformers_generate(sizes):
    import torch

    model = hugging_face(sizes).eval()
    tokens = torch.as_tensor(prompt_tokens(sizes, sizes["batch"]))
    mask = torch.ones_like(tokens)

    def call():
        with torch.inference_mode():
            made = model.generate(
                tokens, attention_mask=mask, do_sample=True, top_k=0, max_new_tokens=sizes["new_tokens"],
                min_new_tokens=sizes["new_tokens"], pad_token_id=0,
            )  # fmt: skip
        assert made.shape == (sizes["batch"], sizes["prompt"] + sizes["new_tokens"])

    return quickest(call, sizes["repeats"])


def tunix_sampler(sizes):
    from flax import nnx
    from tunix.generate import sampler as sampling
    from tunix.models.llama3 import model as llama

    config = llama.ModelConfig(
        num_layers=sizes["layers"], vocab_size=sizes["vocabulary"], embed_dim=sizes["width"],
        hidden_dim=sizes["hidden"], num_heads=sizes["heads"], head_dim=sizes["width"] // sizes["heads"],
        num_kv_heads=sizes["kv_heads"], rope_theta=10_000, norm_eps=1e-5, weight_tying=True,
    )  # fmt: skip
    model = llama.Llama3(config, rngs=nnx.Rngs(0))

    class Words:
        def encode(self, text, **_):
            return [int(word[1:]) for word in text.split()]

        def decode(self, ids, **_):
            return " ".join(f"w{i}" for i in ids)

        def bos_id(self):
            return 1

        # No token of the vocabulary ends a completion, so that all have one length.
        def eos_id(self):
            return -2

        def pad_id(self):
            return 0

    length = sizes["prompt"] + sizes["new_tokens"] + 8
    sampler = sampling.Sampler(
        model, Words(),
        sampling.CacheConfig(
            cache_size=length, num_layers=sizes["layers"], num_kv_heads=sizes["kv_heads"],
            head_dim=sizes["width"] // sizes["heads"],
        ),
    )  # fmt: skip
    texts = [" ".join(f"w{i}" for i in row) for row in prompt_tokens(sizes, sizes["batch"])]
    seeds = iter(range(1000))

    def call():
        made = sampler(
            texts,
            max_generation_steps=sizes["new_tokens"],
            temperature=1.0,
            top_p=1.0,
            seed=next(seeds),
            # One token begins a sequence; unasked, prompts would be padded to twice their length.
            max_prompt_length=sizes["prompt"] + 1,
        )
        assert len(made.tokens) == sizes["batch"]

    return quickest(call, sizes["repeats"])


def timed_callback():
    from transformers import TrainerCallback

    class Timed(TrainerCallback):
        times = ()
        began = 0.0

        def on_step_begin(self, *_, **__):
            self.began = time.perf_counter()

        def on_step_end(self, *_, **__):
            self.times = (*self.times, time.perf_counter() - self.began)

    return Timed()


def settings(sizes, folder):
    """What both trainers are told: float32, everything kept that a backward pass needs, nothing saved."""
    return {
        "output_dir": folder, "per_device_train_batch_size": sizes["batch"],
        "max_steps": sizes["repeats"] + 2,
        "report_to": "none", "use_cpu": True, "bf16": False, "gradient_checkpointing": False,
        "save_strategy": "no", "logging_strategy": "no", "max_new_tokens": sizes["new_tokens"],
        "temperature": 1.0, "disable_tqdm": True, "learning_rate": 1e-4,
    }  # fmt: skip


def trl_gkd(sizes):
    import torch
    from datasets import Dataset
    from trl.experimental.gkd import GKDConfig, GKDTrainer

    tokens = torch.as_tensor(prompt_tokens(sizes, sizes["batch"] * (sizes["repeats"] + 2)))
    width = sizes["prompt"] + sizes["new_tokens"]

    def collate(rows):
        prompts = tokens[[row["place"] for row in rows]]
        whole = torch.cat([prompts, prompts[:, : sizes["new_tokens"]]], dim=1)
        labels = whole.clone()
        labels[:, : sizes["prompt"]] = -100
        assert whole.shape[1] == width
        return {
            "input_ids": whole, "attention_mask": torch.ones_like(whole), "labels": labels,
            "prompts": prompts, "prompt_attention_mask": torch.ones_like(prompts),
        }  # fmt: skip

    timed = timed_callback()
    with tempfile.TemporaryDirectory() as folder:
        GKDTrainer(
            hugging_face(sizes), hugging_face(sizes, seed=1),
            GKDConfig(**settings(sizes, folder), lmbda=1.0, beta=0.5, max_length=width),
            data_collator=collate, train_dataset=Dataset.from_dict({"place": list(range(len(tokens)))}),
            processing_class=word_tokenizer(sizes), callbacks=[timed],
        ).train()  # fmt: skip
    return min(timed.times[2:])


def trl_nash_md(sizes):
    from datasets import Dataset
    from transformers import LlamaConfig, LlamaForSequenceClassification
    from trl.experimental.nash_md import NashMDConfig, NashMDTrainer

    judge = LlamaForSequenceClassification(
        LlamaConfig(
            vocab_size=sizes["vocabulary"],
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=1,
            intermediate_size=16,
            num_labels=1,
            pad_token_id=0,
        )
    ).float()
    texts = [
        " ".join(f"w{i}" for i in row)
        for row in prompt_tokens(sizes, sizes["batch"] * (sizes["repeats"] + 2))
    ]
    timed = timed_callback()
    with tempfile.TemporaryDirectory() as folder:
        NashMDTrainer(
            model=hugging_face(sizes), ref_model=hugging_face(sizes, seed=1), reward_funcs=judge,
            args=NashMDConfig(
                **settings(sizes, folder), mixture_coef=[0.25], beta=0.05, missing_eos_penalty=None,
                max_length=sizes["prompt"] + sizes["new_tokens"],
            ),
            train_dataset=Dataset.from_dict({"prompt": texts}), processing_class=word_tokenizer(sizes),
            callbacks=[timed],
        ).train()  # fmt: skip
    return min(timed.times[2:])


PEERS = {
    "transformers": transformers_generate,
    "tunix": tunix_sampler,
    "gkd": trl_gkd,
    "nash_md": trl_nash_md,
}

if __name__ == "__main__":
    seconds = PEERS[sys.argv[1]](json.loads(sys.argv[2]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mib": round(peak)}))
