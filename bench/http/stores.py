#!/usr/bin/env python3
"""Measure what a page of the blog costs on three stores: memory, Redis with a front, Redis alone.

    bench/http/stores.py [SECONDS [ROUNDS]]

Three blogs and a Redis run at the same time and get requests in turn. The output has the processor time of the blog for
a request in microseconds, and the median of the ratios of the rounds. Unlike requests per second, it hardly depends on
what else runs on the machine.
"""
import os
import pathlib
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

BLOG = pathlib.Path(__file__).resolve().parents[2] / "build/examples/blog/blog"
SECONDS = int(sys.argv[1]) if len(sys.argv) > 1 else 2
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 5


def start(*words):
    return subprocess.Popen([str(word) for word in words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def start_blog(directory, name, store):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = start(BLOG, "--port", port, "--db", directory / f"{name}.db", "--threads", 2, "--cache", store)
    for _ in range(1000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process, port
        time.sleep(0.02)
    sys.exit(f"{name}: the blog does not start")


def processor_us(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1e6 / os.sysconf("SC_CLK_TCK")


def cost_us(blog, page):
    process, port = blog
    before = processor_us(process)
    out = subprocess.run(["wrk", "-t1", "-c16", f"-d{SECONDS}s", f"http://127.0.0.1:{port}{page}"], check=True,
                         capture_output=True, text=True).stdout
    if "Non-2xx" in out:
        sys.exit(out)
    return (processor_us(process) - before) / int(re.search(r"(\d+) requests in", out)[1])


def main():
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        path = directory / "redis.sock"
        processes = [start("redis-server", "--port", 0, "--unixsocket", path, "--save", "", "--dir", directory)]
        try:
            blogs = [start_blog(directory, "memory", "memory://?max_bytes=64mb"),
                     start_blog(directory, "front", f"redis+unix://{path}?prefix=f:&front=64mb"),
                     start_blog(directory, "redis", f"redis+unix://{path}?prefix=r:")]
            processes += [process for process, _ in blogs]
            print("| page | memory | Redis, front | Redis | front / memory | Redis / memory |\n"
                  "| --- | --- | --- | --- | --- | --- |")
            for page in ("/", "/post/1"):
                for blog in blogs:
                    cost_us(blog, page)
                rounds = [[cost_us(blog, page) for blog in blogs] for _ in range(ROUNDS)]
                medians = [statistics.median(column) for column in zip(*rounds)]
                ratios = [statistics.median(costs[i] / costs[0] for costs in rounds) for i in (1, 2)]
                print(f"| `{page}` | {medians[0]:.1f} | {medians[1]:.1f} | {medians[2]:.1f} | {ratios[0]:.2f} "
                      f"| {ratios[1]:.2f} |", flush=True)
        finally:
            for process in processes:
                process.send_signal(signal.SIGTERM)
                process.wait()


main()
