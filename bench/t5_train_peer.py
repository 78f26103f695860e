#!/usr/bin/env python3
"""The peer of bench_t5_train: a training step of the same T5 in PyTorch and transformers, as one JSON line.

    python bench/t5_train_peer.py tiny|mini|small [--threads N] [--batch N] [--context N] [--steps N] [--dropout P]
                                [--bf16]
"""
import argparse
import json
import statistics
import time

import torch
from transformers import T5Config, T5ForConditionalGeneration

SIZES = {"tiny": (256, 1024, 4, 4), "mini": (384, 1536, 8, 4), "small": (512, 2048, 8, 6)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", choices=SIZES)
    for name, default in (("threads", 2), ("batch", 32), ("context", 512), ("steps", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--bf16", action="store_true", help="products in bf16 (autocast)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    d_model, d_ff, heads, layers = SIZES[args.model]
    model = T5ForConditionalGeneration(T5Config(
        vocab_size=4096, d_model=d_model, d_kv=64, d_ff=d_ff, num_layers=layers, num_heads=heads,
        dropout_rate=args.dropout, feed_forward_proj="relu", initializer_factor=0.05,
        decoder_start_token_id=0)).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0, fused=True)
    ids = torch.randint(3, 4096, (args.batch, args.context + 1))
    labels = torch.randint(3, 4096, (args.batch, 65))
    mask = torch.ones_like(ids)
    seconds, cpu = [], []
    for _ in range(args.steps + 1):
        start, start_cpu = time.perf_counter(), time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_cpu)
    print(json.dumps({"model": args.model, "threads": args.threads, "batch": args.batch, "dropout": args.dropout,
                      "bf16": args.bf16, "ms": round(1e3 * statistics.median(seconds[1:]), 1),
                      "cpu_ms": round(1e3 * statistics.median(cpu[1:]), 1), "loss": round(loss.item(), 4)}))


main()
