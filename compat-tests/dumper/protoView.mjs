// Our .proto files in the form in which ProtoDump.java shows the official descriptors, so that the two can be compared.

import protobuf from "protobufjs";
import { readProtos } from "../../scripts/generate/grpc.mjs";

const PACKAGE = "apache.rocketmq.v2";

export function protoView() {
  const view = { messages: {}, enums: {}, services: {} };
  for (const type of readProtos(["definition", "service", "admin"], true).lookup(PACKAGE).nestedArray) add(view, type);
  return view;
}

function add(view, type) {
  const name = type.fullName.slice(1);
  if (type instanceof protobuf.Enum) view.enums[name] = { ...type.values };
  else if (type instanceof protobuf.Service) view.services[name] = methods(type);
  else {
    view.messages[name] = type.fieldsArray.map(field).sort((a, b) => a.number - b.number);
    for (const nested of type.nestedArray) add(view, nested);
  }
}

function field(each) {
  const { name, id: number } = each;
  const type = each.resolvedType ? each.resolvedType.fullName.slice(1) : each.type;
  if (each.map) return { name, number, label: "map", key: each.keyType, type };
  const label = each.repeated ? "repeated" : each.options?.proto3_optional ? "optional" : "single";
  const oneof = each.partOf && !each.partOf.isProto3Optional ? { oneof: each.partOf.name } : {};
  return { name, number, label, type, ...oneof };
}

function methods(service) {
  return Object.fromEntries(
    service.methodsArray.map((each) => {
      each.resolve();
      return [
        each.name,
        {
          request: each.resolvedRequestType.fullName.slice(1),
          requestStream: Boolean(each.requestStream),
          response: each.resolvedResponseType.fullName.slice(1),
          responseStream: Boolean(each.responseStream),
        },
      ];
    }),
  );
}
