// blog.mjs - the real blog on a free port, and a real browser that notices what no page of it may do.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

export const WINDOWS = {
    narrow: { width: 390, height: 844 },
    wide: { width: 1280, height: 900 },
};

export const PASSWORDS = { admin: "admin-of-the-test", ada: "ada-of-the-test", grace: "grace-of-the-test" };

// Start the program with a database of its own; `options` are further arguments. It says its address when it answers.
export async function startBlog(program, options = []) {
    const directory = mkdtempSync(join(tmpdir(), "libcache-browser-"));
    const child = spawn(program, ["--port", "0", "--db", join(directory, "blog.db"), ...options], {
        stdio: ["ignore", "pipe", "inherit"],
        env: {
            ...process.env,
            BLOG_ADMIN_PASSWORD: PASSWORDS.admin,
            BLOG_ADA_PASSWORD: PASSWORDS.ada,
            BLOG_GRACE_PASSWORD: PASSWORDS.grace,
        },
    });
    const ended = once(child, "exit");
    const url = await new Promise((resolve, reject) => {
        ended.then(([status]) => reject(new Error(`${program} ended with status ${status} while it started`)));
        child.on("error", reject);
        createInterface({ input: child.stdout }).on("line", (line) => {
            const address = line.match(/http:\/\/[^/ ]+/);
            if (address) resolve(address[0]);
        });
    });
    const stop = async () => {
        child.kill("SIGTERM");
        const [status] = await ended;
        rmSync(directory, { recursive: true });
        assert.equal(status, 0, "the blog's exit status after SIGTERM");
    };
    return { url, stop };
}

// The system's browser, with a profile that is new and empty. One that cannot start is a failure.
export function startBrowser() {
    return chromium.launch({
        executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
        args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync"],
    });
}

// A visitor: cookies and pages of his own. What is wrong in any page is gathered in `complaints`.
export async function visit(browser, url, window, options = {}) {
    const context = await browser.newContext({ viewport: window, baseURL: url, ...options });
    context.setDefaultTimeout(20000);
    const complaints = [];
    context.on("console", (message) => {
        if (message.type() === "error") complaints.push(`console: ${message.text()}`);
    });
    context.on("weberror", (error) => complaints.push(`script: ${error.error().message}`));
    context.on("request", (request) => {
        if (new URL(request.url()).origin !== url) complaints.push(`another host: ${request.url()}`);
    });
    context.on("requestfailed", (request) => {
        // What a page that is left still waits for, such as a stream of events, is given up.
        if (request.failure()?.errorText !== "net::ERR_ABORTED") complaints.push(`failed: ${request.url()}`);
    });
    const page = await context.newPage();
    return { context, page, complaints };
}

// Nothing is cut off or reached only by scrolling sideways.
export async function assertFits(page) {
    const [content, window] = await page.evaluate(
        () => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
    assert.ok(content <= window, `${page.url()} is ${content} pixels wide in a window of ${window}`);
}
