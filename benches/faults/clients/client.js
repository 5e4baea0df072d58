// A program with the Node client etcd3, as the fault table measures it.
//
//   NODE_PATH=DIRECTORY/node_modules node client.js HOST:PORT,...
//
// Puts a key every 50 ms and watches another one, with the client's defaults. Each completed call
// and each event is a line, as those of client.py.
"use strict";

const { Etcd3 } = require("etcd3");

const PAUSE = 50; // milliseconds, between calls and before another try

function say(call, result) {
    process.stdout.write(`${call} ${result} ${(Date.now() / 1000).toFixed(3)}\n`);
}

function pause() {
    return new Promise((resolve) => setTimeout(resolve, PAUSE));
}

async function put(client) {
    for (;;) {
        try {
            await client.put("faults/put").value("value");
            say("put", "ok");
        } catch (error) {
            say("put", "failed");
        }
        await pause();
    }
}

// The client itself goes on with a watch that was cut.
async function watch(client) {
    for (;;) {
        try {
            const watcher = await client.watch().key("faults/feed").create();
            watcher.on("put", () => say("watch", "ok"));
            watcher.on("error", () => say("watch", "failed"));
            return;
        } catch (error) {
            say("watch", "failed");
        }
        await pause();
    }
}

const client = new Etcd3({ hosts: process.argv[2].split(",") });
watch(client);
put(client);
