/**
 * The certificate of a server that was given none (Apache: tlsTestModeEnable, with Netty's SelfSignedCertificate): made
 * at the first TLS connection, for clients that accept any. An EC key, because an RSA key would cost a tenth of a second.
 */
import { Buffer } from "node:buffer";
import { generateKeyPairSync, sign } from "node:crypto";
import { isoTime } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import { bits, boolean, explicit, implicit, integer, octets, oid, sequence, set, time, utf8 } from "./der.ts";

const ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2";
const COMMON_NAME = "2.5.4.3";
const SUBJECT_ALT_NAME = "2.5.29.17";
const BASIC_CONSTRAINTS = "2.5.29.19";
/** GeneralName's choices. */
const DNS_NAME = 2;
const IP_ADDRESS = 7;
const DAY_MS = 86_400_000;
/** Clocks of clients may be behind. */
const VALID_BEFORE_MS = DAY_MS;
const VALID_FOR_MS = 3650 * DAY_MS;
const SERIAL_BYTES = 16;

export interface Certificate {
  /** PEM. */
  cert: string;
  /** PEM, PKCS #8. */
  key: string;
}

/** A self-signed certificate for `localhost` and the loopback addresses. */
export function selfSigned(nowMs: number, random: Random): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const algorithm = sequence(oid(ECDSA_WITH_SHA256));
  const name = sequence(set(sequence(oid(COMMON_NAME), utf8("skylark"))));
  const serial = Buffer.from(Array.from({ length: SERIAL_BYTES }, () => random.int(256)));
  serial[0] = (serial[0] & 0x3f) | 0x40;
  const body = sequence(
    explicit(0, integer(Buffer.from([2]))),
    integer(serial),
    algorithm,
    name,
    sequence(time(isoTime(nowMs - VALID_BEFORE_MS)), time(isoTime(nowMs + VALID_FOR_MS))),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    explicit(3, sequence(extension(BASIC_CONSTRAINTS, sequence(boolean(true))), extension(SUBJECT_ALT_NAME, names()))),
  );
  const signature = sign("sha256", body, privateKey);
  const der = sequence(body, algorithm, bits(signature));
  return { cert: pem("CERTIFICATE", der), key: privateKey.export({ type: "pkcs8", format: "pem" }).toString() };
}

function extension(id: string, value: Buffer): Buffer {
  return sequence(oid(id), octets(value));
}

function names(): Buffer {
  const loopback6 = Buffer.alloc(16);
  loopback6[15] = 1;
  return sequence(
    implicit(DNS_NAME, Buffer.from("localhost")),
    implicit(IP_ADDRESS, Buffer.from([127, 0, 0, 1])),
    implicit(IP_ADDRESS, loopback6),
  );
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString("base64").replace(/(.{64})(?=.)/g, "$1\n");
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}
