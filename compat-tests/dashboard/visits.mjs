// Which pages of the Dashboard are visited and what is done there, in the words of browser.mjs. The data is what Pages.java prepares.
// A visit is a name, its steps, and what else must be taken out before two servers' pages are compared.

const TOPIC = "PageTopic";
const GROUP = "PageGroup";
const CLUSTER = "DefaultCluster";
const BROKER = "broker-a";
const TRACES = "RMQ_SYS_TRACE_TOPIC";
const BEFORE = "2020-01-01 00:00:00";
const AFTER = "2035-01-01 00:00:00";

/** Figures of the moment: rates, latencies, sizes on disk, in the order of appearance. */
const RATES = [/\b\d+\.\d+(E-?\d+)?\b/g, "<rate>"];

/** @type {{ name: string, steps: (page: import("./browser.mjs").Browser, at: (hash: string) => Promise<void>) => Promise<void>, mask?: [RegExp, string][], sort?: boolean }[]} */
export const VISITS = [];

function visit(name, steps, options = {}) {
  VISITS.push({ name, steps, ...options });
}

visit("ops", (_, at) => at("/ops"));
visit("proxy", (_, at) => at("/proxy"));

// ---- cluster

visit("cluster", (_, at) => at("/cluster"), {
  // How many messages the traces make depends on how the client gathers them.
  mask: [RATES, [/(\| \d+ ){2}\|$/gm, "| <today> | <today> |"]],
});
visit("cluster: status", (page) => page.click("Status", { row: BROKER }), {
  sort: true,
  mask: [
    [/^(\w+) \| [\d.E-]+( [\d.E-]*){1,2}$/gm, "$1 | <rates>"],
    [/^(commitLogDiskRatio_\S+) \|.*$/gm, "$1 | <of the moment>"],
    [/^(commitLogDirCapacity|remainHowManyDataToFlush|runtime) \|.*$/gm, "$1 | <of the moment>"],
    [
      /^(\w*(Ratio|Latency\w*|Tps|Size|Offset|Mills|Times\w*|EntireTimeMax|TodayNow|TimeStamp|Bytes|Distribute\w*|Version|brokerActive|Numbs|Watermark|ReadDiskRatio)\w*) \|.*$/gm,
      "$1 | <of the moment>",
    ],
  ],
});
visit(
  "cluster: config",
  async (page) => {
    await page.closeDialogs();
    await page.click("Config", { row: BROKER });
  },
  {
    mask: [
      [
        /^(\w*(listenPort|haListenPort|TLS|namesrvAddr|rocketmqHome|storePath\w*|\w+Nums|\w+Threads|\w*Size)) \|.*$/gm,
        "$1 | <of the machine>",
      ],
    ],
  },
);

// ---- topics

visit("topics", (_, at) => at("/topic"));
visit(
  "topics: all kinds",
  async (page) => {
    for (const kind of ["Delay", "FIFO", "TRANSACTION", "UNSPECIFIED", "RETRY", "DLQ", "SYSTEM"])
      await page.click(kind);
    // All on one page, because the Dashboard keeps them in a hash set.
  },
  { sort: true },
);
visit("topic: status", async (page, at) => {
  await at("/topic");
  await page.fillAt("input[type=text]", TOPIC);
  await page.settle();
  await page.click("Status", { row: TOPIC });
});
for (const [name, button] of [
  ["router", "Router"],
  ["consumer manage", "Consumer Manage"],
  ["config", "Topic Config"],
  ["send", "Send Massage"],
]) {
  visit(`topic: ${name}`, async (page) => {
    await page.closeDialogs();
    await page.click(button, { row: TOPIC });
  });
}
visit(
  "topic: sent",
  async (page) => {
    await page.fill("Tag", "TagGood");
    await page.fill("Key", "key-9");
    await page.fill("Message Body", "written in the browser");
    await page.click("Commit");
  },
  {
    mask: [
      [/"queueId": \d/, '"queueId": <any>'],
      [/^queueOffset \| \d+$/m, "queueOffset | <any>"],
    ],
  },
);
visit("topic: reset offset", async (page) => {
  await page.closeDialogs();
  await page.click("Reset Consumer Offset", { row: TOPIC });
});
visit("topic: offset is reset", async (page) => {
  await page.choose("SubscriptionGroup", GROUP);
  await page.time("Time", AFTER);
  await page.click("RESET");
});
visit("topic: skip accumulated", async (page) => {
  await page.closeDialogs();
  await page.click("Skip Message Accumulate", { row: TOPIC });
});
visit("topic: skipped", async (page) => {
  await page.choose("SubscriptionGroup", GROUP);
  await page.click("Commit");
});
visit("topic: change queues", async (page, at) => {
  await at("/topic");
  await page.click("FIFO");
  await page.fillAt("input[type=text]", "PageOther");
  await page.click("Topic Config", { row: "PageOther" });
  await page.fill("writeQueueNums", "5");
  await page.fill("readQueueNums", "5");
  await page.click("Commit");
  await page.until("!__dialog()", "end of the dialog");
});
visit("topic: changed", async (page) => {
  await page.closeDialogs();
  await page.click("Topic Config", { row: "PageOther" });
});
visit("topic: delete", async (page) => {
  await page.closeDialogs();
  await page.click("Delete", { row: "PageOther" });
  await page.confirm("Yes");
});
visit("topic: add", async (page, at) => {
  await at("/topic");
  await page.click("Add / Update");
});
visit("topic: added", async (page) => {
  await page.choose("clusterName", CLUSTER);
  await page.choose("BROKER_NAME", BROKER);
  await page.fill("topicName", "PageBrowser");
  await page.choose("messageType", "DELAY");
  await page.fill("writeQueueNums", "2");
  await page.fill("readQueueNums", "2");
  await page.fill("perm", "6");
  await page.click("Commit");
});
visit("topic: with a wrong name", async (page, at) => {
  await at("/topic");
  await page.click("Add / Update");
  await page.choose("clusterName", CLUSTER);
  await page.choose("BROKER_NAME", BROKER);
  await page.fill("topicName", "Page Wrong!");
  await page.choose("messageType", "NORMAL");
  await page.fill("writeQueueNums", "2");
  await page.fill("readQueueNums", "2");
  await page.fill("perm", "6");
  await page.click("Commit");
});

// ---- consumers

visit("consumers", (_, at) => at("/consumer"));
visit("consumers: all kinds", async (page) => {
  await page.click("FIFO");
  await page.click("SYSTEM");
  // They come in the order in which the Dashboard's threads have asked for them.
  await page.evaluate(`document.querySelector("th a").click()`);
  await page.settle();
});
/** The message that was sent in the browser lies in any of the queues, and the dialog has its own form of a time. */
const READ = [
  [/\d+\/\d+\/\d{4}, \d+:\d+:\d+ [AP]M/g, "<time>"],
  [/^broker-a \| (\d+) \| (\d+) \| \2 \|/gm, "broker-a | $1 | <all> | <all> |"],
];
for (const [name, button] of [
  ["client", "CLIENT"],
  ["consume detail", "CONSUME DETAIL"],
  ["config", "Config"],
  ["refresh", "REFRESH"],
]) {
  visit(
    `consumer: ${name}`,
    async (page) => {
      await page.closeDialogs();
      await page.click(button, { row: GROUP });
    },
    { mask: READ },
  );
}
for (const button of ["CLIENT", "CONSUME DETAIL"]) {
  visit(`consumer offline: ${button.toLowerCase()}`, async (page) => {
    await page.closeDialogs();
    await page.click(button, { row: "PageOffline" });
  });
}
visit("consumer: change retries", async (page) => {
  await page.closeDialogs();
  await page.click("Config", { row: "PageOffline" });
  await page.fill("Max Retries", "7");
  await page.click("Commit");
});
visit("consumer: changed", async (page) => {
  await page.closeDialogs();
  await page.click("Config", { row: "PageOffline" });
});
visit("consumer: delete", async (page) => {
  await page.closeDialogs();
  await page.click("Delete", { row: "PageOffline" });
});
visit("consumer: deleted", async (page) => {
  await page.click(BROKER);
  await page.click("Confirm Delete");
  await page.settle();
});
visit("consumer: add", async (page, at) => {
  await at("/consumer");
  await page.click("Add / Update");
});
visit("consumer: added", async (page) => {
  await page.fill("Group Name", "PageBrowserGroup");
  await page.choose("clusterName", CLUSTER);
  await page.choose("Broker name", BROKER);
  await page.click("Commit");
});
visit("consumers: after all that", (_, at) => at("/consumer"));

// ---- producers

visit("producer", async (page, at) => {
  await at("/producer");
  await page.choose("TOPIC", TOPIC);
  await page.fill("PRODUCER_GROUP", "PageProducer");
  await page.click("SEARCH");
});
visit("producer: unknown", async (page) => {
  await page.fill("PRODUCER_GROUP", "PageMissing");
  await page.click("SEARCH");
});

// ---- messages

/** The range that the page offers by itself begins and ends at midnight: its date field turns the times it is given back. */
visit("message: by topic, as the page comes", async (page, at) => {
  await at("/message");
  await page.choose("Topic", TOPIC);
  await page.click("Search");
});
visit("message: by topic", async (page) => {
  await page.time("Begin", BEFORE);
  await page.time("End", AFTER);
  await page.click("Search");
});
visit(
  "message: page by page",
  async (page) => {
    await page.evaluate(`document.querySelector(".ant-pagination-item-2")?.click()`);
    await page.settle();
  },
  { sort: true },
);
visit("message: detail", async (page, at) => {
  await at("/message");
  await page.click("Message Key");
  await page.choose("Topic", "PageFifo");
  await page.fill("Key", "k");
  await page.click("Search");
  await page.click("Message Detail");
});
visit("message: by key", async (page, at) => {
  await at("/message");
  await page.click("Message Key");
  await page.choose("Topic", TOPIC);
  await page.fill("Key", "key-2");
  await page.click("Search");
});
visit("message: detail of a dead one", async (page) => {
  await page.evaluate(
    `[...document.querySelectorAll("tbody tr")].find((tr) => __shown(tr) && tr.innerText.includes("TagBad")).querySelector("button.ant-btn-primary").click()`,
  );
  await page.settle();
});
visit("message: consumed directly", async (page) => {
  await page.click("Resend Message");
  await page.settle();
});
visit("message: by id", async (page) => {
  await page.closeDialogs();
  const id = await page.evaluate(
    `[...document.querySelectorAll("tbody tr")].find((tr) => __shown(tr) && tr.innerText.includes("TagBad")).innerText.match(/[0-9A-F]{32}/)[0]`,
  );
  await page.click("Message ID");
  await page.fill("MessageId", id);
  await page.click("Search");
});
visit("message: by an id that there is not", async (page) => {
  await page.closeDialogs();
  await page.fill("MessageId", "AC11000100002A9F0000000000FFFFFF");
  await page.click("Search");
});
visit("message: by a key that there is not", async (page) => {
  await page.closeDialogs();
  await page.click("Message Key");
  await page.fill("Key", "no-such-key");
  await page.click("Search");
});

// ---- dead letters: their topic can be written only, so that the page shows none of them, whoever is behind it

visit("dlq: by group", async (page, at) => {
  await at("/dlqMessage");
  await page.choose("Consumer", GROUP);
  await page.time("Begin", BEFORE);
  await page.time("End", AFTER);
  await page.click("Search");
});
visit("dlq: of a group without any", async (page, at) => {
  await at("/dlqMessage");
  await page.choose("Consumer", "PageOrderly");
  await page.click("Search");
});

// ---- traces

visit("trace: by key", async (page, at) => {
  await at("/messageTrace");
  await page.choose("Topic", TOPIC);
  await page.fill("Key", "key-1");
  await page.click("Search");
});
visit(
  "trace: detail",
  async (page) => {
    await page.evaluate(`[...document.querySelectorAll("tbody button")].find(__shown).click()`);
    await page.settle();
    await page.evaluate(`document.querySelectorAll(".ant-collapse-header").forEach((each) => each.click())`);
    await page.settle();
  },
  { mask: [[/<?\b\d+ms\b/g, "<ms>"]] },
);
visit(
  "trace: of the trace topic",
  async (page, at) => {
    await at("/messageTrace");
    await page.choose("Topic", TRACES);
    await page.fill("Key", "key-1");
    await page.click("Search");
  },
  {
    // How many messages the traces make, and which traces are in each, depends on how the client gathers them.
    mask: [[/(?:^[0-9A-F]{32} \|.*\n^Message Trace Detail\n)+/gm, "<traces>\n"]],
  },
);

// ---- users and access

visit("acl: users", async (page, at) => {
  await at("/acl");
  await page.settle();
  await page.click("Confirm");
});
visit("acl: permissions", async (page) => {
  await page.click("ACL Permissions");
  await page.click("Confirm");
});
visit("acl: add a user", async (page) => {
  await page.click("ACL Users");
  await page.click("Add User");
  await page.fill("Username", "someone");
  await page.fill("Password", "secret");
  await page.choose("User Type", "Normal");
  await page.click("Confirm");
});

// ---- the charts, last: the Dashboard collects their figures once a minute

visit("dashboard", async (page, at) => {
  await at("/");
  await page.until(
    `document.querySelector(".ant-select-selection-item")?.title === "${TOPIC}"`,
    "a topic with figures",
  );
  await page.settle();
});
