/** The freeze hook for MySQL and MariaDB, with Debian's MariaDB and commits that do not wait for the disk. */

import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { describeWith } from "../lab/apt.ts";
import { type DatabaseLab, databaseAvailability, makeDatabaseLab } from "./database.ts";

setDefaultTimeout(90_000);

const PACKAGES = ["mariadb-server"];
const RUN = "/run/mysqld";

/** The log of InnoDB is written by nobody but the hook, for a while. */
const LAZY = "--innodb-flush-log-at-trx-commit=0 --innodb-flush-log-at-timeout=2700 --innodb-flush-method=O_DIRECT";
const server = (folder: string, name: string): string =>
  `mariadbd --no-defaults --user=mysql --datadir=${folder} --socket=${RUN}/${name}.sock --skip-networking ${LAZY} --pid-file=${RUN}/${name}.pid`;
const sql = (statement: string, name = "mysqld"): string =>
  `mariadb --socket=${RUN}/${name}.sock --batch --skip-column-names -e "${statement}"`;

describeWith("MariaDB", await databaseAvailability(PACKAGES), () => {
  let lab: DatabaseLab;
  beforeEach(async () => {
    lab = await makeDatabaseLab(PACKAGES, "mysql");
    await lab.must(`install -d -o mysql ${RUN} /data/db`);
    await lab.must(
      "mariadb-install-db --no-defaults --force --user=mysql --datadir=/data/db --skip-test-db >/dev/null",
    );
    await lab.start(server("/data/db", "mysqld"));
    await lab.await(sql("select 1"));
    await lab.must(sql("create database d"));
    await lab.must(sql("create table d.safe (n int) engine=innodb; create table d.old (n int) engine=myisam"));
    await lab.must(sql("insert into d.safe values (1); insert into d.old values (1)"));
  });
  afterEach(() => lab?.[Symbol.asyncDispose]());

  /** Starts a second server on the copy. @returns what a statement prints there */
  const inCopy = async (statement: string): Promise<string> => {
    await lab.start(server("/restored/db", "copy"));
    await lab.await(sql("select 1", "copy"));
    return (await lab.run(sql(statement, "copy"))).stdout;
  };
  const waiting = (work: Promise<unknown>): Promise<boolean> =>
    Promise.race([work.then(() => false), Bun.sleep(500).then(() => true)]);

  test("a copy of the frozen disk holds the last commit, and writes wait until the thaw", async () => {
    const setting = sql("select @@global.innodb_flush_log_at_trx_commit");
    await lab.freeze();
    expect(await lab.must(setting)).toBe("0");
    const late = lab.must(sql("insert into d.old values (2)"));
    expect(await waiting(late)).toBe(true);
    expect(await lab.must(sql("select n from d.old"))).toBe("1");
    await lab.copyDisk();
    await lab.thaw();
    await late;
    expect(await inCopy("select n from d.safe; select n from d.old")).toBe("1\n1\n");
    expect(await inCopy("check table d.old")).toBe("d.old\tcheck\tstatus\tOK\n");
    expect(await lab.must(sql("select n from d.old"))).toBe("1\n2");
    expect(await lab.must("ls /run | grep fsfreeze || echo none")).toBe("none");
  });

  test("without the hook that commit would be lost", async () => {
    await lab.must("rm /etc/qemu/fsfreeze-hook.d/mysql");
    await lab.freeze();
    await lab.copyDisk();
    await lab.thaw();
    expect(await inCopy("select n from d.safe")).toBe("");
  });

  test("a lock that cannot be had refuses the freeze, and leaves nothing behind", async () => {
    await lab.configure("MYSQL_LOCK_WAIT=1\n");
    const busy = lab.run(sql("lock tables d.old write; do sleep(6)"));
    await lab.await(`${sql("show processlist")} | grep -i 'do sleep'`);
    await expect(lab.freeze()).rejects.toThrow("Lock wait timeout exceeded");
    expect(await lab.agent.client.call("guest-fsfreeze-status")).toBe("thawed");
    expect((await busy).exitCode).toBe(0);
    await lab.must(sql("insert into d.old values (2)"));
    await lab.freeze();
    await lab.thaw();
    await lab.must(sql("insert into d.old values (3)"));
  });

  test("a lock that nobody takes back goes by itself", async () => {
    await lab.configure("MYSQL_LOCK_LIMIT=2\n");
    await lab.must("/etc/qemu/fsfreeze-hook.d/mysql freeze");
    const late = lab.must(sql("insert into d.old values (2)"));
    expect(await waiting(late)).toBe(true);
    await late;
    await lab.must("/etc/qemu/fsfreeze-hook.d/mysql thaw");
  });

  test("a server that is not running is left alone", async () => {
    await lab.must(`kill -KILL $(cat ${RUN}/mysqld.pid)`);
    await lab.freeze();
    await lab.thaw();
  });
});
