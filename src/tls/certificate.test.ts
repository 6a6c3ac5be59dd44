import { createPublicKey, X509Certificate } from "node:crypto";
import { describe, expect, it } from "vitest";
import { seededRandom } from "../base/random.ts";
import { selfSigned } from "./certificate.ts";
import { integer, oid, sequence, time } from "./der.ts";

describe("der", () => {
  it("writes what the examples of X.690 and X.509 show", () => {
    expect(oid("2.999.3").toString("hex")).toBe("0603883703");
    expect(oid("1.2.840.10045.4.3.2").toString("hex")).toBe("06082a8648ce3d040302");
    expect(integer(Buffer.from([0, 0, 128])).toString("hex")).toBe("02020080");
    expect(integer(Buffer.from([0])).toString("hex")).toBe("020100");
    expect(sequence(Buffer.alloc(200)).subarray(0, 3).toString("hex")).toBe("3081c8");
    expect(sequence(Buffer.alloc(300)).subarray(0, 4).toString("hex")).toBe("3082012c");
    expect(time("2049-12-31T23:59:59.000Z").subarray(2).toString()).toBe("491231235959Z");
    expect(time("2050-01-01T00:00:00.000Z").subarray(2).toString()).toBe("20500101000000Z");
  });
});

describe("selfSigned", () => {
  it("is a certificate that OpenSSL reads, signed by its own key, for the loopback names", () => {
    const now = Date.UTC(2026, 5, 1);
    const { cert, key } = selfSigned(now, seededRandom(7));
    const read = new X509Certificate(cert);
    expect(read.verify(read.publicKey)).toBe(true);
    expect(read.checkIssued(read)).toBe(true);
    expect(read.ca).toBe(true);
    expect(read.checkHost("localhost")).toBe("localhost");
    expect(read.checkIP("127.0.0.1")).toBe("127.0.0.1");
    expect(read.checkIP("::1")).toBe("::1");
    expect(Date.parse(read.validFrom)).toBe(now - 86_400_000);
    expect(Date.parse(read.validTo)).toBe(now + 3650 * 86_400_000);
    expect(createPublicKey(key).equals(read.publicKey)).toBe(true);
    expect(read.serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/);
  });
});
