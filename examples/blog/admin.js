// admin.js - brings the numbers of the admin's page up to date every other second, and draws them.
"use strict";

const SCALES = { bytes: [1024, ["B", "kB", "MB", "GB"]], ns: [1000, ["ns", "µs", "ms", "s"]] };

// As put_number in admin.c.
function format(value, unit) {
    if (typeof value !== "number") return value ?? "";
    if (!(unit in SCALES)) return String(value);
    if (unit === "ns" && value === 0) return "–";
    const [base, names] = SCALES[unit];
    let step = 0;
    for (; value >= base && step < 3; step++) value /= base;
    return `${value.toFixed(step > 0 ? 1 : 0)} ${names[step]}`;
}

const memberAt = (object, path) => path.split(".").reduce((at, name) => at?.[name], object);

function showNumbers({ store, stats }) {
    document.getElementById("state").textContent = store.state;
    for (const tile of document.querySelectorAll(".tiles dd"))
        tile.textContent = format(memberAt(stats, tile.dataset.path), tile.dataset.unit);

    const columns = [...document.querySelectorAll("#names thead th[data-path]")].map((head) => head.dataset);
    const rows = Object.entries(stats.names).map(([name, numbers]) => {
        const row = document.createElement("tr");
        row.append(Object.assign(document.createElement("th"), { textContent: name }));
        for (const { path, unit } of columns)
            row.append(Object.assign(document.createElement("td"),
                { textContent: format(memberAt(numbers, path), unit) }));
        return row;
    });
    document.querySelector("#names tbody").replaceChildren(...rows);
}

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function makeChart() {
    Chart.defaults.color = color("--soft");
    Chart.defaults.borderColor = color("--line");
    return new Chart(document.getElementById("chart"), {
        data: {
            labels: [],
            datasets: [
                { type: "line", label: "Hit rate", data: [], yAxisID: "yRate", borderColor: color("--ink"),
                  borderWidth: 2, pointRadius: 0, spanGaps: true },
                { type: "bar", label: "Hits", data: [], yAxisID: "y", backgroundColor: color("--accent") },
                { type: "bar", label: "Misses", data: [], yAxisID: "y", backgroundColor: color("--danger") },
            ],
        },
        options: {
            animation: false,
            maintainAspectRatio: false,
            scales: {
                x: { stacked: true, ticks: { maxTicksLimit: 6 }, grid: { display: false } },
                y: { stacked: true, beginAtZero: true, ticks: { precision: 0 },
                     title: { display: true, text: "reads in 2 s" } },
                yRate: { position: "right", min: 0, max: 100, grid: { display: false },
                         title: { display: true, text: "%" } },
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
    rate.data = hits.map((n, i) => (n + misses[i] > 0 ? (100 * n) / (n + misses[i]) : null));
    chart.update();
}

async function refresh(chart) {
    try {
        const response = await fetch("/admin/numbers");
        if (!response.ok) throw new Error(`status ${response.status}`);
        const numbers = await response.json();
        showNumbers(numbers);
        if (chart) draw(chart, numbers.history);
    } catch (error) {
        document.getElementById("state").textContent = `the blog does not answer (${error.message})`;
    }
    setTimeout(refresh, 2000, chart);
}

refresh(typeof Chart === "function" ? makeChart() : null);
