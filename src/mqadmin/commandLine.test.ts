/** What commons-cli 1.5 does with the same command lines. */
import { describe, expect, it } from "vitest";
import { flag, help, oneOf, optional, parse, required } from "./commandLine.ts";

const OPTIONS = [
  oneOf("where", "b", "brokerAddr", "create topic to which broker"),
  oneOf("where", "c", "clusterName", "create topic to which cluster"),
  optional("a", "attributes", "attribute(+a=b,+c=d,-e)"),
  required("t", "topic", "topic name"),
  optional("r", "readQueueNums", "set read queue nums"),
  flag("l", "list", "Use list format to print data"),
];

const read = (line: string) => {
  const given = parse(OPTIONS, line.split(" "));
  return Object.fromEntries(["b", "c", "a", "t", "r", "l", "n"].map((key) => [key, given.text(key)]));
};

const refusal = (line: string) => {
  try {
    read(line);
  } catch (error) {
    return (error as Error).message;
  }
  return "none";
};

describe("a command line", () => {
  it("takes a value in every way of writing it", () => {
    for (const way of ["-t T", "-tT", "-t=T", "--topic T", "--topic=T", "-topic T", "-topic=T", "--top T", '-t "T"']) {
      expect(read(`-b B ${way}`).t, way).toBe("T");
    }
  });

  it("takes switches together, the last of them with a value", () => {
    expect(read("-b B -ltT")).toMatchObject({ l: "", t: "T" });
  });

  it("takes for a value what looks like no option, also with a dash before it", () => {
    expect(read("-b B -t T -a -message.type").a).toBe("-message.type");
    expect(read("-b B -t T -r -1").r).toBe("-1");
    expect(refusal("-b B -t T -a -list")).toBe("Missing argument for option: a");
  });

  it("keeps the first of two values", () => {
    expect(read("-b B -t T -t U").t).toBe("T");
  });

  it("refuses in commons-cli's words", () => {
    expect(refusal("-b B")).toBe("Missing required option: t");
    expect(refusal("-r 1")).toBe(
      "Missing required options: [-b create topic to which broker, -c create topic to which cluster], t",
    );
    expect(refusal("-b B -t")).toBe("Missing argument for option: t");
    expect(refusal("-b B -t T -x")).toBe("Unrecognized option: -x");
    expect(refusal("-b B -t T --nothing")).toBe("Unrecognized option: --nothing");
    expect(refusal("-b B -c C -t T")).toBe(
      "The option 'c' was specified but an option from this group has already been selected: 'b'",
    );
  });

  it("asks for nothing more when help is wanted", () => {
    expect(parse(OPTIONS, ["-h"]).has("h")).toBe(true);
  });

  it("is explained as commons-cli's HelpFormatter does", () => {
    expect(
      help("mqadmin updateTopic", OPTIONS),
    ).toBe(`usage: mqadmin updateTopic [-a <arg>] -b <arg> | -c <arg>  [-h] [-l] [-n <arg>] [-r <arg>] -t <arg>
 -a,--attributes <arg>      attribute(+a=b,+c=d,-e)
 -b,--brokerAddr <arg>      create topic to which broker
 -c,--clusterName <arg>     create topic to which cluster
 -h,--help                  Print help
 -l,--list                  Use list format to print data
 -n,--namesrvAddr <arg>     Name server address list, eg: '192.168.0.1:9876;192.168.0.2:9876'
 -r,--readQueueNums <arg>   set read queue nums
 -t,--topic <arg>           topic name
`);
  });

  it("breaks a long usage as the official tool does", () => {
    const more = ["o", "p", "s", "u", "w"].map((short) => optional(short, `long-${short}`, "text"));
    expect(help("mqadmin updateTopic", [...OPTIONS.filter(({ short }) => short !== "l"), ...more])).toMatch(
      /^usage: mqadmin updateTopic \[-a <arg>\] -b <arg> \| -c <arg> {2}\[-h\] \[-n <arg>\] \[-o <arg>\] \[-p <arg>\] \[-r <arg>\]\n {7}\[-s <arg>\] -t <arg> \[-u <arg>\] \[-w <arg>\]\n/,
    );
  });

  it("breaks long lines of the help after 110 columns", () => {
    const lines = help("mqadmin x", [optional("p", "policy", `${"word ".repeat(30)}end`)]).split("\n");
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(110);
    expect(lines.at(-2)).toMatch(/^ {26}word .*end$/);
  });
});
