import { getCiphers } from "node:tls";
import { describe, expect, it } from "vitest";
import { cipherList } from "./ciphers.ts";

describe("cipherList", () => {
  it("knows Java's names as OpenSSL's", () => {
    const pairs = [
      ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"],
      ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"],
      ["TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", "ECDHE-RSA-AES128-SHA256"],
      ["TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA-AES256-SHA"],
      ["TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"],
      ["TLS_RSA_WITH_AES_128_GCM_SHA256", "AES128-GCM-SHA256"],
      ["TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"],
      ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"],
    ];
    const known = getCiphers();
    for (const [java, openssl] of pairs) expect(cipherList([java], known)).toBe(openssl);
    expect(cipherList([pairs[0][0], pairs[6][0]], known)).toBe(`${pairs[0][1]}:${pairs[6][1]}`);
  });

  it("refuses a suite that is not there by its name", () => {
    expect(() => cipherList(["TLS_AES_128_GCM_SHA256", "TLS_RSA_WITH_RC4_128_MD5"], getCiphers())).toThrow(
      "tls.ciphers: there is no cipher suite TLS_RSA_WITH_RC4_128_MD5",
    );
  });
});
