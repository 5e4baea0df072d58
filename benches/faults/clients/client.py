"""A program with the Python client etcd3, as the fault table measures it.

    PYTHONPATH=DIRECTORY python3 client.py HOST:PORT,...

Puts a key every 50 ms and watches another one, with the client's defaults, over one connection.
Each completed call and each event is a line: `put ok SECONDS`, `watch ok SECONDS`, or `failed` in
the place of `ok`, with the seconds since the epoch.
"""

import sys
import threading
import time

import etcd3

PAUSE = 0.05  # seconds, between calls and before another try


def say(call, result):
    sys.stdout.write(f"{call} {result} {time.time():.3f}\n")
    sys.stdout.flush()


def client_of(addresses):
    """With several addresses gRPC connects to the first that lets it, in their order."""
    if len(addresses) == 1:
        host, port = addresses[0].rsplit(":", 1)
        return etcd3.client(host=host, port=int(port))
    host, port = ("ipv4:" + ",".join(addresses)).rsplit(":", 1)
    return etcd3.client(host=host, port=int(port))


def watch(client):
    while True:
        try:
            events, _ = client.watch("faults/feed")
            for _ in events:
                say("watch", "ok")
        except Exception:
            say("watch", "failed")
        time.sleep(PAUSE)


def main():
    client = client_of(sys.argv[1].split(","))
    threading.Thread(target=watch, args=(client,), daemon=True).start()
    while True:
        try:
            client.put("faults/put", "value")
            say("put", "ok")
        except Exception:
            say("put", "failed")
        time.sleep(PAUSE)


main()
