"""Networks as plain pytrees: layers, transformers, the frame model, and weights in and out."""

from antiphon.nets.difference import load_difference, save_difference
from antiphon.nets.frame_model import FrameContext, FrameModel, FrameParams
from antiphon.nets.frame_value import FrameValue
from antiphon.nets.layers import Dense
from antiphon.nets.llama import Llama, LlamaParams
from antiphon.nets.llama_decoding import Prompts
from antiphon.nets.llama_policy import LlamaPolicy
from antiphon.nets.llama_sampling import Decoding
from antiphon.nets.lora import LoRA
from antiphon.nets.mlp import MLP
from antiphon.nets.sequence_model import Context, SequenceModel, ValueModel
from antiphon.nets.text_encoder import TextEncoder
from antiphon.nets.weights import WeightsError, load_tree, save_tree

__all__ = [
    "MLP",
    "Context",
    "Decoding",
    "Dense",
    "FrameContext",
    "FrameModel",
    "FrameParams",
    "FrameValue",
    "Llama",
    "LlamaParams",
    "LlamaPolicy",
    "LoRA",
    "Prompts",
    "SequenceModel",
    "TextEncoder",
    "ValueModel",
    "WeightsError",
    "load_difference",
    "load_tree",
    "save_difference",
    "save_tree",
]
