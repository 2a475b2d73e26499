// site.js - what a cached page cannot know, since it is the same for everybody: who is logged in, what was just done,
// and what the cache did for this very request. Every page works without it.
"use strict";

const TOLD = {
    published: "Your post is published.",
    edited: "Your changes are saved.",
    deleted: "The post is deleted.",
    cleared: "The cache is cleared.",
    forgotten: "What stood under this tag is forgotten.",
    "logged-in": "You are logged in.",
    "logged-out": "You are logged out.",
};

const readCookie = (name) =>
    document.cookie.split("; ").find((cookie) => cookie.startsWith(`${name}=`))?.slice(name.length + 1);

const make = (tag, properties, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
};

function tellWhatWasDone() {
    const text = TOLD[readCookie("said")];
    document.cookie = "said=; Path=/; Max-Age=0; SameSite=Lax";
    if (text) document.getElementById("said").textContent = text;
}

function showWhoIsLoggedIn() {
    const name = readCookie("name");
    if (!name) return;
    const link = make("a", { href: "/dashboard", textContent: decodeURIComponent(name) });
    document.getElementById("account").replaceChildren(
        make("span", { className: "who" }, make("span", { className: "long" }, "Logged in as "), link),
        make("form", { method: "post", action: "/logout" }, make("button", { className: "quiet small" }, "Log out")));
}

const milliseconds = (number) =>
    number < 0.05 ? "less than 0.1 ms" : `${number < 10 ? number.toFixed(1) : Math.round(number)} ms`;

// The server tells in Server-Timing: cache (HIT, MISS, STALE or BYPASS), age in seconds, and made: how long it took.
function showWhatTheCacheDid() {
    const [navigation] = performance.getEntriesByType("navigation");
    const told = Object.fromEntries((navigation?.serverTiming ?? []).map((entry) => [entry.name, entry]));
    const verdict = told.cache?.description;
    if (!verdict) return;
    const made = told.made ? milliseconds(told.made.duration) : "an unknown time";
    const age = Number(told.age?.description ?? 0);
    const waited = milliseconds(Math.max(navigation.responseStart - navigation.requestStart, 0));
    const texts = {
        HIT: `is from the cache and ${age} s old. Making it took ${made}, which you were spared.`,
        STALE: `is from the cache, ${age} s old and past its time. A new one is being made.`,
        MISS: `was made for you in ${made}, and is kept for those who come next.`,
        BYPASS: `was made for this request in ${made}, and is not kept.`,
    };
    document.getElementById("bar").replaceChildren(
        make("strong", { className: `verdict ${verdict.toLowerCase()}` }, verdict),
        ` This page ${texts[verdict] ?? ""} The answer came after ${waited}.`);
}

tellWhatWasDone();
showWhoIsLoggedIn();
addEventListener("load", showWhatTheCacheDid);
