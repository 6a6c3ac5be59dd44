// One page of a headless Chromium over its debugging pipe (JSON, each message ended by a zero byte, on descriptors 3 and 4): just what looking at
// the console takes. Remembers whatever the page complains of: exceptions, failed loads, breaches of its content security policy.

import { spawn, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";

/** On a machine that has much else to do. */
const LIMIT_MS = 180_000;
const STEP_MS = 100;
const PROGRAMS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** The first browser there is; undefined without one. */
export function findBrowser() {
  const named = process.env.SKYLARK_BROWSER;
  return [named, ...PROGRAMS].find((name) => name && spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0);
}

export class Page {
  complaints = [];
  #process;
  #rest = "";
  #id = 0;
  #waiting = new Map();
  #session;

  static async open(program, profile) {
    const page = new Page();
    const flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"];
    page.#process = spawn(program, [...flags, `--user-data-dir=${profile}`, "--remote-debugging-pipe", "about:blank"], {
      stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
      env: { ...process.env, TZ: "UTC" },
    });
    page.#process.on("exit", (code) => {
      for (const { reject } of page.#waiting.values()) reject(new Error(`the browser ended with ${code}`));
    });
    page.#process.stdio[3].on("error", () => {});
    page.#process.stdio[4].setEncoding("utf8").on("data", (chunk) => page.#receive(chunk));
    const { targetInfos } = await page.send("Target.getTargets");
    const { targetId } = targetInfos.find(({ type }) => type === "page");
    page.#session = (await page.send("Target.attachToTarget", { targetId, flatten: true })).sessionId;
    for (const domain of ["Page", "Runtime", "Log"]) await page.send(`${domain}.enable`);
    return page;
  }

  send(method, params = {}) {
    const id = ++this.#id;
    const message = { id, method, params, ...(this.#session ? { sessionId: this.#session } : {}) };
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#process.stdio[3].write(`${JSON.stringify(message)}\0`);
    });
  }

  #receive(chunk) {
    const messages = (this.#rest + chunk).split("\0");
    this.#rest = messages.pop();
    for (const text of messages) {
      const { id, method, params, result, error } = JSON.parse(text);
      if (method === "Runtime.exceptionThrown") {
        this.complaints.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
      }
      if (method === "Log.entryAdded" && params.entry.level === "error") this.complaints.push(params.entry.text);
      // A question of the page (prompt) is answered by whoever set `answer`.
      if (method === "Page.javascriptDialogOpening") {
        this.send("Page.handleJavaScriptDialog", { accept: this.answer !== undefined, promptText: this.answer ?? "" });
      }
      const waiter = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error) waiter?.reject(new Error(error.message));
      else waiter?.resolve(result);
    }
  }

  async evaluate(expression) {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", {
      expression,
      returnByValue: true,
      awaitPromise: true,
    });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  /** Waits until the page's text matches. */
  async until(pattern) {
    const began = Date.now();
    for (;;) {
      const text = await this.evaluate("document.body?.innerText ?? ''");
      if (pattern.test(text)) return text;
      if (Date.now() - began > LIMIT_MS) throw new Error(`no ${pattern} in the page:\n${text}`);
      await new Promise((resolve) => setTimeout(resolve, STEP_MS));
    }
  }

  go(url) {
    return this.send("Page.navigate", { url });
  }

  /** Another page of the same document. */
  hash(to) {
    return this.evaluate(`location.hash = ${JSON.stringify(to)}`);
  }

  click(words) {
    return this.evaluate(
      `[...document.querySelectorAll("button, a")].find((each) => each.innerText === ${JSON.stringify(words)}).click()`,
    );
  }

  fill(name, value) {
    return this.evaluate(`document.querySelector("[name=${name}]").value = ${JSON.stringify(value)}`);
  }

  async look(width, height, scheme) {
    await this.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 600 });
    await this.send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
  }

  async shot(file) {
    const { data } = await this.send("Page.captureScreenshot", { format: "png" });
    writeFileSync(file, Buffer.from(data, "base64"));
  }

  async close() {
    const gone = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill("SIGKILL");
    await gone;
  }
}
