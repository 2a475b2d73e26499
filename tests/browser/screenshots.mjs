// screenshots.mjs - pictures of the blog's pages: node screenshots.mjs PROGRAM DIRECTORY
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { PASSWORDS, WINDOWS, startBlog, startBrowser, visit } from "./blog.mjs";

const [program, directory] = process.argv.slice(2);
const MAX_BYTES = 150_000;

async function logIn(page, name) {
    await page.goto("/login");
    await page.getByLabel("Name").fill(name);
    await page.getByLabel("Password").fill(PASSWORDS[name]);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.waitForURL((url) => url.pathname !== "/login");
}

async function publish(page, title, content, tags) {
    await page.goto("/new-post");
    await page.getByLabel("Title").fill(title);
    await page.getByLabel(/^Text/).fill(content);
    await page.getByLabel(/^Tags/).fill(tags);
    await page.getByRole("button", { name: "Publish" }).click();
    await page.waitForURL(/\/post\/\d+$/);
    return page.url();
}

const TEXT = `A page that ten thousand people read in a minute need not be made ten thousand times. It is made **once**, and kept.

The code that makes it stays as it was:

    CACHE_MEMOIZE(get_post, load_post, 60, struct post, (int64_t, id))

What changes is that the database hears of a post *once a minute*:

- the first reader waits for the query,
- those who come meanwhile wait for the same one,
- all others get the answer that is there.

> Everything else is a question of when to forget.`;

const PATHS = ["/", "/popular", "/products", "/post/1", "/post/2", "/post/3", "/post/5", "/author/ada",
    "/search?q=cache"];

// Half a minute of a blog's life, more of it and then less, so that the pages have something to show.
async function live(page, admin) {
    const rounds = [2, 5, 9, 14, 10, 16, 20, 13, 17, 9, 6, 11, 8, 4, 6];
    for (const [step, visits] of rounds.entries()) {
        for (let i = 0; i < visits; i++)
            await Promise.all(PATHS.slice(i % 3).map((path) => page.request.get(path)));
        if (step % 5 === 4) await admin.request.post("/admin/clear", { form: { tag: "posts" } });
        await new Promise((resolve) => setTimeout(resolve, 2000));
    }
}

async function take(page, path, name) {
    const file = join(directory, `${name}.png`);
    await page.goto(path);
    await page.waitForLoadState("load");
    if (path === "/admin") await page.waitForFunction(() => document.querySelector("#state").textContent === "answers");
    if (path === "/admin") await page.waitForResponse("**/admin/numbers");
    if (path === "/lab") {
        await page.getByRole("button", { name: "Invalidate while they read" }).click();
        await page.locator("#lab-picture").waitFor();
        await page.evaluate(() => {
            const { top } = document.getElementById("result").getBoundingClientRect();
            scrollTo(0, top + scrollY - 230);
        });
    }
    if (name === "admin-narrow") await page.locator("#chart").scrollIntoViewIfNeeded();
    await page.screenshot({ path: file });
    const { size } = statSync(file);
    if (size >= MAX_BYTES) throw new Error(`${file} has ${size} bytes, more than ${MAX_BYTES}`);
    console.log(`${file}: ${size} bytes`);
}

mkdirSync(directory, { recursive: true });
const blog = await startBlog(program);
const browser = await startBrowser();
const anybody = await visit(browser, blog.url, WINDOWS.wide);
const ada = await visit(browser, blog.url, WINDOWS.wide);
await logIn(ada.page, "ada");
const post = await publish(ada.page, "Once a minute is enough", TEXT, "cache, c");
const admin = await visit(browser, blog.url, WINDOWS.wide);
await logIn(admin.page, "admin");
await live(anybody.page, admin.page);
for (const [size, window] of Object.entries(WINDOWS)) {
    await anybody.page.setViewportSize(window);
    await ada.page.setViewportSize(window);
    await admin.page.setViewportSize(window);
    await take(anybody.page, "/", `home-${size}`);
    await take(anybody.page, post, `post-${size}`);
    await take(ada.page, "/dashboard", `dashboard-${size}`);
    await take(admin.page, "/admin", `admin-${size}`);
    await take(admin.page, "/lab", `lab-${size}`);
}
await browser.close();
await blog.stop();
