import { describe, expect, it } from "vitest";
import { loadBrokerConfig, loadProxyConfig, parseProperties } from "../../config/index.ts";
import { takeOverRules } from "./proxyRules.ts";

const RULES = `authenticationEnabled=true
authorizationEnabled=true
authenticationWhitelist=10
innerClientAuthenticationCredentials={"accessKey":"shards","secretKey":"secret"}
`;

describe("access control of the gRPC port in front of shards", () => {
  it("is broker.conf's, and what shards are asked is signed", () => {
    const { config: grpc } = loadProxyConfig(new Map());
    takeOverRules(loadBrokerConfig(parseProperties(RULES)).config, grpc);
    expect(grpc).toMatchObject({
      authenticationEnabled: true,
      authorizationEnabled: true,
      authenticationWhitelist: "10",
      innerClientAuthenticationCredentials: '{"accessKey":"shards","secretKey":"secret"}',
      enableAclRpcHookForClusterMode: true,
    });
  });

  it("stays off with broker.conf's", () => {
    const { config: grpc } = loadProxyConfig(new Map());
    takeOverRules(loadBrokerConfig(new Map()).config, grpc);
    expect(grpc).toEqual(loadProxyConfig(new Map()).config);
  });

  it("is not the proxy's alone", () => {
    const { config: grpc } = loadProxyConfig(new Map([["authenticationEnabled", "true"]]));
    expect(() => takeOverRules(loadBrokerConfig(new Map()).config, grpc)).toThrow(
      "with --shards set them in broker.conf",
    );
  });
});
