/** Facts of which a guest need not have all: what an agent does not know, or must not tell, is left out. */
import type { Json, Writable } from "../../framing/json.ts";
import { AgentError, type Client } from "../client.ts";
import { TaskError } from "./verb.ts";

export type Facts = Readonly<Record<string, Json>>;

/** What a command returns; undefined when it cannot be run. @throws ConnectionError */
export async function factOf(client: Client, command: string, values: Writable = {}): Promise<Json | undefined> {
  try {
    return await client.call(command, values);
  } catch (error) {
    if (error instanceof AgentError) return undefined;
    throw error;
  }
}

/**
 * Asks several commands.
 * @param commands by the name that their result gets
 * @throws ConnectionError; TaskError when none of them can be run
 */
export async function gather(client: Client, commands: Readonly<Record<string, string>>): Promise<Facts> {
  const facts: Record<string, Json> = {};
  for (const [name, command] of Object.entries(commands)) {
    const fact = await factOf(client, command);
    if (fact !== undefined) facts[name] = fact;
  }
  if (Object.keys(facts).length === 0)
    throw new TaskError(`the agent has none of ${Object.values(commands).join(", ")}`);
  return facts;
}

/** Leaves out what is not known. */
export const known = (members: Readonly<Record<string, Json | undefined>>): Facts => {
  const facts: Record<string, Json> = {};
  for (const [name, value] of Object.entries(members)) if (value !== undefined) facts[name] = value;
  return facts;
};
