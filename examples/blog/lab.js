// lab.js - runs an experiment without leaving the page, and draws a line for each reader.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const ROW = 2, LEFT = 8, WIDTH = 1000;
const KINDS = {
    computed: "computed it",
    shared: "waited for another's computation",
    hit: "hit",
    stale: "got the old value at once",
    error: "got an error",
};

const says = document.getElementById("lab-says");
const picture = document.getElementById("lab-picture");

function draw(name, attributes, parent, text) {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
}

function ticks(svg, end, height, x) {
    const step = [10, 50, 100, 250, 500, 1000, 2000].find((candidate) => end / candidate <= 8) ?? 5000;
    for (let ms = 0; ms <= end; ms += step) {
        draw("line", { x1: x(ms), x2: x(ms), y1: 0, y2: height, class: "grid" }, svg);
        if (x(ms) > WIDTH - 60) continue;
        draw("text", { x: x(ms) + 3, y: height + 16 }, svg, ms < 1000 ? `${ms} ms` : `${ms / 1000} s`);
    }
}

function show({ title, readings, computations, forgotten_at: forgottenAt }) {
    const first = Math.min(...readings.map(({ begun }) => begun));
    const end = Math.max(...readings.map(({ ended }) => ended)) - first;
    const x = (ms) => LEFT + (ms / Math.max(end, 1)) * (WIDTH - 2 * LEFT);
    const height = readings.length * ROW;
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${height + 24}`);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-labelledby", "lab-says");
    ticks(svg, end, height, x);
    readings.forEach(({ begun, ended, source }, i) => draw("rect", {
        x: x(begun - first), y: i * ROW, height: ROW - 0.3, class: source,
        width: Math.max(x(ended - first) - x(begun - first), 5),
    }, svg));
    if (forgottenAt > 0) {
        draw("line", { x1: x(forgottenAt - first), x2: x(forgottenAt - first), y1: 0, y2: height, class: "mark" }, svg);
        draw("text", { x: x(forgottenAt - first) + 4, y: 14 }, svg, "invalidated");
    }
    picture.replaceChildren(legend(readings), svg);
    picture.hidden = false;
    says.textContent = summary(title, readings, computations, forgottenAt);
}

function counts(readings) {
    const n = {};
    for (const { source } of readings) n[source] = (n[source] ?? 0) + 1;
    return Object.keys(KINDS).filter((kind) => n[kind]).map((kind) => [kind, n[kind]]);
}

function legend(readings) {
    const list = document.createElement("ul");
    list.className = "legend";
    for (const [kind, n] of counts(readings)) {
        const item = document.createElement("li");
        item.className = kind;
        item.textContent = `${n} ${KINDS[kind]}`;
        list.append(item);
    }
    return list;
}

function summary(title, readings, computations, forgottenAt) {
    const waits = readings.map(({ begun, ended }) => ended - begun).sort((a, b) => a - b);
    const ms = (at) => {
        const wait = waits[Math.min(Math.floor(at * waits.length), waits.length - 1)];
        return `${wait < 0.1 ? "0.1" : wait.toFixed(1)} ms`;
    };
    const parts = counts(readings).map(([kind, n]) => `${n} ${KINDS[kind]}`);
    const old = readings.filter(({ begun, version }) => forgottenAt > 0 && begun > forgottenAt && version === 1).length;
    const afterwards = forgottenAt > 0
        ? ` Of those who asked after the invalidation ${old || "none"} got the old value.` : "";
    return `${title}: the database was asked ${computations === 1 ? "once" : `${computations} times`}. Of ` +
        `${readings.length} readers ${parts.join(", ")}. Half were answered within ${ms(0.5)}, all within ${ms(1)}.` +
        afterwards;
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function wait() {
    for (;;) {
        const response = await fetch("/lab/result");
        if (!response.ok) throw new Error(`status ${response.status}`);
        const result = await response.json();
        if (result.state === "done") return show(result);
        if (result.state === "none") return undefined;
        says.textContent = `${result.title}: it is running.`;
        await pause(200);
    }
}

async function run(form) {
    const buttons = [...document.querySelectorAll(".lab button")];
    for (const button of buttons) button.disabled = true;
    picture.hidden = true;
    try {
        const response = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
        if (response.status === 409) throw new Error("another one is running");
        if (!response.ok) throw new Error(`status ${response.status}`);
        await wait();
        says.scrollIntoView({ block: "nearest" });
    } catch (error) {
        says.textContent = `The experiment failed: ${error.message}.`;
    }
    for (const button of buttons) button.disabled = false;
}

for (const form of document.querySelectorAll(".lab form"))
    form.addEventListener("submit", (event) => {
        event.preventDefault();
        run(form);
    });
wait();
