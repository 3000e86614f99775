"""How near hosted answering comes to the ideal: 500 items, 50 in flight, a service that takes 200 ms for each.

The ideal is ceil(items / in flight) x latency. The service is a process of its own that waits and answers, so that what is
measured is our side: the openai client, pacing, ledger, and a caller that stores each answer with fsync.

    python benchmarks/hosted_answering.py [--items 500] [--flight 50] [--latency 0.2] [--repeat 3]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

import msgspec

from ftlib.files import AppendLog
from ftlib.formatting.task import Task
from ftlib.profile import Contestant, Profile
from ftlib.runs import Run
from ftlib.training.hosted.trainer import HostedTrainer

ANSWER = json.dumps({
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "A mug for every home. " * 20}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 40, "completion_tokens": 100, "total_tokens": 140},
}).encode()  # fmt: skip
REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(ANSWER), ANSWER)


async def serve(latency: float) -> None:
    """Answer every request after ``latency`` seconds; the first line printed is the port."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                length = int(head.partition("content-length:")[2].partition("\r\n")[0] or 0)
                await reader.readexactly(length)
                await asyncio.sleep(latency)
                writer.write(REPLY)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


def measure(port: int, items: int, flight: int, folder: Path, paid: bool) -> tuple[float, float]:
    """Seconds from the first call to the last stored answer, and processor seconds of this process meanwhile."""
    prices = folder / "prices.yaml"
    units = ("input_token", "output_token")
    prices.write_text("".join(f"- {{provider: p, model: m, unit: {u}, usd: 1, per: 1000000, date: 2026-11-01, source: x}}\n" for u in units))
    provider = {"base_url": f"http://127.0.0.1:{port}/v1", "key_env": ["BENCH_KEY"], "free": not paid}
    fields = {"name": "h", "trainer": "hosted", "provider": "p", "existing": "m", "concurrency": flight}
    contestant = msgspec.convert(fields, Contestant)
    profile = Profile(name="bench", contestants=[contestant], providers={"p": provider}, prices=str(prices), budget_usd=100.0)
    run = Run.create(folder / "run", profile)
    task = Task(name="describe", instruction="Describe it.")
    prompts = [task.prompt({"id": str(i), "title": f"Blue ceramic mug number {i}", "content": ""}) for i in range(items)]
    trainer = HostedTrainer(run, contestant, key="bench-key-1234")
    trainer.link()
    with AppendLog(folder / "answers.jsonl") as store:
        started, worked = time.perf_counter(), time.process_time()
        count = 0
        for position, answer in trainer.ask(prompts, tuned=True):
            store.append({"id": position, "answer": answer.text, "usd": answer.usd})
            count += 1
        seconds, busy = time.perf_counter() - started, time.process_time() - worked
    trainer.close()
    if count != items:
        raise SystemExit(f"{count} of {items} answers came")
    return seconds, busy


def main() -> None:
    """Measure and print one JSON line a setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=500)
    parser.add_argument("--flight", type=int, default=50)
    parser.add_argument("--latency", type=float, default=0.2)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--serve", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve is not None:
        asyncio.run(serve(args.serve))
        return
    service = subprocess.Popen([sys.executable, __file__, "--serve", str(args.latency)], stdout=subprocess.PIPE, text=True)
    assert service.stdout is not None
    port = int(service.stdout.readline())
    ideal = math.ceil(args.items / args.flight) * args.latency
    try:
        for paid in (False, True):
            taken = []
            for _ in range(args.repeat):
                with tempfile.TemporaryDirectory() as folder:
                    taken.append(measure(port, args.items, args.flight, Path(folder), paid))
            times = [seconds for seconds, _ in taken]
            best, middle = min(times), sorted(times)[len(times) // 2]
            print(json.dumps({
                "processor_s": [round(busy, 3) for _, busy in taken], "load": os.getloadavg()[0],
                "what": "500 answers" if args.items == 500 else f"{args.items} answers", "ledger": paid, "in_flight": args.flight,
                "latency_s": args.latency, "ideal_s": ideal, "seconds": [round(t, 3) for t in times], "median_over_ideal": round(middle / ideal, 3),
                "best_over_ideal": round(best / ideal, 3), "openai": metadata.version("openai"), "python": platform.python_version(),
                "cores": os.cpu_count(),
            }))  # fmt: skip
    finally:
        service.kill()
        service.wait()


if __name__ == "__main__":
    main()
