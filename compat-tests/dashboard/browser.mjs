// One page of a headless Chromium, driven over the browser's own debugging pipe (--remote-debugging-pipe: JSON objects, each ended by a
// zero byte, on the descriptors 3 and 4), so that no package is needed. Knows the Chrome DevTools protocol and the parts of Ant Design
// that an operator touches: buttons, fields, selections, dialogs, notices.

import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** No request under way and no spinner for this long: the page has settled. */
const QUIET_MS = 400;
const LIMIT_MS = 90_000;
const STEP_MS = 100;

/** Runs in the page before its own scripts: remembers every notice, because they vanish by themselves. */
const REMEMBER_NOTICES = `
  window.__notices = [];
  new MutationObserver((changes) => {
    for (const change of changes) for (const node of change.addedNodes) {
      if (node.nodeType !== 1) continue;
      const found = node.matches(".ant-message-notice, .ant-notification-notice") ? [node]
        : node.querySelectorAll(".ant-message-notice, .ant-notification-notice");
      for (const notice of found) window.__notices.push(notice.textContent.trim());
    }
  }).observe(document, { childList: true, subtree: true });
`;

/** Runs in the page: what the helpers below share. */
const TOOLS = `
  window.__shown = (element) => element.getClientRects().length > 0 && getComputedStyle(element).visibility !== "hidden";
  window.__dialog = () => [...document.querySelectorAll(".ant-modal-wrap")]
    .filter((each) => __shown(each) && __shown(each.querySelector(".ant-modal") ?? each)).at(-1);
  window.__root = () => __dialog()?.querySelector(".ant-modal-content, .ant-modal") ?? document.querySelector(".ant-layout-content");
  window.__text = (element) => element.innerText.replace(/\\s+/g, " ").trim();
  window.__type = (input, value) => {
    const prototype = input.tagName === "TEXTAREA" ? HTMLTextAreaElement.prototype : HTMLInputElement.prototype;
    Object.getOwnPropertyDescriptor(prototype, "value").set.call(input, value);
    input.dispatchEvent(new Event("input", { bubbles: true }));
  };
  window.__item = (label) => [...__root().querySelectorAll(".ant-form-item")]
    .find((each) => __shown(each) && each.querySelector("label")?.textContent.replace(/[:\\s]+$/, "") === label);
`;

export class Browser {
  #process;
  #rest = "";
  #nextId = 1;
  #waiting = new Map();
  #session;
  #underWay = new Map();
  #quietSince = Date.now();
  /** What the page complained of: exceptions of its scripts. */
  complaints = [];

  /** @param {string} program Chromium's or Chrome's @param {string} dir for its profile, removed by the caller. */
  static async start(program, dir) {
    const browser = new Browser();
    mkdirSync(dir, { recursive: true });
    const flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"];
    const quiet = [
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-extensions",
      "--mute-audio",
    ];
    const size = ["--window-size=1500,1100", "--lang=en-US", `--user-data-dir=${join(dir, "profile")}`];
    browser.#process = spawn(program, [...flags, ...quiet, ...size, "--remote-debugging-pipe", "about:blank"], {
      stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
      env: { ...process.env, TZ: "UTC" },
    });
    const gone = new Promise((_, reject) => {
      browser.#process.on("error", (error) => reject(new Error(`the browser does not start: ${error.message}`)));
      browser.#process.on("exit", (code) => reject(new Error(`the browser ended with ${code}`)));
    });
    gone.catch((error) => {
      for (const { reject } of browser.#waiting.values()) reject(error);
      browser.#waiting.clear();
    });
    browser.#process.stdio[3].on("error", () => {});
    browser.#process.stdio[4].setEncoding("utf8").on("data", (chunk) => browser.#receive(chunk));
    const { targetInfos } = await browser.#send("Target.getTargets");
    const { targetId } = targetInfos.find(({ type }) => type === "page");
    browser.#session = (await browser.#send("Target.attachToTarget", { targetId, flatten: true })).sessionId;
    for (const domain of ["Page", "Network", "Runtime"]) await browser.#send(`${domain}.enable`);
    await browser.#send("Page.addScriptToEvaluateOnNewDocument", { source: REMEMBER_NOTICES + TOOLS });
    return browser;
  }

  /** Ends the browser and waits for it, so that its profile can be removed. */
  async stop() {
    const gone = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill("SIGKILL");
    await gone;
  }

  async open(url) {
    await this.#send("Page.navigate", { url: "about:blank" });
    await this.#send("Page.navigate", { url });
    await this.until(`!!document.querySelector(".ant-layout-content")?.innerText`, "the page");
    await this.settle();
  }

  /** Waits until the page's requests are answered and nothing spins or moves. */
  async settle() {
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    const limit = Date.now() + LIMIT_MS;
    while (Date.now() < limit) {
      const spins = await this.evaluate(
        `[...document.querySelectorAll(".ant-spin-spinning, .ant-zoom-enter, .ant-zoom-appear, .ant-zoom-leave")].some((each) => __shown(each))`,
      );
      const quiet = this.#underWay.size === 0 && Date.now() - this.#quietSince >= QUIET_MS;
      if (!spins && quiet) return;
      await new Promise((resolve) => setTimeout(resolve, STEP_MS));
    }
    throw new Error(
      `the page does not settle within ${LIMIT_MS} ms: ${[...this.#underWay.values()].join(", ") || "it spins"}`,
    );
  }

  /** Waits until an expression of the page is true. */
  async until(expression, what, limitMs = LIMIT_MS) {
    const limit = Date.now() + limitMs;
    while (Date.now() < limit) {
      if (await this.evaluate(`(() => { try { return ${expression} } catch { return false } })()`)) return;
      await new Promise((resolve) => setTimeout(resolve, STEP_MS));
    }
    throw new Error(`no ${what} within ${limitMs} ms`);
  }

  async evaluate(expression) {
    const options = { expression, returnByValue: true, awaitPromise: true };
    const { result, exceptionDetails } = await this.#send("Runtime.evaluate", options);
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  /** Clicks a button by its words: in the row that has `row` as a cell, else in the uppermost dialog, else in the page. */
  async click(words, { row } = {}) {
    await this.#act(
      `const scope = ${row === undefined ? "__root()" : `[...__root().querySelectorAll("tr")].find((tr) => [...tr.cells].some((td) => __text(td) === ${JSON.stringify(row)}))`};
       const button = [...scope.querySelectorAll("button, .ant-tabs-tab-btn, .ant-checkbox-wrapper")]
         .find((each) => __shown(each) && __text(each).toLowerCase() === ${JSON.stringify(words.toLowerCase())});
       button.click();`,
      `button "${words}"${row === undefined ? "" : ` in the row of ${row}`}`,
    );
  }

  /** Says yes to the small question beside a button. */
  async confirm(words) {
    await this.#act(
      `[...document.querySelectorAll(".ant-popconfirm-buttons button, .ant-popover button")]
         .find((each) => __shown(each) && __text(each).toLowerCase() === ${JSON.stringify(words.toLowerCase())}).click();`,
      `answer "${words}"`,
    );
  }

  /** Writes into the field with that label. */
  async fill(label, value) {
    await this.#act(
      `__type(__item(${JSON.stringify(label)}).querySelector("input, textarea"), ${JSON.stringify(value)});`,
      `field "${label}"`,
    );
  }

  /** Writes into a field found by a selector. */
  async fillAt(selector, value) {
    await this.#act(
      `__type([...__root().querySelectorAll(${JSON.stringify(selector)})].find(__shown), ${JSON.stringify(value)});`,
      `field ${selector}`,
    );
  }

  /** Chooses an option of the selection with that label; its list shows only what fits the words typed. */
  async choose(label, value) {
    const quoted = JSON.stringify(value);
    await this.#act(
      `const item = __item(${JSON.stringify(label)});
       item.querySelector(".ant-select-selector").dispatchEvent(new MouseEvent("mousedown", { bubbles: true }));
       const search = item.querySelector("input.ant-select-selection-search-input");
       if (!search.readOnly) __type(search, ${quoted});`,
      `selection "${label}"`,
    );
    await this.#act(
      `[...document.querySelectorAll(".ant-select-dropdown .ant-select-item-option")]
         .find((each) => __shown(each) && __text(each) === ${quoted}).click();`,
      `option "${value}" of "${label}"`,
    );
  }

  /** Types a time into the date field with that label, as a person does. */
  async time(label, value) {
    await this.#act(
      `const input = __item(${JSON.stringify(label)}).querySelector("input");
       input.dispatchEvent(new MouseEvent("mousedown", { bubbles: true }));
       input.focus(); input.click(); input.select();`,
      `time "${label}"`,
    );
    await this.#send("Input.insertText", { text: value });
    for (const type of ["keyDown", "keyUp"]) {
      await this.#send("Input.dispatchKeyEvent", {
        type,
        key: "Enter",
        code: "Enter",
        windowsVirtualKeyCode: 13,
        text: "\r",
      });
    }
    await this.settle();
  }

  async closeDialogs() {
    for (let i = 0; i < 6; i++) {
      const open = await this.evaluate(
        `(() => { const dialog = __dialog(); if (!dialog) return false;
           (dialog.querySelector(".ant-modal-close") ?? dialog.querySelector(".ant-modal-confirm-btns button"))?.click(); return true; })()`,
      );
      if (!open) return;
      await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    }
  }

  /** What an operator reads: the uppermost dialog or the page, the fields' contents, the notices since the last look. */
  async read() {
    return this.evaluate(`(() => {
      const root = __root();
      const fields = [...root.querySelectorAll("input, textarea")].filter((each) => __shown(each)).map((each) => {
        const label = each.closest(".ant-form-item, .ant-checkbox-wrapper, label")?.querySelector("label, span:last-child")?.textContent ?? "";
        if (each.type === "checkbox") return each.checked ? "[x] " + label : "[ ] " + label;
        return each.value === "" ? "" : "[" + label.replace(/[:\\s]+$/, "") + "] " + each.value;
      }).filter((each) => each !== "");
      const switches = [...root.querySelectorAll("button[role=switch]")].filter((each) => __shown(each)).map((each) =>
        "[switch " + (each.closest(".ant-form-item")?.querySelector("label")?.textContent ?? "") + "] " + each.ariaChecked);
      const notices = [...new Set(window.__notices.splice(0))].map((each) => "[notice] " + each);
      const lines = root.innerText.split("\\n").map((each) => each.replace(/\\s*\\t\\s*/g, " | ").trim()).filter((each) => each !== "");
      return [...lines, ...fields, ...switches, ...notices].join("\\n");
    })()`);
  }

  async screenshot(file) {
    // Animations of dialogs are over after this long.
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    const { data } = await this.#send("Page.captureScreenshot", { format: "png" });
    writeFileSync(file, Buffer.from(data, "base64"));
  }

  /** Tries a step in the page until what it needs is there, then lets the page settle. */
  async #act(code, what) {
    await this.until(`(() => { ${code} return true; })()`, what, 20_000);
    await this.settle();
  }

  #send(method, params = {}) {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      const sessionId = method.startsWith("Target.") ? undefined : this.#session;
      this.#process.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  }

  #receive(chunk) {
    const parts = (this.#rest + chunk).split("\0");
    this.#rest = parts.pop();
    for (const part of parts) {
      const { id, method, params, result, error } = JSON.parse(part);
      if (id === undefined) {
        this.#event(method, params);
        continue;
      }
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error) waiting?.reject(new Error(error.message));
      else waiting?.resolve(result);
    }
  }

  #event(method, params) {
    if (method === "Network.requestWillBeSent") {
      // Icons and the like may never be finished.
      if (params.type === "Fetch" || params.type === "XHR") this.#underWay.set(params.requestId, params.request.url);
    } else if (method === "Page.frameNavigated") {
      this.#underWay.clear();
    } else if (/^Network\.(responseReceived|loadingFinished|loadingFailed)$/.test(method)) {
      // An answer that the page does not read is never finished.
      this.#underWay.delete(params.requestId);
      this.#quietSince = Date.now();
    } else if (method === "Runtime.exceptionThrown") {
      this.complaints.push(
        params.exceptionDetails.exception?.description?.split("\n")[0] ?? params.exceptionDetails.text,
      );
    }
  }
}
