// The clients under test. Adding a Java version is a row here and a profile in java/pom.xml.

import { goClient, javaClient } from "./build.mjs";

export const CLIENTS = [
  { id: "java-5.5.0", prepare: () => javaClient("5.5.0") },
  { id: "java-4.9.8", prepare: () => javaClient("4.9.8") },
  { id: "go-2.1.2", prepare: () => goClient() },
];
