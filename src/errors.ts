/** A request that cannot be done; the message is meant for the host that asked. */
export class RequestError extends Error {
  override name = "RequestError";
}
