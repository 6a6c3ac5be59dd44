/** Requests about the key-value configuration: PUT, GET, DELETE, and all keys of a namespace. */
import { encodeKVTable } from "../protocol/bodies/kvTable.ts";
import { type Reply, type Row, row } from "../protocol/dispatch.ts";
import {
  DeleteKVConfigRequestHeader,
  GetKVConfigRequestHeader,
  GetKVListByNamespaceRequestHeader,
  PutKVConfigRequestHeader,
} from "../protocol/generated/headers.ts";
import { RequestCode } from "../protocol/generated/requestCodes.ts";
import { ResponseCode } from "../protocol/generated/responseCodes.ts";
import { type NamesrvContext, SUCCESS, systemError, withBody } from "./context.ts";

export function kvRows({ kv }: NamesrvContext): Row[] {
  return [
    row(RequestCode.PUT_KV_CONFIG, "PUT_KV_CONFIG", PutKVConfigRequestHeader, ({ header }) => {
      const { namespace, key, value } = header;
      if (namespace === undefined || key === undefined) return systemError("namespace or key is null");
      if (value === undefined) return systemError("value is null");
      return written(kv.put(namespace, key, value));
    }),

    row(RequestCode.GET_KV_CONFIG, "GET_KV_CONFIG", GetKVConfigRequestHeader, ({ header }) => {
      const value = kv.get(header.namespace, header.key);
      if (value !== undefined) return { code: ResponseCode.SUCCESS, header: { value } };
      return notFound(`Namespace: ${header.namespace ?? null} Key: ${header.key ?? null}`);
    }),

    row(RequestCode.DELETE_KV_CONFIG, "DELETE_KV_CONFIG", DeleteKVConfigRequestHeader, ({ header }) =>
      written(kv.delete(header.namespace, header.key)),
    ),

    row(
      RequestCode.GET_KVLIST_BY_NAMESPACE,
      "GET_KVLIST_BY_NAMESPACE",
      GetKVListByNamespaceRequestHeader,
      ({ header }) => {
        const entries = kv.list(header.namespace);
        return entries ? withBody(encodeKVTable(entries)) : notFound(`Namespace: ${header.namespace ?? null}`);
      },
    ),
  ];
}

async function written(write: Promise<void>): Promise<Reply> {
  try {
    await write;
    return SUCCESS;
  } catch (error) {
    return systemError(`the change acts until the next start, but could not be written: ${(error as Error).message}`);
  }
}

function notFound(what: string): Reply {
  return { code: ResponseCode.QUERY_NOT_FOUND, remark: `No config item, ${what}` };
}
