// The clients under test. Adding a Java version is a row here and a profile in java/pom.xml. `short`: it is part of the short form.
// `between`: a version between two others. Scenarios that stop and kill servers, which cost most of the time, leave it out unless all is asked for:
// what a client does then has changed with the oldest and the newest only.

import { goClient, javaClient } from "./build.mjs";

export const CLIENTS = [
  { id: "java-5.5.0", short: true, prepare: () => javaClient("5.5.0") },
  { id: "java-5.3.2", between: true, prepare: () => javaClient("5.3.2") },
  { id: "java-5.1.4", between: true, prepare: () => javaClient("5.1.4") },
  { id: "java-4.9.8", short: true, prepare: () => javaClient("4.9.8") },
  { id: "go-2.1.2", short: true, prepare: () => goClient() },
];
