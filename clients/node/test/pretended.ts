/** A server that answers what a test says, and counts. */
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { ErrorInfoSchema } from "../src/gen/google/rpc/error_details_pb.js";

export interface Pretended {
  address: string;
  close: () => void;
}

/** Begin a server with these services. */
export async function pretend(routes: (router: ConnectRouter) => void): Promise<Pretended> {
  const server = http2.createServer(connectNodeAdapter({ routes, connect: false, grpcWeb: false }));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on("session", (session) => sessions.add(session));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.close();
      sessions.forEach((session) => session.destroy());
    },
  };
}

/** An error as the server answers it. */
export function refusal(code: Code, reason: string, metadata: Record<string, string> = {}): ConnectError {
  const value = { domain: "taskwheel", reason, metadata };
  return new ConnectError("refused", code, undefined, [{ desc: ErrorInfoSchema, value }]);
}
