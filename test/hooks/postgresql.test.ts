/** The freeze hook for PostgreSQL, with a server that does not wait for the disk when it commits. */

import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { describeWith } from "../lab/apt.ts";
import { type DatabaseLab, databaseAvailability, makeDatabaseLab } from "./database.ts";

setDefaultTimeout(60_000);

const PACKAGES = ["postgresql"];
const PROGRAMS = "/usr/lib/postgresql/*/bin";
const SOCKETS = "/var/run/postgresql";

const asPostgres = (command: string): string => `su -s /bin/sh -c '${command}' postgres`;
const sql = (statement: string, port = 5432): string =>
  asPostgres(`psql -XAtq -v ON_ERROR_STOP=1 -h ${SOCKETS} -p ${port} -d postgres -c "${statement}"`);
/** Commits are written by nobody but a checkpoint, for a while. */
const LAZY = "-c synchronous_commit=off -c wal_writer_delay=10s -c wal_writer_flush_after=0 -c bgwriter_delay=10s";
const server = (folder: string, port: number): string =>
  asPostgres(`exec ${PROGRAMS}/postgres -D ${folder} -k ${SOCKETS} -p ${port} -c listen_addresses= ${LAZY}`);

describeWith("PostgreSQL", await databaseAvailability(PACKAGES), () => {
  let lab: DatabaseLab;
  beforeEach(async () => {
    lab = await makeDatabaseLab(PACKAGES, "postgresql");
    await lab.must(`install -d -o postgres ${SOCKETS} && chown postgres /data`);
    await lab.must(asPostgres(`${PROGRAMS}/initdb -D /data/db >/dev/null`));
    await lab.start(server("/data/db", 5432));
    await lab.await(sql("select 1"));
    await lab.must(sql("create table t (n int)"));
    await lab.must(sql("insert into t values (1), (2)"));
  });
  afterEach(() => lab?.[Symbol.asyncDispose]());

  /** Starts a second server on the copy. @returns what a statement prints there */
  const inCopy = async (statement: string): Promise<string> => {
    await lab.must("rm /restored/db/postmaster.pid");
    await lab.start(server("/restored/db", 5433));
    await lab.await(sql("select 1", 5433));
    return (await lab.run(sql(statement, 5433))).stdout;
  };
  const LIST = "select string_agg(n::text, chr(44) order by n) from t";

  test("a copy of the frozen disk holds the last commit, and the server goes on after the thaw", async () => {
    await lab.freeze();
    await lab.copyDisk();
    await lab.thaw();
    await lab.must(sql("insert into t values (3)"));
    expect(await inCopy(LIST)).toBe("1,2\n");
    expect(await lab.must(sql(LIST))).toBe("1,2,3");
  });

  test("without the hook that commit would be lost", async () => {
    await lab.must("rm /etc/qemu/fsfreeze-hook.d/postgresql");
    await lab.freeze();
    await lab.copyDisk();
    await lab.thaw();
    expect(await inCopy(LIST)).toBe("");
  });

  test("a checkpoint that cannot be made refuses the freeze", async () => {
    await lab.configure("POSTGRESQL_DATABASE=nowhere\n");
    await expect(lab.freeze()).rejects.toThrow('database "nowhere" does not exist');
    expect(await lab.agent.client.call("guest-fsfreeze-status")).toBe("thawed");
  });

  test("a server that is not running is left alone", async () => {
    await lab.must("kill -KILL $(head -n 1 /data/db/postmaster.pid)");
    await lab.must(`test -S ${SOCKETS}/.s.PGSQL.5432`);
    await lab.freeze();
    await lab.thaw();
  });
});
