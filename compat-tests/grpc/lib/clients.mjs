// The 5.x clients under test. `tls`: the client's own default is TLS, so that it is run both ways.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { cached, mvn, need, WORK } from "../../lib/build.mjs";

export const CLIENTS = [
  { id: "java-5.2.0", prepare: () => java("5.2.0"), tls: true },
  { id: "java-5.0.8", prepare: () => java("5.0.8"), tls: true },
];

function java(version) {
  need("java", ["-version"]);
  need("javac", ["-version"]);
  need("mvn", ["-v"]);
  const directory = join(WORK, `grpc-java-${version}`);
  cached(directory, ["grpc/java"], () =>
    mvn("grpc/java/pom.xml", [`-Pclient-${version}`, `-Dwork=${directory}`, "compile", "dependency:copy-dependencies"]),
  );
  const home = join(WORK, "home", `grpc-java-${version}`);
  mkdirSync(home, { recursive: true });
  return {
    command: "java",
    args: [
      "-Xms64m",
      "-Xmx512m",
      "-XX:+UseSerialGC",
      "-XX:TieredStopAtLevel=1",
      `-Duser.home=${home}`,
      "-Drocketmq.log.level=warn",
      "-Djava.net.preferIPv4Stack=true",
      "-cp",
      [join(directory, "classes"), join(directory, "lib", "*")].join(":"),
      "skylark.grpc.Scenarios",
    ],
  };
}
