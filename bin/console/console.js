// The console's page: one function per page, each drawn from the JSON API. Everything that comes from outside becomes text nodes,
// never markup; the server's content security policy allows nothing else.

const RATES_MS = 2_000;
const LISTS_MS = 5_000;
const SAMPLES = 150;
const NOTICE_MS = 7_000;

const PAGES = [
  ["overview", "Overview", overview],
  ["topics", "Topics", topics],
  ["groups", "Groups", groups],
  ["messages", "Messages", messages],
  ["dlq", "Dead letters", deadLetters],
  ["pending", "Pending", pending],
  ["config", "Configuration", config],
];
const DETAILS = {
  topic: [topic, "topics"],
  group: [group, "groups"],
  message: [message, "messages"],
  letters: [letters, "dlq"],
};

const main = document.getElementById("main");
const samples = [];
let turn = 0;
let timer;

// ---- building ----

function el(name, given = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(given)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== undefined && value !== false) node.setAttribute(key, value);
  }
  node.append(
    ...children
      .flat()
      .filter((child) => child !== undefined && child !== null)
      .map((child) => (child instanceof Node ? child : String(child))),
  );
  return node;
}

const link = (page, name, text = name) => el("a", { href: `#${page}/${encodeURIComponent(name)}` }, text);

/** Columns are [title, cell(row), "number" | "long" | undefined]. */
function table(rows, columns, none = "nothing here") {
  if (rows.length === 0) return el("p", { class: "quiet" }, none);
  const head = columns.map(([title, , kind]) => el("th", { class: kind, scope: "col" }, title));
  const body = rows.map((row) =>
    el(
      "tr",
      {},
      columns.map(([title, cell, kind]) => el("td", { class: kind, "data-title": title }, cell(row))),
    ),
  );
  return el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, body)));
}

const card = (title, ...content) => el("section", { class: "card" }, title ? el("h2", {}, title) : undefined, content);
const figure = (label, value, kind) =>
  el(
    "div",
    { class: "card" },
    el("div", { class: `figure ${kind ?? ""}` }, value),
    el("div", { class: "label" }, label),
  );

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const number = (value) => whole.format(value);
const rate = (value) => (value === 0 ? "0" : value < 10 ? value.toFixed(1) : number(value));
const time = (ms) => (ms > 0 ? new Date(ms).toLocaleString("sv-SE") : "–");

function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  while (value >= 1024 && i < units.length - 1) {
    value /= 1024;
    i++;
  }
  return `${i === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[i]}`;
}

function duration(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

// ---- asking ----

async function get(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  return read(await fetch(`${path}?${new URLSearchParams(given)}`));
}

async function post(path, body) {
  return read(
    await fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
  );
}

async function read(response) {
  const value = await response.json().catch(() => ({ error: `${response.status} ${response.statusText}` }));
  if (!response.ok) throw new Error(value.error ?? response.statusText);
  return value;
}

let noticeTimer;
function notice(text, isBad = false) {
  const box = document.getElementById("notice");
  box.textContent = text;
  box.className = isBad ? "bad" : "";
  box.hidden = false;
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => (box.hidden = true), NOTICE_MS);
}

// ---- plots ----

const svg = (name, given, ...children) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(given)) node.setAttribute(key, value);
  node.append(...children);
  return node;
};

/** Rates between samples, of one figure. */
function rates(of) {
  const found = [];
  for (let i = 1; i < samples.length; i++) {
    const [before, now] = [samples[i - 1], samples[i]];
    found.push(Math.max(0, ((of(now) - of(before)) * 1000) / (now.at - before.at)));
  }
  return found;
}

/** Lines are [name, class, values]. */
function plot(title, lines, show) {
  const [width, height, left, bottom] = [600, 150, 8, 20];
  const top = Math.max(1, ...lines.flatMap(([, , values]) => values)) * 1.1;
  const x = (i) => left + ((width - 2 * left) * (i + SAMPLES - 1 - lines[0][2].length)) / (SAMPLES - 2);
  const y = (value) => height - bottom - ((height - bottom - 8) * value) / top;
  const paths = lines.map(([, kind, values]) =>
    svg("path", {
      class: kind,
      d: values.map((value, i) => `${i === 0 ? "M" : "L"}${x(i).toFixed(1)} ${y(value).toFixed(1)}`).join(""),
    }),
  );
  const drawing = svg(
    "svg",
    { class: "plot", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": title },
    svg("line", { class: "axis", x1: left, x2: width - left, y1: y(0), y2: y(0) }),
    svg("line", {
      class: "axis",
      x1: left,
      x2: width - left,
      y1: y(top / 2),
      y2: y(top / 2),
      "stroke-dasharray": "3 4",
    }),
    ...paths,
  );
  const key = lines.map(([name, kind, values]) =>
    el("span", {}, el("span", { class: `dot ${kind}` }), `${name} `, el("b", {}, show(values.at(-1) ?? 0))),
  );
  return el(
    "section",
    { class: "card" },
    el("h2", {}, title),
    el("div", { class: "key" }, key),
    drawing,
    el("div", { class: "label" }, `the last 5 minutes; the broken line is ${show(top / 2)}`),
  );
}

function plots() {
  const box = el("div", { class: "plots", id: "plots" });
  drawPlots(box);
  return box;
}

function drawPlots(box) {
  box.replaceChildren(
    plot(
      "Messages per second",
      [
        ["in", "in", rates((s) => s.puts)],
        ["out", "out", rates((s) => s.transferred)],
      ],
      rate,
    ),
    plot("Bytes written per second", [["log", "in", rates((s) => s.putBytes)]], bytes),
  );
}

async function sample() {
  try {
    samples.push(await get("/api/rates"));
    if (samples.length > SAMPLES) samples.shift();
    const box = document.getElementById("plots");
    if (box) drawPlots(box);
  } catch {
    // The page itself says when the broker is away.
  }
}

// ---- pages ----

const ROLES = { ASYNC_MASTER: "master", SYNC_MASTER: "sync master", SLAVE: "slave" };

async function overview() {
  const o = await get("/api/overview");
  document.getElementById("where").textContent = `${o.cluster} · ${o.broker} · ${o.address}`;
  const used = o.disk.totalBytes > 0 ? 1 - o.disk.availableBytes / o.disk.totalBytes : 0;
  return [
    el("h1", {}, `${o.cluster} / ${o.broker}`),
    o.writable ? undefined : el("p", { class: "bad", role: "alert" }, `takes no messages: ${o.reason}`),
    el(
      "div",
      { class: "grid" },
      figure("up for", duration(o.uptimeMs)),
      figure("role", ROLES[o.role] ?? o.role),
      figure("topics", number(o.topics)),
      figure("groups", number(o.groups)),
      figure("consumers online", number(o.consumers)),
      figure("producers online", number(o.producers)),
      figure("log", bytes(o.logBytes)),
      figure(
        `disk in use, ${bytes(o.disk.availableBytes)} free`,
        `${Math.round(used * 100)} %`,
        used > 0.85 ? "bad" : used > 0.75 ? "warn" : "",
      ),
    ),
    plots(),
    card(
      "Brokers",
      o.brokers === undefined
        ? el("p", { class: "warn" }, `the NameServer ${o.namesrvAddr || "(none)"} does not answer`)
        : table(
            o.brokers.flatMap(({ name, cluster, addresses }) =>
              addresses.map(({ id, address }) => ({ name, cluster, id, address })),
            ),
            [
              ["Broker", (b) => b.name],
              ["Cluster", (b) => b.cluster],
              ["Role", (b) => (b.id === 0 ? "master" : `slave ${b.id}`)],
              ["Address", (b) => el("code", {}, b.address)],
            ],
          ),
    ),
    card(
      "Today",
      table(
        [o.runtime],
        [
          ["Taken in", (r) => number(r.msgPutTotalTodayNow - r.msgPutTotalTodayMorning), "number"],
          ["Given out", (r) => number(r.msgGetTotalTodayNow - r.msgGetTotalTodayMorning), "number"],
          ["99 % of appends within", (r) => `${r.putLatency99} ms`, "number"],
          ["Oldest message", (r) => time(Number(r.earliestMessageTimeStamp))],
        ],
      ),
    ),
  ];
}

const shown = { system: false, filter: "" };

/** Filter and check box above a list; keeps what was chosen while the list renews itself. */
function tools(what) {
  return el(
    "div",
    { class: "tools" },
    el(
      "label",
      {},
      "Filter",
      el("input", {
        id: "filter",
        type: "search",
        value: shown.filter,
        placeholder: `name of a ${what}`,
        oninput: (event) => {
          shown.filter = event.target.value;
          refresh();
        },
      }),
    ),
    el(
      "label",
      { class: "row" },
      el("input", {
        id: "system",
        type: "checkbox",
        checked: shown.system,
        onchange: (event) => {
          shown.system = event.target.checked;
          refresh();
        },
      }),
      "with those of the system",
    ),
  );
}

const matches = (name) => name.toLowerCase().includes(shown.filter.toLowerCase());
const PERMS = { 0: "closed", 2: "write", 4: "read", 6: "read, write" };

async function topics() {
  const list = (await get("/api/topics")).filter((t) => matches(t.name) && (shown.system || t.kind === "normal"));
  list.sort((a, b) => b.tps - a.tps || (a.name < b.name ? -1 : 1));
  return [
    el("h1", {}, "Topics"),
    tools("topic"),
    card(
      undefined,
      table(
        list,
        [
          ["Topic", (t) => link("topic", t.name), "long"],
          ["Kind", (t) => el("span", { class: "tag" }, t.type || t.kind)],
          [
            "Queues",
            (t) => (t.readQueues === t.writeQueues ? t.readQueues : `${t.readQueues} read, ${t.writeQueues} written`),
            "number",
          ],
          ["Allowed", (t) => (t.perm === 6 ? PERMS[6] : el("span", { class: "warn" }, PERMS[t.perm] ?? t.perm))],
          ["Messages", (t) => number(t.messages), "number"],
          ["In, per s", (t) => rate(t.tps), "number"],
        ],
        "no topic of this name",
      ),
    ),
  ];
}

async function topic(name) {
  const t = await get("/api/topic", { name });
  return [
    el("h1", {}, name),
    el(
      "div",
      { class: "grid" },
      figure("messages stored", number(t.queues.reduce((sum, q) => sum + q.maxOffset - q.minOffset, 0))),
      figure("in, per second", rate(t.tps)),
      figure("queues", number(t.queues.length)),
    ),
    el("p", {}, el("a", { href: `#messages/${encodeURIComponent(name)}` }, "Look at its messages")),
    card(
      "Queues",
      table(t.queues, [
        ["Queue", (q) => q.queueId, "number"],
        ["First offset", (q) => number(q.minOffset), "number"],
        ["Next offset", (q) => number(q.maxOffset), "number"],
        ["Messages", (q) => number(q.maxOffset - q.minOffset), "number"],
        ["Last message", (q) => time(q.lastUpdateTimestamp)],
      ]),
    ),
    card(
      "Groups that consume it",
      table(
        t.groups.map((group) => ({ group })),
        [["Group", (g) => link("group", g.group)]],
        "no group",
      ),
    ),
  ];
}

const TYPES = { CONSUME_PASSIVELY: "push", CONSUME_ACTIVELY: "pull", CONSUME_POP: "pop" };

async function groups() {
  const list = (await get("/api/groups")).filter((g) => matches(g.name) && (shown.system || !g.isSystem));
  list.sort((a, b) => b.lag - a.lag || (a.name < b.name ? -1 : 1));
  return [
    el("h1", {}, "Consumer groups"),
    tools("group"),
    card(
      undefined,
      table(
        list,
        [
          ["Group", (g) => link("group", g.name), "long"],
          ["Online", (g) => (g.members > 0 ? g.members : el("span", { class: "quiet" }, "nobody")), "number"],
          ["Way", (g) => [TYPES[g.type] ?? "", g.model === "BROADCASTING" ? ", broadcasting" : ""].join("")],
          ["Topics", (g) => g.topics.join(", "), "long"],
          ["Lag", (g) => (g.lag > 0 ? el("b", { class: g.members > 0 ? "" : "warn" }, number(g.lag)) : "0"), "number"],
          ["Out, per s", (g) => rate(g.tps), "number"],
        ],
        "no group of this name",
      ),
    ),
  ];
}

async function group(name) {
  const g = await get("/api/group", { name });
  const lag = g.queues.reduce((sum, q) => sum + q.brokerOffset - q.consumerOffset, 0);
  return [
    el("h1", {}, name),
    el(
      "div",
      { class: "grid" },
      figure("lag", number(lag), lag > 0 && g.members.length === 0 ? "warn" : ""),
      figure("out, per second", rate(g.tps)),
      figure("online", number(g.members.length)),
      figure("way", TYPES[g.type] ?? "–"),
    ),
    card(
      "Queues",
      table(
        g.queues,
        [
          ["Topic", (q) => link("topic", q.topic), "long"],
          ["Queue", (q) => q.queueId, "number"],
          ["Next offset", (q) => number(q.brokerOffset), "number"],
          ["Consumed to", (q) => number(q.consumerOffset), "number"],
          ["Lag", (q) => number(q.brokerOffset - q.consumerOffset), "number"],
          ["Given out", (q) => number(Math.max(0, q.pullOffset - q.consumerOffset)), "number"],
          ["Consumed until", (q) => time(q.lastTimestamp)],
        ],
        "it has consumed nothing yet",
      ),
    ),
    card(
      "Members",
      table(
        g.members,
        [
          ["Client", (m) => m.clientId, "long"],
          ["Address", (m) => el("code", {}, m.address)],
          ["Language", (m) => m.language],
          ["Version", (m) => m.version],
        ],
        "nobody is online",
      ),
    ),
    card(
      "Subscriptions",
      table(
        g.subscriptions,
        [
          ["Topic", (s) => link("topic", s.topic), "long"],
          ["Expression", (s) => el("code", {}, s.expression ?? "*"), "long"],
          ["Kind", (s) => s.type ?? "TAG"],
        ],
        "nobody is online",
      ),
    ),
  ];
}

const search = { topic: "", by: "time", value: "", minutes: "60" };

async function messages(name) {
  if (name !== undefined && name !== search.topic) Object.assign(search, { topic: name, by: "time", value: "" });
  const names = (await get("/api/topics")).map((t) => t.name).sort();
  const result = el("div", {});
  const submit = async (event) => {
    event?.preventDefault();
    const form = document.getElementById("search") ?? box;
    for (const key of Object.keys(search)) search[key] = form.elements[key].value.trim();
    try {
      result.replaceChildren(card(undefined, messageTable(await get("/api/messages", query()))));
    } catch (error) {
      result.replaceChildren(el("p", { class: "bad" }, error.message));
    }
  };
  const query = () => ({
    topic: search.topic,
    ...(search.by === "time" ? { begin: Date.now() - Number(search.minutes) * 60_000 } : { [search.by]: search.value }),
  });
  const option = (value, text, chosen) => el("option", { value, selected: value === chosen }, text);
  const box = el(
    "form",
    { id: "search", onsubmit: submit },
    el("label", {}, "Topic", el("input", { name: "topic", list: "topics", value: search.topic, autocomplete: "off" })),
    el(
      "datalist",
      { id: "topics" },
      names.map((topic) => el("option", { value: topic })),
    ),
    el(
      "label",
      {},
      "By",
      el(
        "select",
        { name: "by" },
        option("time", "time: the newest", search.by),
        option("key", "key", search.by),
        option("id", "id", search.by),
      ),
    ),
    el("label", {}, "Key or id", el("input", { name: "value", value: search.value, autocomplete: "off" })),
    el(
      "label",
      {},
      "Time",
      el(
        "select",
        { name: "minutes" },
        [
          ["10", "10 minutes"],
          ["60", "the last hour"],
          ["1440", "the last day"],
          ["10080", "the last week"],
        ].map(([value, text]) => option(value, text, search.minutes)),
      ),
    ),
    el("button", { class: "main" }, "Search"),
  );
  if (search.topic !== "" || search.value !== "") setTimeout(submit);
  return [el("h1", {}, "Messages"), box, result];
}
messages.still = true;

function messageTable(list, more = []) {
  return table(
    list,
    [
      ["Stored", (m) => time(m.storedAt)],
      ["Id", (m) => el("a", { href: `#message/${m.logOffset}` }, m.uniqueKey || m.id), "long"],
      ["Queue", (m) => m.queueId, "number"],
      ["Offset", (m) => number(m.queueOffset), "number"],
      ["Tags", (m) => m.tags],
      ["Keys", (m) => m.keys, "long"],
      ["Tries", (m) => m.reconsumeTimes, "number"],
      ["Body", (m) => bytes(m.bodyBytes), "number"],
      ...more,
    ],
    "no message found",
  );
}

async function message(logOffset) {
  const m = await get("/api/message", { logOffset });
  const facts = [
    ["Topic", link("topic", m.topic)],
    ["Queue and offset", `${m.queueId} / ${number(m.queueOffset)}`],
    ["Id", el("code", {}, m.id)],
    ["Unique key", el("code", {}, m.uniqueKey)],
    ["Born", `${time(m.bornAt)} at ${m.bornHost}`],
    ["Stored", `${time(m.storedAt)} at ${m.storeHost}`],
    ["Tries", m.reconsumeTimes],
    ["Place in the log", `${number(m.logOffset)}, ${bytes(m.recordBytes)}`],
  ];
  return [
    el("h1", {}, "Message"),
    card(
      undefined,
      table(facts, [
        ["What", ([what]) => what],
        ["Value", ([, value]) => value, "long"],
      ]),
    ),
    card(
      m.body.isText ? `Body, ${bytes(m.bodyBytes)}` : `Body, ${bytes(m.bodyBytes)}, as hexadecimal digits`,
      el("pre", { tabindex: "0" }, pretty(m.body)),
      m.body.isWhole ? undefined : el("p", { class: "warn" }, "only its beginning"),
    ),
    card(
      "Properties",
      table(
        Object.entries(m.properties).sort(),
        [
          ["Name", ([name]) => el("code", {}, name)],
          ["Value", ([, value]) => value, "long"],
        ],
        "none",
      ),
    ),
    m.topic.startsWith("%DLQ%") ? el("p", {}, resendButton(m)) : undefined,
  ];
}
message.still = true;

function pretty({ text, isText }) {
  if (!isText) return text.replace(/(..)/g, "$1 ");
  try {
    return JSON.stringify(JSON.parse(text), undefined, 2);
  } catch {
    return text;
  }
}

function resendButton(m) {
  const button = el(
    "button",
    {
      type: "button",
      onclick: async () => {
        button.disabled = true;
        try {
          const { topic } = await post("/api/dlq/resend", { logOffset: m.logOffset });
          notice(`given once more, through ${topic}`);
        } catch (error) {
          notice(error.message, true);
          button.disabled = false;
        }
      },
    },
    "Give it to its group again",
  );
  return button;
}

async function deadLetters() {
  const list = await get("/api/dlq");
  return [
    el("h1", {}, "Dead letters"),
    el(
      "p",
      { class: "quiet" },
      "Messages that a group failed to consume as often as it may. Each can be given to its group once more.",
    ),
    card(
      undefined,
      table(
        list,
        [
          ["Group", (d) => link("letters", d.group), "long"],
          ["Messages", (d) => number(d.messages), "number"],
        ],
        "no group has given up a message",
      ),
    ),
  ];
}

async function letters(group) {
  const found = await get("/api/messages", { topic: `%DLQ%${group}`, begin: 1 });
  return [el("h1", {}, `Dead letters of ${group}`), card(undefined, messageTable(found, [["", resendButton]]))];
}
letters.still = true;

async function pending() {
  const p = await get("/api/pending");
  return [
    el("h1", {}, "Pending"),
    card(
      "Transactions that nobody has ended",
      table(
        p.transactions.filter((t) => t.count !== 0),
        [
          ["Topic", (t) => link("topic", t.topic), "long"],
          ["Half messages", (t) => number(t.count), "number"],
        ],
        "none",
      ),
    ),
    card(
      "Timers by topic",
      p.timers === undefined
        ? el("p", { class: "quiet" }, "timerWheelEnable is off")
        : table(
            p.timers.waiting.filter(([, count]) => count !== 0),
            [
              ["Topic", ([name]) => link("topic", name), "long"],
              ["Messages", ([, count]) => number(count), "number"],
            ],
            "none",
          ),
    ),
    p.timers === undefined
      ? undefined
      : card(
          "Timers by time",
          table(p.timers.due, [
            ["Due within", ([seconds]) => duration(seconds * 1000)],
            ["Messages", ([, count]) => number(count), "number"],
          ]),
        ),
    card(
      "Delay levels",
      table(
        p.delayed.levels,
        [
          ["Level", (l) => l.level, "number"],
          ["Delay", (l) => l.delay],
          ["Messages", (l) => number(l.waiting), "number"],
        ],
        "no message was ever delayed by level",
      ),
    ),
  ];
}

async function config() {
  const all = await get("/api/config");
  const list = all.filter(
    (o) =>
      (shown.system || o.acts !== "never") &&
      (matches(o.key) || o.help.toLowerCase().includes(shown.filter.toLowerCase())),
  );
  const change = async (option) => {
    const value = prompt(`${option.key}\n${option.help}`, option.value);
    if (value === null) return;
    try {
      const { remark } = await post("/api/config", { key: option.key, value });
      notice(remark || `${option.key} is ${value}`);
      refresh();
    } catch (error) {
      notice(error.message, true);
    }
  };
  const bar = tools("key");
  bar.querySelector("label.row").lastChild.textContent = "with keys of Apache that change nothing here";
  return [
    el("h1", {}, "Configuration"),
    bar,
    card(
      undefined,
      table(
        list,
        [
          ["Key", (o) => el("code", {}, o.key)],
          [
            "Value",
            (o) => el(o.isGiven || o.value !== o.standard ? "b" : "span", {}, o.value === "" ? "(empty)" : o.value),
            "long",
          ],
          ["What it does", (o) => o.help || el("span", { class: "quiet" }, "kept, changes nothing"), "long"],
          ["A change acts", (o) => o.acts],
          [
            "",
            (o) => (o.acts === "at once" ? el("button", { type: "button", onclick: () => change(o) }, "Change") : ""),
          ],
        ],
        "no key of this name",
      ),
    ),
  ];
}
config.still = true;

// ---- which page ----

function here() {
  const [page, ...rest] = location.hash.slice(1).split("/");
  const name = rest.length > 0 ? decodeURIComponent(rest.join("/")) : undefined;
  if (DETAILS[page] !== undefined) return { draw: DETAILS[page][0], of: DETAILS[page][1], name };
  const found = PAGES.find(([key]) => key === page) ?? PAGES[0];
  return { draw: found[2], of: found[0], name };
}

async function refresh() {
  const mine = ++turn;
  const { draw, name } = here();
  clearTimeout(timer);
  let content;
  try {
    content = await draw(name);
  } catch (error) {
    content = [el("p", { class: "bad", role: "alert" }, `The broker says: ${error.message}`)];
  }
  if (mine !== turn) return;
  const focused = document.activeElement?.id;
  const caret = document.activeElement?.selectionStart;
  main.replaceChildren(...content.filter((node) => node !== undefined));
  const again = focused ? document.getElementById(focused) : undefined;
  if (again && again !== main) {
    again.focus();
    if (typeof caret === "number" && again.setSelectionRange) again.setSelectionRange(caret, caret);
  }
  if (!draw.still) timer = setTimeout(refresh, LISTS_MS);
}

function navigate() {
  const { of } = here();
  const items = PAGES.map(([key, title]) =>
    el("a", { href: `#${key}`, "aria-current": key === of ? "page" : undefined }, title),
  );
  document.getElementById("nav").replaceChildren(...items);
  document.title = `${PAGES.find(([key]) => key === of)[1]} – Skylark console`;
  scrollTo(0, 0);
  refresh();
}

addEventListener("hashchange", () => {
  shown.filter = "";
  navigate();
});
sample();
setInterval(sample, RATES_MS);
navigate();
