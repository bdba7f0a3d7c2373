"""Pipelines of diffusers small enough for a test: random weights, saved to a folder as a user's are.

Each ``tiny_*`` function writes a pipeline with ``save_pretrained`` and returns its folder. ``seed`` draws the weights
of the denoiser alone, so that two pipelines of different seeds share text encoders and autoencoder, as the members
of a zoo do; keywords go into the denoiser's configuration, and ``scheduler`` replaces the usual one. All work
without a network: tokenizers are made of the letters ``a`` to ``z``. Latents are 8x8 with 4 channels, images
16x16, and twice that for Sana; Wan has 16 channels on one frame of 4x4, and videos of 32x32.
:func:`loaded` opens them, and :data:`CALLS` says what each is called with.
"""

from __future__ import annotations

import functools
import string
from pathlib import Path
from typing import Any

LETTERS = string.ascii_lowercase
SPECIAL = ["<pad>", "</s>", "<unk>", "<bos>", "<eos>", "<mask>", "<|startoftext|>", "<|endoftext|>"]
TEXT = 16
"""Width of what text encoders give."""

_SHORT = {"prompt": "a cat", "max_sequence_length": 16}
CALLS: dict[str, dict[str, Any]] = {
    "ddpm": {},
    "ddim": {},
    "sd": {"prompt": "a cat"},
    "sdxl": {"prompt": "a cat"},
    "sd3": _SHORT,
    "flux": _SHORT | {"height": 16, "width": 16},
    "dit": {"class_labels": [3]},
    "pixart": _SHORT | {"use_resolution_binning": False},
    "sana": _SHORT | {"height": 32, "width": 32, "use_resolution_binning": False, "complex_human_instruction": None},
    "wan": _SHORT | {"height": 32, "width": 32, "num_frames": 1},
}
"""Arguments of a pipeline's call, by the name of its ``tiny_*`` function."""


def loaded(folder: str | Path) -> Any:
    """The pipeline of a folder, as ``from_pretrained`` of its class reads it.

    Of models that keep some modules in single precision (Wan's) it reads the weights itself, for there
    ``from_pretrained`` wants the package accelerate.
    """
    import json

    import diffusers
    from safetensors.torch import load_file

    index = json.loads((Path(folder) / "model_index.json").read_text())
    parts = {}
    for name, entry in index.items():
        model = getattr(diffusers, entry[1], None) if isinstance(entry, list) and entry[0] == "diffusers" else None
        if getattr(model, "_keep_in_fp32_modules", None):
            network = model.from_config(model.load_config(Path(folder) / name))
            network.load_state_dict(load_file(Path(folder) / name / "diffusion_pytorch_model.safetensors"))
            parts[name] = network.eval()
    pipeline = getattr(diffusers, index["_class_name"]).from_pretrained(folder, **parts)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def latents(pipe: Any, **call: Any) -> Any:
    """What the scheduler of a pipeline's call ends in, ``(n, ...)``: the latents, or the image before it is clamped."""
    step, last = pipe.scheduler.step, []

    @functools.wraps(step)  # pipelines look at its parameters
    def recorded(*args: Any, **kwargs: Any) -> Any:
        stepped = step(*args, **kwargs)
        last[:] = [stepped[0]]
        return stepped

    pipe.scheduler.step = recorded
    try:
        pipe(**call)
    finally:
        del pipe.scheduler.step
    return last[0]


def tiny_ddpm(folder: str | Path, *, seed: int = 0, scheduler: Any = None, **unet: Any) -> Path:
    """``DDPMPipeline``: a U-Net on gray images of 8x8; ``clip_sample`` as DDPM has it."""
    from diffusers import DDPMPipeline, DDPMScheduler

    return _saved(DDPMPipeline(_unet2d(seed, unet), scheduler or DDPMScheduler()), folder)


def tiny_ddim(folder: str | Path, *, seed: int = 0, scheduler: Any = None, **unet: Any) -> Path:
    """``DDIMPipeline``: the same network as of :func:`tiny_ddpm`, with DDIM's scheduler."""
    from diffusers import DDIMPipeline, DDIMScheduler

    return _saved(DDIMPipeline(_unet2d(seed, unet), scheduler or DDIMScheduler()), folder)


def tiny_sd(folder: str | Path, *, seed: int = 0, scheduler: Any = None, **unet: Any) -> Path:
    """``StableDiffusionPipeline`` with the betas, offset and last step of Stable Diffusion 1."""
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    usual = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    pipeline = StableDiffusionPipeline(
        vae=_vae(),
        text_encoder=_clip("CLIPTextModel"),
        tokenizer=_clip_tokenizer(),
        unet=_unet_condition(seed, unet),
        scheduler=scheduler or usual,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    return _saved(pipeline, folder)


def tiny_sdxl(folder: str | Path, *, seed: int = 0, scheduler: Any = None, **unet: Any) -> Path:
    """``StableDiffusionXLPipeline``; the second text encoder's pooled output and six sizes are added conditions."""
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline

    added = {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 4,
        "projection_class_embeddings_input_dim": 6 * 4 + TEXT,
        "cross_attention_dim": 2 * TEXT,
        "use_linear_projection": True,
    }
    usual = EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        timestep_spacing="leading",
        steps_offset=1,
    )
    pipeline = StableDiffusionXLPipeline(
        vae=_vae(),
        text_encoder=_clip("CLIPTextModel"),
        text_encoder_2=_clip("CLIPTextModelWithProjection"),
        tokenizer=_clip_tokenizer(),
        tokenizer_2=_clip_tokenizer(),
        unet=_unet_condition(seed, added | unet),
        scheduler=scheduler or usual,
        add_watermarker=False,
    )
    return _saved(pipeline, folder)


def tiny_refiner(folder: str | Path, *, seed: int = 1, **unet: Any) -> Path:
    """``StableDiffusionXLImg2ImgPipeline`` as SDXL's refiner: the second text encoder alone, and an aesthetic score."""
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLImg2ImgPipeline

    added = {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 4,
        "projection_class_embeddings_input_dim": 5 * 4 + TEXT,
        "cross_attention_dim": TEXT,
        "use_linear_projection": True,
    }
    pipeline = StableDiffusionXLImg2ImgPipeline(
        vae=_vae(),
        text_encoder=None,
        text_encoder_2=_clip("CLIPTextModelWithProjection"),
        tokenizer=None,
        tokenizer_2=_clip_tokenizer(),
        unet=_unet_condition(seed, added | unet),
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            timestep_spacing="leading",
            steps_offset=1,
        ),
        requires_aesthetics_score=True,
        add_watermarker=False,
    )
    return _saved(pipeline, folder)


def tiny_sd3(folder: str | Path, *, seed: int = 0, scheduler: Any = None, **transformer: Any) -> Path:
    """``StableDiffusion3Pipeline``: flow matching with shift 3, three text encoders."""
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline

    usual = {
        "sample_size": 8,
        "patch_size": 1,
        "in_channels": 4,
        "out_channels": 4,
        "num_layers": 1,
        "attention_head_dim": 8,
        "num_attention_heads": 2,
        "caption_projection_dim": 16,
        "joint_attention_dim": 2 * TEXT,
        "pooled_projection_dim": 2 * TEXT,
        "pos_embed_max_size": 16,
    }
    pipeline = StableDiffusion3Pipeline(
        transformer=_drawn(SD3Transformer2DModel, seed, usual | transformer),
        scheduler=scheduler or FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=_vae(shift_factor=0.06),
        text_encoder=_clip("CLIPTextModelWithProjection"),
        text_encoder_2=_clip("CLIPTextModelWithProjection"),
        text_encoder_3=_t5(2 * TEXT),
        tokenizer=_clip_tokenizer(),
        tokenizer_2=_clip_tokenizer(),
        tokenizer_3=_t5_tokenizer(),
    )
    return _saved(pipeline, folder)


def tiny_flux(folder: str | Path, *, seed: int = 0, scheduler: Any = None, **transformer: Any) -> Path:
    """``FluxPipeline``, as schnell has it: no embedded guidance, no shift. Latents are packed, ``(n, 16, 16)``."""
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel

    usual = {
        "patch_size": 1,
        "in_channels": 16,
        "num_layers": 1,
        "num_single_layers": 1,
        "attention_head_dim": 16,
        "num_attention_heads": 2,
        "joint_attention_dim": 2 * TEXT,
        "pooled_projection_dim": TEXT,
        "axes_dims_rope": (4, 4, 8),
    }
    pipeline = FluxPipeline(
        transformer=_drawn(FluxTransformer2DModel, seed, usual | transformer),
        scheduler=scheduler or FlowMatchEulerDiscreteScheduler(),
        vae=_vae(shift_factor=0.06),
        text_encoder=_clip("CLIPTextModel"),
        text_encoder_2=_t5(2 * TEXT),
        tokenizer=_clip_tokenizer(),
        tokenizer_2=_t5_tokenizer(),
    )
    return _saved(pipeline, folder)


def tiny_dit(folder: str | Path, *, seed: int = 0, scheduler: Any = None, **transformer: Any) -> Path:
    """``DiTPipeline``: 1,000 classes and a learned variance, as the released DiT."""
    from diffusers import DDIMScheduler, DiTPipeline, DiTTransformer2DModel

    usual = {
        "sample_size": 8,
        "num_layers": 1,
        "patch_size": 2,
        "attention_head_dim": 8,
        "num_attention_heads": 2,
        "in_channels": 4,
        "out_channels": 8,
        "attention_bias": True,
        "num_embeds_ada_norm": 1000,
    }
    pipeline = DiTPipeline(
        transformer=_drawn(DiTTransformer2DModel, seed, usual | transformer),
        vae=_vae(),
        scheduler=scheduler or DDIMScheduler(clip_sample=False),
    )
    return _saved(pipeline, folder)


def tiny_pixart(folder: str | Path, *, seed: int = 0, scheduler: Any = None, **transformer: Any) -> Path:
    """``PixArtAlphaPipeline``; call it with ``use_resolution_binning=False``, for bins are of real sizes."""
    from diffusers import DPMSolverMultistepScheduler, PixArtAlphaPipeline, PixArtTransformer2DModel

    usual = {
        "sample_size": 8,
        "num_layers": 1,
        "patch_size": 2,
        "attention_head_dim": 8,
        "num_attention_heads": 2,
        "caption_channels": 2 * TEXT,
        "cross_attention_dim": 16,
        "in_channels": 4,
        "out_channels": 8,
        "use_additional_conditions": False,
    }
    pipeline = PixArtAlphaPipeline(
        transformer=_drawn(PixArtTransformer2DModel, seed, usual | transformer),
        vae=_vae(),
        scheduler=scheduler or DPMSolverMultistepScheduler(),
        text_encoder=_t5(2 * TEXT),
        tokenizer=_t5_tokenizer(),
    )
    return _saved(pipeline, folder)


def tiny_sana(folder: str | Path, *, seed: int = 0, scheduler: Any = None, **transformer: Any) -> Path:
    """``SanaPipeline``; call it with ``use_resolution_binning=False`` and ``complex_human_instruction=None``.

    Latents are 16x16 and images 32x32, the smallest that it takes.
    """
    import torch
    from diffusers import AutoencoderDC, FlowMatchEulerDiscreteScheduler, SanaPipeline, SanaTransformer2DModel
    from transformers import Gemma2Config, Gemma2Model

    usual = {
        "sample_size": 16,
        "patch_size": 1,
        "in_channels": 4,
        "out_channels": 4,
        "num_layers": 1,
        "num_attention_heads": 2,
        "attention_head_dim": 8,
        "num_cross_attention_heads": 2,
        "cross_attention_head_dim": 8,
        "cross_attention_dim": 16,
        "caption_channels": TEXT,
    }
    vae = {
        "latent_channels": 4,
        "attention_head_dim": 2,
        "encoder_block_types": ("ResBlock", "EfficientViTBlock"),
        "decoder_block_types": ("ResBlock", "EfficientViTBlock"),
        "encoder_block_out_channels": (8, 8),
        "decoder_block_out_channels": (8, 8),
        "encoder_qkv_multiscales": ((), (5,)),
        "decoder_qkv_multiscales": ((), (5,)),
        "encoder_layers_per_block": (1, 1),
        "decoder_layers_per_block": (1, 1),
        "downsample_block_type": "conv",
        "upsample_block_type": "interpolate",
        "scaling_factor": 0.41407,
    }
    gemma = Gemma2Config(
        vocab_size=len(SPECIAL) + len(LETTERS),
        hidden_size=TEXT,
        intermediate_size=16,
        head_dim=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        attn_implementation="eager",
    )
    torch.manual_seed(0)
    pipeline = SanaPipeline(
        tokenizer=_gemma_tokenizer(),
        text_encoder=Gemma2Model(gemma).eval(),
        vae=_drawn(AutoencoderDC, 0, vae),
        transformer=_drawn(SanaTransformer2DModel, seed, usual | transformer),
        scheduler=scheduler or FlowMatchEulerDiscreteScheduler(shift=3.0),
    )
    return _saved(pipeline, folder)


def tiny_wan(
    folder: str | Path, *, seed: int = 0, scheduler: Any = None, boundary_ratio: float = 0.5, **transformer: Any
) -> Path:
    """``WanPipeline`` of Wan 2.2: ``transformer`` down to ``boundary_ratio`` of the times, then ``transformer_2``."""
    from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, WanPipeline, WanTransformer3DModel

    usual = {
        "patch_size": (1, 2, 2),
        "num_attention_heads": 2,
        "attention_head_dim": 12,
        "in_channels": 16,
        "out_channels": 16,
        "text_dim": 2 * TEXT,
        "freq_dim": 32,
        "ffn_dim": 32,
        "num_layers": 1,
        "rope_max_seq_len": 32,
    }
    vae = {"base_dim": 3, "z_dim": 16, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1}
    pipeline = WanPipeline(
        tokenizer=_t5_tokenizer(),
        text_encoder=_umt5(2 * TEXT),
        vae=_drawn(AutoencoderKLWan, 0, vae),
        scheduler=scheduler or FlowMatchEulerDiscreteScheduler(shift=3.0),
        transformer=_drawn(WanTransformer3DModel, seed, usual | transformer),
        transformer_2=_drawn(WanTransformer3DModel, seed + 1000, usual | transformer),
        boundary_ratio=boundary_ratio,
    )
    return _saved(pipeline, folder)


def _saved(pipeline: Any, folder: str | Path) -> Path:
    pipeline.save_pretrained(folder)
    return Path(folder)


def _drawn(model: Any, seed: int, config: dict[str, Any]) -> Any:
    """A model of diffusers with the weights of a seed."""
    import torch

    torch.manual_seed(seed)
    return model(**config).eval()


def _unet2d(seed: int, config: dict[str, Any]) -> Any:
    from diffusers import UNet2DModel

    usual = {
        "sample_size": 8,
        "in_channels": 1,
        "out_channels": 1,
        "block_out_channels": (4, 8),
        "layers_per_block": 1,
        "down_block_types": ("DownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "UpBlock2D"),
        "norm_num_groups": 4,
        "add_attention": False,
    }
    return _drawn(UNet2DModel, seed, usual | config)


def _unet_condition(seed: int, config: dict[str, Any]) -> Any:
    from diffusers import UNet2DConditionModel

    usual = {
        "sample_size": 8,
        "in_channels": 4,
        "out_channels": 4,
        "block_out_channels": (4, 8),
        "layers_per_block": 1,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "cross_attention_dim": TEXT,
        "attention_head_dim": 2,
        "norm_num_groups": 2,
    }
    return _drawn(UNet2DConditionModel, seed, usual | config)


def _vae(**config: Any) -> Any:
    from diffusers import AutoencoderKL

    usual = {
        "block_out_channels": (4, 8),
        "in_channels": 3,
        "out_channels": 3,
        "down_block_types": ("DownEncoderBlock2D", "DownEncoderBlock2D"),
        "up_block_types": ("UpDecoderBlock2D", "UpDecoderBlock2D"),
        "latent_channels": 4,
        "norm_num_groups": 2,
        "sample_size": 16,
    }
    return _drawn(AutoencoderKL, 0, usual | config)


def _clip(name: str) -> Any:
    """A CLIP text encoder by its class."""
    import torch
    import transformers

    vocabulary = _clip_vocabulary()
    config = transformers.CLIPTextConfig(
        vocab_size=len(vocabulary),
        hidden_size=TEXT,
        intermediate_size=16,
        projection_dim=TEXT,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=77,
        bos_token_id=vocabulary["<|startoftext|>"],
        eos_token_id=vocabulary["<|endoftext|>"],
        pad_token_id=vocabulary["<|endoftext|>"],
    )
    torch.manual_seed(0)
    return getattr(transformers, name)(config).eval()


def _clip_vocabulary() -> dict[str, int]:
    return {token: at for at, token in enumerate([*SPECIAL, *LETTERS, *(f"{letter}</w>" for letter in LETTERS)])}


def _clip_tokenizer() -> Any:
    from transformers import CLIPTokenizer

    return CLIPTokenizer(vocab=_clip_vocabulary(), merges=[], model_max_length=77)


def _t5_config(width: int) -> dict[str, Any]:
    return {
        "vocab_size": len(SPECIAL) + len(LETTERS) + 1,
        "d_model": width,
        "d_kv": 8,
        "d_ff": 16,
        "num_layers": 1,
        "num_heads": 2,
        "pad_token_id": 0,
        "eos_token_id": 1,
    }


def _t5(width: int) -> Any:
    import torch
    from transformers import T5Config, T5EncoderModel

    torch.manual_seed(0)
    return T5EncoderModel(T5Config(**_t5_config(width))).eval()


def _umt5(width: int) -> Any:
    import torch
    from transformers import UMT5Config, UMT5EncoderModel

    torch.manual_seed(0)
    return UMT5EncoderModel(UMT5Config(**_t5_config(width))).eval()


def _t5_tokenizer() -> Any:
    from transformers import T5TokenizerFast

    vocabulary = [(token, 0.0) for token in SPECIAL] + [("▁", -2.0)] + [(letter, -3.0) for letter in LETTERS]
    return T5TokenizerFast(vocab=vocabulary, extra_ids=0, model_max_length=32)


def _gemma_tokenizer() -> Any:
    from transformers import GemmaTokenizer

    vocabulary = {token: at for at, token in enumerate([*SPECIAL, *LETTERS])}
    return GemmaTokenizer(vocab=vocabulary, merges=[], eos_token="</s>", model_max_length=32)
