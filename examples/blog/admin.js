// admin.js - brings the numbers of the admin's page up to date every other second, and draws them.
"use strict";

const SCALES = { bytes: [1024, ["B", "kB", "MB", "GB"]], ns: [1000, ["ns", "µs", "ms", "s"]] };

// As put_number in admin.c.
function format(value, unit) {
    if (typeof value !== "number") return value ?? "–";
    if (!(unit in SCALES)) return String(value);
    if (unit === "ns" && value === 0) return "–";
    const [base, names] = SCALES[unit];
    let step = 0;
    for (; value >= base && step < 3; step++) value /= base;
    return `${value.toFixed(step > 0 ? 1 : 0)} ${names[step]}`;
}

const memberAt = (object, path) => path.split(".").reduce((at, name) => at?.[name], object);

// Said to who cannot see it when it changes, and only then.
function say(state) {
    const element = document.getElementById("state");
    if (element.textContent !== state) element.textContent = state;
}

function showNumbers({ store, stats }) {
    say(store.state);
    for (const tile of document.querySelectorAll(".tiles dd"))
        tile.textContent = format(memberAt(stats, tile.dataset.path), tile.dataset.unit);

    const columns = [...document.querySelectorAll("#names thead th[data-path]")].map((head) => head.dataset);
    const rows = Object.entries(stats.names).map(([name, numbers]) => {
        const row = document.createElement("tr");
        row.append(Object.assign(document.createElement("th"), { textContent: name, scope: "row" }));
        for (const { path, unit } of columns)
            row.append(Object.assign(document.createElement("td"),
                { textContent: format(memberAt(numbers, path), unit) }));
        return row;
    });
    document.querySelector("#names tbody").replaceChildren(...rows);
}

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Chart.js draws the symbol of a dashed line without its dashes.
function withDashes(chart) {
    const labels = Chart.defaults.plugins.legend.labels.generateLabels(chart);
    return labels.map((label) => ({ ...label, lineDash: chart.data.datasets[label.datasetIndex].borderDash }));
}

function makeChart() {
    Chart.defaults.color = color("--soft");
    Chart.defaults.borderColor = color("--line");
    return new Chart(document.getElementById("chart"), {
        data: {
            labels: [],
            datasets: [
                { type: "line", label: "Hit rate", data: [], yAxisID: "yRate", pointStyle: "line",
                  borderColor: color("--ink"), backgroundColor: color("--ink"), borderWidth: 2,
                  borderDash: [5, 3], pointRadius: 1.5,
                  spanGaps: false, clip: 8 },    // else half of the line is cut off at 0 and at 100
                { type: "bar", label: "Hits", data: [], yAxisID: "y", pointStyle: "rect",
                  backgroundColor: color("--accent") },
                { type: "bar", label: "Misses", data: [], yAxisID: "y", pointStyle: "rect",
                  backgroundColor: color("--paper"),
                  borderColor: color("--miss"), borderWidth: 2 },
            ],
        },
        options: {
            animation: false,
            maintainAspectRatio: false,
            plugins: { legend: { labels: { usePointStyle: true, pointStyleWidth: 34, generateLabels: withDashes } } },
            scales: {
                x: { stacked: true, ticks: { maxTicksLimit: 6, maxRotation: 0 }, grid: { display: false } },
                y: { stacked: true, beginAtZero: true, ticks: { precision: 0 },
                     title: { display: true, text: "Reads in 2 s" } },
                yRate: { position: "right", min: 0, max: 100, grid: { display: false },
                         title: { display: true, text: "Hit rate in %" } },
            },
        },
    });
}

const minutes = (seconds) => `-${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;

function draw(chart, { seconds_ago: ago, hits, misses }) {
    chart.data.labels = ago.map((seconds) => (seconds === 0 ? "now" : minutes(seconds)));
    const [rate, hitBars, missBars] = chart.data.datasets;
    hitBars.data = hits;
    missBars.data = misses;
    rate.data = rates(hits, misses);
    chart.update();
}

// A moment without reads has no rate: the line breaks there.
const rates = (hits, misses) => hits.map((n, i) => (n + misses[i] > 0 ? (100 * n) / (n + misses[i]) : null));

// The table behind the chart, the latest first: what cannot be seen can be read.
function tabulate({ seconds_ago: ago, hits, misses }) {
    const cell = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });
    const rate = rates(hits, misses);
    const rows = ago.map((seconds, i) => {
        const row = document.createElement("tr");
        row.append(Object.assign(cell("th", seconds === 0 ? "now" : `${minutes(seconds)} min`), { scope: "row" }),
            cell("td", hits[i]), cell("td", misses[i]),
            cell("td", rate[i] === null ? "no reads" : `${rate[i].toFixed(1)}%`));
        return row;
    });
    document.querySelector("#history tbody").replaceChildren(...rows.reverse());
}

async function refresh(chart) {
    try {
        const response = await fetch("/admin/numbers");
        if (!response.ok) throw new Error(`status ${response.status}`);
        const numbers = await response.json();
        showNumbers(numbers);
        if (chart) draw(chart, numbers.history);
        if (document.querySelector("details").open) tabulate(numbers.history);
    } catch (error) {
        say(`the blog does not answer (${error.message})`);
    }
    setTimeout(refresh, 2000, chart);
}

document.querySelector("details").addEventListener("toggle", async () =>
    tabulate((await (await fetch("/admin/numbers")).json()).history));
refresh(typeof Chart === "function" ? makeChart() : null);
