// walk.test.mjs - the blog as a reader and a writer of it meet it, in a narrow and a wide window.
import assert from "node:assert/strict";
import test from "node:test";
import { WINDOWS, assertFits, startBlog, startBrowser, visit } from "./blog.mjs";

const program = process.env.BLOG_PROGRAM ?? new URL("../../build/examples/blog/blog", import.meta.url).pathname;
const blog = await startBlog(program);
const browser = await startBrowser();
test.after(async () => {
    await browser.close();
    await blog.stop();
});

// A test in each window, by a visitor of its own, who must have had nothing to complain of.
function walk(name, body) {
    for (const [size, window] of Object.entries(WINDOWS))
        test(`${name} (${size})`, async () => {
            const visitor = await visit(browser, blog.url, window);
            await body(visitor, size);
            assert.deepEqual(visitor.complaints, []);
            await visitor.context.close();
        });
}

const numbers = async (page) => (await page.request.get("/cache-stats")).json();

async function publish(page, title, text) {
    await page.goto("/new-post");
    await page.getByLabel("Title").fill(title);
    await page.getByLabel(/^Text/).fill(text);
    await page.getByRole("button", { name: "Publish" }).click();
    await page.waitForURL(/\/post\/\d+$/);
}

walk("the home page lists ten posts, and leads to each", async ({ page }) => {
    await page.goto("/");
    assert.equal(await page.getByRole("article").count(), 10);
    await assertFits(page);
    const link = page.getByRole("article").first().getByRole("link").first();
    const title = await link.textContent();
    await link.click();
    await page.waitForURL(/\/post\/\d+$/);
    assert.equal(await page.getByRole("heading", { level: 1 }).textContent(), title);
    await assertFits(page);
});

walk("every page of the menu is there, has a heading, and fits", async ({ page }) => {
    await page.goto("/");
    const paths = await page.getByRole("navigation").getByRole("link").evaluateAll(
        (links) => links.map((link) => link.getAttribute("href")));
    assert.ok(paths.length >= 4);
    for (const path of paths) {
        const response = await page.goto(path);
        assert.equal(response.status(), 200, path);
        if (!response.headers()["content-type"].startsWith("text/html")) continue;
        assert.equal(await page.getByRole("heading", { level: 1 }).count(), 1, path);
        assert.ok(await page.title(), path);
        await assertFits(page);
    }
});

walk("a post that is published is read at once, and is on the home page", async ({ page }, size) => {
    const title = `Written in a ${size} window <b>&amp;`;
    await publish(page, title, "The first paragraph.\n\nThe second, with a <script>document.title = 'run'</script> in it.");
    assert.equal(await page.getByRole("heading", { level: 1 }).textContent(), title);
    assert.notEqual(await page.title(), "run");
    assert.ok(await page.getByText("The second, with a").isVisible());
    await page.goto("/");
    assert.ok(await page.getByRole("article").filter({ hasText: title }).isVisible());
});

walk("a form that lacks something is not sent", async ({ page }) => {
    await page.goto("/new-post");
    await page.getByLabel("Title").fill("Only a title");
    await page.getByRole("button", { name: "Publish" }).click();
    assert.ok(await page.getByLabel(/^Text/).evaluate((field) => field.validity.valueMissing));
    assert.equal(new URL(page.url()).pathname, "/new-post");
    assert.equal(await page.getByLabel("Title").inputValue(), "Only a title");
});

walk("reading moves the numbers, and a second reading is a hit", async ({ page }) => {
    await page.goto("/");
    const before = await numbers(page);
    await page.goto("/post/1");
    const response = await page.goto("/");
    const after = await numbers(page);
    assert.ok(after.cache_hits > before.cache_hits);
    assert.match(response.headers()["x-cache"] ?? "", /^HIT$/);
    assert.match(after.hit_rate, /^\d+\.\d%$/);
});

walk("a browser that comes back is told that nothing has changed", async ({ page, context }) => {
    await page.goto("/");
    const statuses = [];
    const session = await context.newCDPSession(page);
    await session.send("Network.enable");
    session.on("Network.responseReceivedExtraInfo", ({ statusCode }) => statuses.push(statusCode));
    await page.goto("/popular");
    await page.goto("/");
    assert.ok(statuses.includes(304), `statuses: ${statuses}`);
    assert.equal(await page.getByRole("article").count(), 10);
});
