#!/usr/bin/env python3
"""Measure requests per second of the blog, of libmicrohttpd with a constant, and of the same blog in Flask.

    scripts/bench-http [SECONDS [ROUNDS]]

All three run at the same time and get requests in turn, page by page and round by round, so that a noisy machine
disturbs each of them. The output has the medians, and the median of the ratios of the rounds.
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
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
PAGES = ["/", "/post/1", "/cache-stats"]
SECONDS = int(sys.argv[1]) if len(sys.argv) > 1 else 2
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
THREADS, CONNECTIONS = 2, 64


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A program on a port of its own, stopped by its pid."""

    def __init__(self, port, *command, **environment):
        self.port = port
        self.process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL,
                                        env={**os.environ, **environment}, cwd=ROOT / "bench" / "http")
        for _ in range(1000):
            if self.process.poll() is not None:
                sys.exit(f"{command[0]} ended with status {self.process.returncode}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.02)
        sys.exit(f"{command[0]} does not answer on port {port}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def url(self, page):
        return f"http://127.0.0.1:{self.port}{page}"


def answer_of(url):
    """The answer as it comes over the wire from a warm cache."""
    urllib.request.urlopen(url).read()
    with urllib.request.urlopen(url) as response:
        headers = "".join(f"{name}: {value}\r\n" for name, value in response.headers.items())
        return f"HTTP/1.1 {response.status} OK\r\n{headers}\r\n".encode() + response.read()


def measure(url):
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", url]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if re.search(r"Non-2xx|Socket errors: connect", out):
        sys.exit(f"{url}:\n{out}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])


def start_all(directory, servers):
    db = directory / "blog.db"
    servers["blog"] = Server(port := free_port(), BUILD / "examples/blog/blog", "--port", port, "--db", db,
                             "--threads", THREADS)
    servers["Flask"] = Server(port := free_port(), "gunicorn", "--workers", 2, "--bind", f"127.0.0.1:{port}",
                              "--log-level", "error", "flask_blog:app", BLOG_DB=str(db), PYTHONDONTWRITEBYTECODE="1")
    for i, page in enumerate(PAGES):
        file = directory / f"answer{i}"
        file.write_bytes(answer_of(servers["blog"].url(page)))
        servers[f"constant {page}"] = Server(port := free_port(), BUILD / "bench/http/constant", port, THREADS, file)


def main():
    servers = {}
    print("| page | blog, requests/s | constant | blog / constant | Flask | blog / Flask |\n"
          "| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as directory:
        try:
            start_all(pathlib.Path(directory), servers)
            for page in PAGES:
                three = [servers["blog"], servers[f"constant {page}"], servers["Flask"]]
                rounds = [[measure(server.url(page)) for server in three] for _ in range(ROUNDS)]
                blog, constant, flask = (statistics.median(column) for column in zip(*rounds))
                print(f"| `{page}` | {blog:.0f} | {constant:.0f} "
                      f"| {statistics.median(r[0] / r[1] for r in rounds):.2f} | {flask:.0f} "
                      f"| {statistics.median(r[0] / r[2] for r in rounds):.1f} |", flush=True)
        finally:
            for server in servers.values():
                server.stop()


main()
