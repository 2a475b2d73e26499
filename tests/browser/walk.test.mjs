// walk.test.mjs - the blog as a reader and a writer of it meet it, in a narrow and a wide window.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { PASSWORDS, WINDOWS, assertFits, startBlog, startBrowser, visit } from "./blog.mjs";

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
    await publish(page, title,
        "The first paragraph.\n\nThe second, with a <script>document.title = 'run'</script> in it.");
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

walk("the bar at the foot says what the cache did for this request", async ({ page }) => {
    await page.goto("/tag/errors");
    const bar = page.locator("#bar");
    await page.goto("/tag/errors");
    await bar.getByText("HIT").waitFor();
    assert.match(await bar.textContent(), /^HIT This page is from the cache and \d+ s old\. Making it took .* ms/);
    await page.goto("/new-post");
    await bar.getByText("BYPASS").waitFor();
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

// ---- users ----------------------------------------------------------------------------------------------------------

async function logIn(page, name) {
    await page.goto("/login");
    await page.getByLabel("Name").fill(name);
    await page.getByLabel("Password").fill(PASSWORDS[name]);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.waitForURL((url) => url.pathname !== "/login");
}

walk("a post is edited and deleted by who wrote it, and each page knows at once", async ({ page }, size) => {
    await logIn(page, "ada");
    await publish(page, `A draft, ${size}`, "First thoughts.");
    const post = page.url();
    await page.goto("/");
    await page.goto(post);
    await page.getByRole("link", { name: "Edit" }).click();
    await page.getByLabel("Title").fill(`The final word, ${size}`);
    await page.getByLabel(/^Text/).fill("*Second* thoughts.");
    await page.getByRole("button", { name: "Publish" }).click();
    await page.waitForURL(post);
    assert.equal(await page.getByRole("heading", { level: 1 }).textContent(), `The final word, ${size}`);
    assert.ok(await page.locator("em", { hasText: "Second" }).isVisible());
    assert.equal(await page.getByText("First thoughts").count(), 0);
    for (const path of ["/", "/author/ada"]) {
        await page.goto(path);
        assert.ok(await page.getByRole("link", { name: `The final word, ${size}` }).isVisible(), path);
        assert.equal(await page.getByText(`A draft, ${size}`).count(), 0, path);
    }
    await page.goto(post);
    await assertFits(page);
    await page.getByRole("link", { name: "Delete" }).click();
    assert.match(await page.getByRole("main").textContent(), /The final word, .* will be gone/);
    await page.getByRole("button", { name: "Delete" }).click();
    await page.waitForURL("/");
    assert.equal(await page.getByRole("status").textContent(), "The post is deleted.");
    for (const path of ["/", "/author/ada", "/popular"]) {
        await page.goto(path);
        assert.equal(await page.getByText(`The final word, ${size}`).count(), 0, path);
    }
    assert.equal((await page.request.get(post)).status(), 404);
});

walk("two users side by side each see a dashboard of their own", async ({ page: ada, complaints }, size) => {
    const grace = await visit(browser, blog.url, WINDOWS[size]);
    await logIn(ada, "ada");
    await logIn(grace.page, "grace");
    await publish(ada, `By Ada, ${size}`, "x");
    await publish(grace.page, `By Grace, ${size}`, "x");
    for (let round = 0; round < 3; round++) {    // the later ones from the cache
        const [hers, other] = await Promise.all([ada, grace.page].map(async (page) => {
            await page.goto("/dashboard");
            await assertFits(page);
            return page.getByRole("main").textContent();
        }));
        assert.match(hers, /Hello, ada/);
        assert.match(hers, new RegExp(`By Ada, ${size}`));
        assert.doesNotMatch(hers, /grace/i);
        assert.match(other, /Hello, grace/);
        assert.match(other, new RegExp(`Published: By Grace, ${size}`));
        assert.doesNotMatch(other, /\bada\b/i);
    }
    // What the one wrote, the other may read and not change.
    await grace.page.goto("/");
    await grace.page.getByRole("link", { name: `By Ada, ${size}` }).click();
    await grace.page.waitForURL(/\/post\/\d+$/);
    assert.equal(await grace.page.getByRole("button", { name: "Delete" }).count(), 0);
    complaints.push(...grace.complaints);
    await grace.context.close();
});

walk("who logs out is asked to log in again, and comes back to where he was going", async ({ page, context }) => {
    await page.goto("/dashboard");
    assert.equal(new URL(page.url()).pathname, "/login");
    await assertFits(page);
    await page.getByLabel("Name").fill("grace");
    await page.getByLabel("Password").fill(PASSWORDS.grace);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.waitForURL("/dashboard");
    const cookie = (await context.cookies()).find(({ name }) => name === "session");
    assert.ok(cookie.httpOnly);
    assert.equal(cookie.sameSite, "Lax");
    await page.goto("/popular");    // from the cache, the same for all: and yet it says whose it is
    assert.match(await page.getByRole("banner").textContent(), /Logged in as grace/);
    await page.getByRole("button", { name: "Log out" }).click();
    await page.waitForURL("/");
    assert.ok(await page.getByRole("banner").getByRole("link", { name: "Log in" }).isVisible());
    await page.goto("/dashboard");
    assert.equal(new URL(page.url()).pathname, "/login");
});

// ---- the admin ------------------------------------------------------------------------------------------------------

// How many pixels of the chart are not background.
const inked = (page) => page.locator("#chart").evaluate((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let n = 0;
    for (let i = 3; i < data.length; i += 4) n += data[i] > 0;
    return n;
});

const until = async (condition, what) => {
    for (const end = Date.now() + 20000; !(await condition());) {
        if (Date.now() > end) assert.fail(`${what} did not happen`);
        await new Promise((resolve) => setTimeout(resolve, 100));
    }
};

walk("the admin sees the numbers move and the chart drawn, and clears the cache", async ({ page, context }, size) => {
    await logIn(page, "admin");
    await page.goto("/admin");
    await assertFits(page);
    const hits = async () => Number(await page.locator('dd[data-path="hits"]').textContent());
    const before = await hits();
    for (let i = 0; i < 5; i++) await context.request.get("/popular");
    await until(async () => (await hits()) >= before + 4, "a move of the hits");
    assert.ok(await page.locator("#names tbody tr").filter({ hasText: "popular" }).isVisible());
    await until(async () => (await inked(page)) > 1000, "a drawing of the chart");
    const dashes = await page.evaluate(() => Chart.getChart("chart").legend.legendItems.map((item) => item.lineDash));
    assert.deepEqual(dashes.map((dash) => dash?.length > 0), [true, false, false], "the dashes of the legend's symbols");
    const { width } = await page.locator("#chart").boundingBox();
    assert.ok(width > WINDOWS[size].width / 2, `the chart is ${width} pixels wide`);

    assert.equal((await context.request.get("/popular")).headers()["x-cache"], "HIT");
    await page.getByLabel("Tag").fill("posts");
    await page.getByRole("button", { name: "Forget this tag" }).click();
    await page.waitForURL("/admin");
    assert.equal((await context.request.get("/popular")).headers()["x-cache"], "MISS");
    await context.request.get("/style.css");
    await page.getByRole("link", { name: "Clear the cache" }).click();
    await page.getByRole("button", { name: "Clear the cache" }).click();
    await page.waitForURL("/admin");
    assert.match((await page.getByRole("status").allTextContents()).join(), /The cache is cleared/);
    assert.equal((await context.request.get("/style.css")).headers()["x-cache"], "MISS");
});

test("the admin's page is nobody else's", async () => {
    const { page, context } = await visit(browser, blog.url, WINDOWS.wide);
    await page.goto("/admin");
    assert.equal(new URL(page.url()).pathname, "/login");
    await logIn(page, "ada");
    assert.equal((await page.goto("/admin")).status(), 403);
    await context.close();
});

// ---- for everybody --------------------------------------------------------------------------------------------------

const axe = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

// What axe-core finds wrong with the page that is shown.
async function faults(page) {
    await page.evaluate(axe);
    const { violations } = await page.evaluate((runOnly) => window.axe.run({ runOnly }), RULES);
    return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
}

async function assertAccessible(page, path) {
    await page.goto(path);
    await page.waitForLoadState("load");
    assert.deepEqual(await faults(page), [], path);
    assert.equal(await page.getByRole("heading", { level: 1 }).count(), 1, path);
    assert.match(await page.title(), / – The cached blog$/, path);
    await assertFits(page);
}

const PAGES = ["/", "/?page=2", "/popular", "/post/1", "/author/ada", "/tag/basics", "/products", "/product/1",
    "/search", "/search?q=cache", "/weather/Berlin", "/new-post", "/login", "/no-such-page"];
const PAGES_OF = {
    ada: ["/dashboard", "/post/1", "/edit-post/1", "/delete-post/1"],
    admin: ["/admin", "/admin/clear", "/lab"],
};

for (const colorScheme of ["light", "dark"])
    for (const [size, window] of Object.entries(WINDOWS))
        test(`nobody is shut out of any page (${size}, ${colorScheme})`, async () => {
            const visitor = (bypassCSP) => visit(browser, blog.url, window, { colorScheme, bypassCSP });
            const anybody = await visitor(true);    // axe-core is a script that is not of the site
            for (const path of PAGES) await assertAccessible(anybody.page, path);
            await anybody.page.goto("/login");    // a form with a mistake in it
            await anybody.page.getByLabel("Name").fill("nobody");
            await anybody.page.getByLabel("Password").fill("x");
            await anybody.page.getByRole("button", { name: "Log in" }).click();
            await anybody.page.getByRole("alert").waitFor();
            assert.deepEqual(await faults(anybody.page), []);
            await anybody.context.close();
            for (const [name, paths] of Object.entries(PAGES_OF)) {
                const { page, context } = await visitor(true);
                await logIn(page, name);
                for (const path of paths) await assertAccessible(page, path);
                await context.close();
            }
        });

test("the first key leads past the menu", async () => {
    const { page, context } = await visit(browser, blog.url, WINDOWS.wide);
    await page.goto("/");
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the content");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement.id), "main");
    await context.close();
});

walk("the admin runs an experiment and sees a line for each reader", async ({ page }) => {
    await logIn(page, "admin");
    await page.goto("/lab");
    await page.getByRole("button", { name: "Send 200 readers at once" }).click();
    await page.getByText("A cold page: the database was asked once.").waitFor();
    assert.equal(await page.locator("#lab-picture rect").count(), 200);
    await assertFits(page);
});

walk("the keys that are read most are shown with their numbers, whatever their length", async ({ page }) => {
    await logIn(page, "admin");
    for (let i = 0; i < 200; i++) await page.request.get("/dashboard");    // one read in 61 is noted
    await page.goto("/admin");
    const [table, around] = await page.locator("#hot").evaluate(
        (element) => [element.scrollWidth, element.parentElement.clientWidth]);
    assert.ok(table <= around, `the table is ${table} pixels wide, and its place ${around}`);
});

test("the numbers behind the chart can be read", async () => {
    const { page, context } = await visit(browser, blog.url, WINDOWS.wide);
    await logIn(page, "admin");
    await page.goto("/admin");
    await page.getByText("The same numbers as a table").click();
    await page.locator("#history tbody tr").first().waitFor();
    assert.match(await page.locator("#history tbody tr").first().textContent(), /^now/);
    await context.close();
});
