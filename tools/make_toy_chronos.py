#!/usr/bin/env python3
"""Makes the toy checkpoints tests/data/toy-chronos-{t5,bolt,gpt2} and what chronos-forecasting computes with them.

    python tools/make_toy_chronos.py tests/data

Needs torch, transformers and chronos-forecasting (written with 2.13.0, 5.23.0 and 2.3.2). Weights are random but large
enough for outputs that tell one mistake from another: they are no forecasts. Files are saved as these packages save them.
"""
import json
import sys
from pathlib import Path

import numpy as np
import torch
from chronos import BaseChronosPipeline
from chronos.chronos_bolt import ChronosBoltModelForForecasting
from transformers import GPT2Config, GPT2LMHeadModel, T5Config, T5ForConditionalGeneration

LENGTHS = (1, 2, 15, 16, 17, 40, 63, 64, 65, 150)


def contexts(context_length):
    """Series of many lengths: smooth, noisy, with gaps, constant, zero, all missing."""
    rng = np.random.default_rng(7)
    for n in LENGTHS:
        t = np.arange(n)
        yield f"length_{n}", 20 + 3 * np.sin(t / 3.0) + 0.1 * t + rng.normal(size=n)
    x = 5 * rng.normal(size=50)
    x[[0, 1, 7, 8, 9, 20, 49]] = np.nan
    yield "gaps", x
    x = 100 + rng.normal(size=60)
    x[16:48] = np.nan
    yield "long_gap", x
    yield "constant", np.full(33, 2.5)
    yield "zeros", np.zeros(20)
    yield "nothing", np.full(10, np.nan)
    yield "small", 1e-6 * rng.normal(size=30)
    yield "beyond_the_context", 10 * rng.normal(size=context_length + 37)


def listed(x):
    """Numbers with eight digits, NaN as null."""
    return [None if np.isnan(v) else float(f"{v:.8g}") for v in np.asarray(x, dtype=np.float64).ravel()]


def randomise(model, gain):
    """Weights that move the outputs: upstream's small initial ones leave them nearly constant."""
    torch.manual_seed(11)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            if "norm" in name:
                p.copy_(1 + 0.3 * torch.randn_like(p))
            elif "relative_attention_bias" in name or "shared" in name:
                p.copy_(torch.randn_like(p))
            elif p.ndim == 1:
                p.copy_(0.3 * torch.randn_like(p))
            else:
                p.copy_(gain * torch.randn_like(p) / p.shape[1] ** 0.5)


def make_t5(directory):
    config = T5Config(vocab_size=64, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_decoder_layers=2, num_heads=3,
                      decoder_start_token_id=0, relative_attention_num_buckets=8, relative_attention_max_distance=20)
    config.chronos_config = dict(
        tokenizer_class="MeanScaleUniformBins", tokenizer_kwargs=dict(low_limit=-4.0, high_limit=4.0), n_tokens=64,
        n_special_tokens=2, pad_token_id=0, eos_token_id=1, use_eos_token=True, model_type="seq2seq",
        context_length=64, prediction_length=12, num_samples=20, temperature=1.0, top_k=50, top_p=1.0)
    model = T5ForConditionalGeneration(config).eval()
    randomise(model, 1.0)
    with torch.no_grad():
        model.shared.weight.mul_(2.0)
    model.save_pretrained(directory)
    pipeline = BaseChronosPipeline.from_pretrained(directory, dtype=torch.float32)
    inner, tokenizer = pipeline.model.model.eval(), pipeline.tokenizer
    cases = []
    for i, (name, x) in enumerate(contexts(64)):
        horizon = (12, 5, 1, 30)[i % 4]
        context = torch.tensor(x, dtype=torch.float32)[None]
        ids, mask, scale = tokenizer.context_input_transform(context)
        start = torch.tensor([[0, 33, 63]])
        with torch.no_grad():
            encoded = inner.encoder(input_ids=ids, attention_mask=mask).last_hidden_state[0]
            logits = inner(input_ids=ids, attention_mask=mask, decoder_input_ids=start).logits[0]
        greedy = pipeline.predict(context, prediction_length=horizon, num_samples=2, top_k=1)[0]
        assert torch.equal(greedy[0], greedy[1])
        cases.append(dict(name=name, context=listed(x), scale=float(scale), token_ids=ids[0].tolist(),
                          mask=[int(m) for m in mask[0]], encoder_first_row=listed(encoded[0]),
                          encoder_last_row=listed(encoded[-1]), decoder_input=start[0].tolist(),
                          logits=[listed(row) for row in logits], greedy_values=listed(greedy[0])))
    write(directory, cases)


def make_bolt(directory):
    config = T5Config(vocab_size=2, d_model=16, d_kv=8, d_ff=20, num_layers=2, num_decoder_layers=2, num_heads=3,
                      decoder_start_token_id=0, relative_attention_num_buckets=8, relative_attention_max_distance=20)
    config.architectures = ["ChronosBoltModelForForecasting"]
    config.chronos_pipeline_class = "ChronosBoltPipeline"
    config.chronos_config = dict(context_length=64, prediction_length=12, input_patch_size=8, input_patch_stride=8,
                                 quantiles=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9], use_reg_token=True)
    model = ChronosBoltModelForForecasting(config).eval()
    randomise(model, 0.7)
    model.to(torch.bfloat16).save_pretrained(directory)
    pipeline = BaseChronosPipeline.from_pretrained(directory, dtype=torch.float32)
    cases = []
    for i, (name, x) in enumerate(contexts(64)):
        horizon = (12, 5, 13, 40)[i % 4]
        context = torch.tensor(x, dtype=torch.float32)[None]
        quantiles = pipeline.predict(context, prediction_length=horizon)[0]
        encoded, (loc, scale) = pipeline.embed(context)
        cases.append(dict(name=name, horizon=horizon, context=listed(x), loc=float(loc), scale=float(scale),
                          n_tokens=encoded.shape[1], embed_last_row=listed(encoded[0, -1]),
                          quantiles=[listed(row) for row in quantiles]))
    write(directory, cases)


def make_gpt2(directory):
    config = GPT2Config(vocab_size=32, n_positions=48, n_embd=16, n_layer=2, n_head=2, n_inner=20, bos_token_id=None,
                        eos_token_id=1)
    config.chronos_config = dict(
        tokenizer_class="MeanScaleUniformBins", tokenizer_kwargs=dict(low_limit=-4.0, high_limit=3.7), n_tokens=32,
        n_special_tokens=2, pad_token_id=0, eos_token_id=1, use_eos_token=True, model_type="causal",
        context_length=40, prediction_length=9, num_samples=20, temperature=1.0, top_k=50, top_p=1.0)
    model = GPT2LMHeadModel(config).eval()
    torch.manual_seed(12)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            noise = torch.randn_like(p)
            if ".ln_" in name:
                p.copy_(("weight" in name) + 0.3 * noise)
            elif p.ndim == 1:
                p.copy_(0.3 * noise)
            else:  # [in, out], but for the tables
                p.copy_(noise * (0.7 if "wte" in name else 2 if "wpe" in name else 2 / p.shape[0] ** 0.5))
    model.save_pretrained(directory)
    pipeline = BaseChronosPipeline.from_pretrained(directory, dtype=torch.float32)
    inner, tokenizer = pipeline.model.model.eval(), pipeline.tokenizer
    cases = []
    for i, (name, x) in enumerate(contexts(40)):
        horizon = (9, 5, 23, 1)[i % 4]
        context = torch.tensor(x, dtype=torch.float32)[None]
        ids, mask, scale = tokenizer.context_input_transform(context)
        generated = inner.generate(input_ids=ids, attention_mask=mask, do_sample=False, max_new_tokens=3,
                                   min_new_tokens=3, pad_token_id=0, eos_token_id=1, output_logits=True,
                                   return_dict_in_generate=True)
        greedy = pipeline.predict(context, prediction_length=horizon, num_samples=2, top_k=1)[0]
        assert torch.equal(greedy[0], greedy[1])
        cases.append(dict(name=name, context=listed(x), scale=float(scale), token_ids=ids[0].tolist(),
                          mask=[int(m) for m in mask[0]], drawn=generated.sequences[0, -3:].tolist(),
                          logits=[listed(row[0]) for row in generated.logits], greedy_values=listed(greedy[0])))
    write(directory, cases)


SETTINGS = (dict(), dict(temperature=0.7, top_k=10, top_p=0.8))


def make_samples(directory, n=4000):
    """What paths of upstream are like: how often each value comes at each step, and some sums of whole paths."""
    pipeline = BaseChronosPipeline.from_pretrained(directory, dtype=torch.float32)
    x = 20 + 3 * np.sin(np.arange(30) / 3.0) + np.random.default_rng(5).normal(size=30)
    horizon = pipeline.model.config.prediction_length
    torch.manual_seed(5)
    cases = []
    for settings in SETTINGS:
        paths = pipeline.predict(torch.tensor(x, dtype=torch.float32)[None], prediction_length=horizon, num_samples=n,
                                 **settings)[0].numpy()
        values = np.unique(paths)
        cases.append(dict(context=listed(x), horizon=horizon, **settings, values=listed(values),
                          counts=[int(np.sum(step == v)) for step in paths.T for v in values],
                          sums=listed(np.sort(paths.sum(1)[:1000]))))
    write(directory, cases, "samples.json")


def write(directory, cases, name="expected.json"):
    with open(directory / name, "w") as file:
        file.write('{"cases": [\n' + ",\n".join(json.dumps(c) for c in cases) + "\n]}\n")


if __name__ == "__main__":
    out = Path(sys.argv[1])
    make_t5(out / "toy-chronos-t5")
    make_bolt(out / "toy-chronos-bolt")
    make_gpt2(out / "toy-chronos-gpt2")
    for family in ("t5", "gpt2"):
        make_samples(out / f"toy-chronos-{family}")
