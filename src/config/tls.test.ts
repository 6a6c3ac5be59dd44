import { describe, expect, it } from "vitest";
import { loadBrokerConfig, updateBrokerConfig } from "./broker.ts";
import { effectiveConfig } from "./effective.ts";
import { ConfigError } from "./option.ts";
import { javaProperties, loadTls } from "./tls.ts";

function load(
  entries: Record<string, string>,
  properties: Record<string, string> = {},
  files: Record<string, string> = {},
) {
  return loadTls({
    entries: new Map(Object.entries(entries)),
    properties: new Map(Object.entries(properties)),
    read: (file) => {
      if (files[file] === undefined) throw new Error("ENOENT");
      return files[file];
    },
    exists: (file) => files[file] !== undefined,
  });
}

function problemsOf(...sources: Parameters<typeof load>): readonly string[] {
  try {
    load(...sources);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe("TLS settings", () => {
  it("are Apache's without a word: permissive, plain to others, a certificate of our own", () => {
    const { settings, warnings } = load({ listenPort: "1" });
    expect(warnings).toEqual([]);
    expect(settings).toEqual({
      mode: "permissive",
      enable: false,
      testMode: true,
      clientAuth: "none",
      server: { verify: false },
      client: { verify: false },
      ciphers: undefined,
      protocols: ["TLSv1.2", "TLSv1.3"],
      configFile: undefined,
    });
  });

  it("let a flag win over broker.conf, and tls.config.file over both, as it does in Apache", () => {
    const { settings, warnings } = load(
      { "tls.server.mode": "disabled", "tls.server.certPath": "conf", "tls.test.mode.enable": "false" },
      { "tls.server.mode": "enforcing", "tls.config.file": "f", "tls.server.keyPath": "flag" },
      { f: "tls.server.keyPath=file\ntls.server.keyPassword=secret\ntls.server.need.client.auth=REQUIRE\n" },
    );
    expect(warnings).toEqual([]);
    expect(settings).toMatchObject({ mode: "enforcing", testMode: false, clientAuth: "require", configFile: "f" });
    expect(settings.server).toMatchObject({ certPath: "conf", keyPath: "file", keyPassword: "secret" });
  });

  it("speak TLS to others when they enforce it themselves, unless tls.enable says otherwise (NettyClientConfig)", () => {
    expect(load({ "tls.server.mode": "enforcing" }).settings.enable).toBe(true);
    expect(load({ "tls.server.mode": "enforcing", "tls.enable": "false" }).settings.enable).toBe(false);
    expect(load({ "tls.enable": "true" }).settings.enable).toBe(true);
  });

  it("say what has no effect", () => {
    const { warnings } = load(
      { "tls.server.certPath": "c", "tls.server.modes": "x" },
      { "tls.config.file": "f", "java.awt.headless": "true" },
      { f: "tls.server.mode=enforcing\n" },
    );
    expect(warnings).toEqual([
      "configuration: unknown key tls.server.modes has no effect; did you mean tls.server.mode?",
      "f: tls.server.mode has no effect in this file (as in Apache)",
      "tls.server.certPath has no effect while tls.test.mode.enable is true (its default)",
    ]);
  });

  it("are refused with every reason at once", () => {
    expect(
      problemsOf(
        { "tls.server.mode": "sometimes", "tls.server.keyPassword": "x", "tls.protocols": "TLSv1.1" },
        { "tls.enable": "yes", "tls.config.file": "nowhere" },
      ),
    ).toEqual([
      "tls.server.keyPassword: not here, where mqadmin shows it; put it into the file that tls.config.file names",
      "configuration: tls.server.mode=sometimes: not one of disabled, permissive, enforcing",
      "-D: tls.enable=yes: neither true nor false",
      "tls.config.file=nowhere cannot be read: ENOENT",
      "tls.protocols=TLSv1.1: leaves none of TLSv1.2, TLSv1.3",
    ]);
    expect(problemsOf({ "tls.test.mode.enable": "false", "tls.client.certPath": "c" })).toEqual([
      "tls.server.certPath: needed while tls.test.mode.enable is false and tls.server.mode=permissive",
      "tls.server.keyPath: needed while tls.test.mode.enable is false and tls.server.mode=permissive",
      "tls.client.certPath and tls.client.keyPath: one without the other",
    ]);
    expect(problemsOf({ "tls.protocols": "TLSv9" })[0]).toBe("tls.protocols=TLSv9: TLSv9 is none of TLSv1.2, TLSv1.3");
  });

  it("offer no version before 1.2, and say so", () => {
    const { settings, warnings } = load({ "tls.protocols": "TLSv1.1, TLSv1.2", "tls.ciphers": "A,B" });
    expect(settings.protocols).toEqual(["TLSv1.2"]);
    expect(settings.ciphers).toEqual(["A", "B"]);
    expect(warnings).toEqual(["tls.protocols: TLSv1.1 is not offered; only TLSv1.2 and TLSv1.3 are"]);
  });
});

describe("JVM flags", () => {
  it("are found where Apache's scripts take them, quoted or not, the last one counting", () => {
    const properties = javaProperties({
      JAVA_TOOL_OPTIONS: "-Dtls.enable=false -Xmx1g",
      JAVA_OPT: `-server -Dtls.enable=true "-Dtls.server.certPath=/a b/c" -Dtls.server.keyPath="/d e/f" -Dempty=`,
      JAVA_OPT_EXT: " -Dtls.server.mode=enforcing  '-Dx=y z' -DnoValue",
      OTHER: "-Dtls.enable=nonsense",
    });
    expect(Object.fromEntries(properties)).toEqual({
      "tls.enable": "true",
      "tls.server.certPath": "/a b/c",
      "tls.server.keyPath": "/d e/f",
      empty: "",
      "tls.server.mode": "enforcing",
      x: "y z",
    });
  });
});

describe("broker.conf with TLS keys", () => {
  it("keeps them, so that a change by mqadmin does not lose them, and lets no request change them", () => {
    const { config, warnings } = loadBrokerConfig(new Map([["tls.server.mode", "enforcing"]]));
    expect(warnings).toEqual([]);
    expect(effectiveConfig(config).get("tls.server.mode")).toBe("enforcing");
    expect(() => updateBrokerConfig(config, new Map([["tls.server.mode", "disabled"]]))).toThrow(/tls\.server\.mode/);
    expect(config.given.get("tls.server.mode")).toBe("enforcing");
  });
});
