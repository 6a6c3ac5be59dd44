// The Docker engine: whether one answers, and the names of the base images that everything here is built from.

import { spawnSync } from "node:child_process";

/** Public names; the Dockerfiles' own defaults are the same. */
export const BASES = {
  debian: "debian:bookworm-slim",
  shell: "busybox:1.37-musl",
  node: "node:20-bookworm",
  java: "eclipse-temurin:17-jdk",
  python: "python:3.11-slim-bookworm",
  apache: "apache/rocketmq:5.5.0",
};

/** The image under test. */
export const OURS = process.env.SKYLARK_IMAGE ?? "skylark-mq";

/** Runs docker and returns its output. Throws with its messages when it fails. */
export function docker(args) {
  const { status, stdout, stderr, error } = spawnSync("docker", args, { encoding: "utf8", maxBuffer: 64 << 20 });
  if (status === 0) return stdout.trim();
  throw new Error(`docker ${args[0]} failed: ${error?.message ?? stderr.trim()}`);
}

/** @returns {string | undefined} why no engine can be used; undefined: one answers. */
export function engineMissing() {
  const { error, status, stderr } = spawnSync("docker", ["version", "--format", "{{.Server.Version}}"], {
    encoding: "utf8",
  });
  if (error) return `docker cannot be run: ${error.message}`;
  return status === 0 ? undefined : stderr.trim().split("\n").at(-1);
}

export function hasImage(name) {
  return spawnSync("docker", ["image", "inspect", name], { stdio: "ignore" }).status === 0;
}
